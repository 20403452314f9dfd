//! Sizes as MariaDB programs read them: a whole number, with `K`, `M`, `G`, `T`, `P` or `E` behind it for powers of 1024
//! (`eval_num_suffix()` in `mysys/my_getopt.c`).

use std::num::NonZeroU64;

use super::ValueError;

const UNITS: &str = "KMGTPE";
/// Bytes a second. Less is a slip: `M` was forgotten. (One that reads or writes 256 KiB at once takes a second for it.)
const SLOWEST: u64 = 256 << 10;
/// The same at the other end: no storage is that fast.
const FASTEST: u64 = 1 << 40;

/// Reads a size. One that is too large for the number is the largest there is.
fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        unit => {
            let at = UNITS.find(&unit.to_ascii_uppercase()).filter(|_| unit.len() == 1)?;
            10 * (u32::try_from(at).ok()? + 1)
        }
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX).saturating_mul(1 << shift))
}

/// Reads a number of bytes.
pub(in crate::config) fn size(text: &str) -> Result<u64, ValueError> {
    parse(text).ok_or_else(|| {
        ValueError::new(format!(
            "'{text}' is not a number of bytes; write 1G, or another number with K, M, G or T"
        ))
    })
}

/// Reads a limit in bytes a second; `none` is none, which overrides an earlier one.
pub(in crate::config) fn rate(text: &str) -> Result<Option<NonZeroU64>, ValueError> {
    if text == "none" {
        return Ok(None);
    }
    let Some(rate) = parse(text) else {
        return Err(ValueError::new(format!(
            "'{text}' is not a number of bytes a second; write 200M, or another number with K, M, G or T; none is no limit"
        )));
    };
    match NonZeroU64::new(rate) {
        None => Err(ValueError::new("0 bytes a second would never come to an end; write none for no limit")),
        Some(_) if rate < SLOWEST => {
            let meant = if text.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("; did you mean {text}M?")
            } else {
                String::new()
            };
            Err(ValueError::new(format!("'{text}' is too slow; the slowest is 256K bytes a second{meant}")))
        }
        Some(_) if rate > FASTEST => Err(ValueError::new(format!(
            "'{text}' is faster than any storage; the fastest is 1T bytes a second, none is no limit"
        ))),
        rate => Ok(rate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_mariadb() {
        for (text, bytes) in [
            ("262144", 256 << 10),
            ("256k", 256 << 10),
            ("0512K", 512 << 10),
            ("200M", 200 << 20),
            ("3g", 3 << 30),
            ("1T", 1 << 40),
        ] {
            assert_eq!(rate(text).unwrap().map(NonZeroU64::get), Some(bytes), "{text}");
        }
        assert_eq!(rate("none").unwrap(), None);
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_way_out() {
        for (text, why) in [
            ("", "'' is not a number of bytes a second; write 200M"),
            ("M", "not a number"),
            ("200MB", "not a number"),
            ("200 M", "not a number"),
            ("200M/s", "not a number"),
            ("1.5G", "not a number"),
            ("-1", "not a number"),
            ("+1M", "not a number"),
            ("1X", "not a number"),
            ("1KM", "not a number"),
            ("1µ", "not a number"),
            ("٣M", "not a number"),
            ("0", "0 bytes a second would never come to an end; write none for no limit"),
            ("0M", "never come to an end"),
            ("200", "'200' is too slow; the slowest is 256K bytes a second; did you mean 200M?"),
            ("255K", "'255K' is too slow; the slowest is 256K bytes a second"),
            ("1025G", "faster than any storage; the fastest is 1T bytes a second, none is no limit"),
            ("1P", "faster than any storage"),
            ("17E", "faster than any storage"),
            ("99999999999999999999", "faster than any storage"),
        ] {
            let error = rate(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.ends_with('?') || why.ends_with('?'), "{error}");
        }
    }
}
