//! Random words and numbers, which keep two things made in one moment apart.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Six hexadecimal digits, another six at each call.
pub fn random_word() -> String {
    format!("{:06x}", random_number() & 0xff_ffff)
}

/// Another number at each call.
pub fn random_number() -> u64 {
    // Its keys are the system's random numbers.
    RandomState::new().build_hasher().finish()
}
