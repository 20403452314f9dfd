//! Words that tell things of one moment apart.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Six hexadecimal digits that nobody else has just now.
pub fn random_word() -> String {
    // Its keys are the system's random numbers.
    let number = RandomState::new().build_hasher().finish();
    format!("{:06x}", number & 0xff_ffff)
}
