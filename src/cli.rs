//! The operator's command line.
pub fn main() -> u8 {
    2
}
