//! Numbers for people.

use std::time::Duration;

/// Bytes as MiB with one digit.
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1_u32 << 20))
}

/// Bytes as GiB with two digits.
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1_u32 << 30))
}

/// Bytes as MB (a million bytes), as the vendors of disks and the other programs count.
pub(crate) fn megabytes(bytes: u64) -> u64 {
    (bytes + 500_000) / 1_000_000
}

/// A time in seconds with two digits.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// Milliseconds, for JSON.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A number of GiB, such as `3` or `0.3`, in bytes.
pub(crate) fn parse_gib(text: &str) -> Result<u64, String> {
    let number: f64 = text.parse().map_err(|_| format!("'{text}' is not a number of GiB"))?;
    if !(0.01..=10_000.0).contains(&number) {
        return Err(format!("'{text}' GiB: 0.01 to 10000 can be asked for"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    Ok((number * f64::from(1_u32 << 30)) as u64)
}
