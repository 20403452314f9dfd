//! Random words, which keep the names of two things made in one moment apart.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Six hexadecimal digits, another six at each call.
pub fn random_word() -> String {
    // Its keys are the system's random numbers.
    let number = RandomState::new().build_hasher().finish();
    format!("{:06x}", number & 0xff_ffff)
}
