//! Durations as people write them: `90`, `90s`, `15m`, `1h`, `2d`, `1h30m`.

use std::time::Duration;

use super::ValueError;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
/// Days of a wait. Anything longer is a slip, and adding it to a clock must not overflow.
const LONGEST: u64 = 365;
/// Days for which something may be kept: a century.
const LONGEST_KEPT: u64 = 36_500;

/// Reads a duration of at least one second. A bare number is seconds; units come in falling order, each once.
pub fn parse(text: &str) -> Result<Duration, ValueError> {
    parse_up_to(text, LONGEST)
}

/// The same for the age of backups, which may be many years.
pub(in crate::config) fn parse_long(text: &str) -> Result<Duration, ValueError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Whoever writes 30 there means days, and would lose everything but the newest.
        return Err(ValueError::new(format!(
            "'{text}' says no unit; write {text}d for days, or {text}h, {text}m, {text}s"
        )));
    }
    parse_up_to(text, LONGEST_KEPT)
}

fn parse_up_to(text: &str, days: u64) -> Result<Duration, ValueError> {
    let wrong = || {
        ValueError::new(format!(
            "'{text}' is not a duration; write seconds, or numbers with d, h, m, s: 90, 90s, 15m, 1h30m, 2d"
        ))
    };
    let seconds = match text.parse::<u64>() {
        Ok(seconds) if !text.starts_with('+') => seconds,
        _ => with_units(text).ok_or_else(wrong)?,
    };
    match seconds {
        0 => Err(ValueError::new(format!("'{text}' is no time at all; the shortest is 1s"))),
        _ if seconds <= days * 86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err(ValueError::new(format!("'{text}' is too long; the longest is {days}d"))),
    }
}

fn with_units(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|&at| at > 0)?;
        // A number too long for u64 is far above the limit, and still a duration.
        let number = rest[..digits].parse::<u64>().unwrap_or(u64::MAX);
        let unit = rest[digits..].chars().next()?;
        let (_, seconds) = units.find(|(name, _)| *name == unit)?;
        total = total.saturating_add(number.saturating_mul(*seconds));
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_every_form_are_read() {
        for (text, seconds) in [
            ("1", 1),
            ("90", 90),
            ("90s", 90),
            ("15m", 900),
            ("1h", 3_600),
            ("2d", 172_800),
            ("1h30m", 5_400),
            ("1d2h3m4s", 93_784),
            ("0h5m", 300),
            ("365d", LONGEST * 86_400),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn backups_may_be_kept_for_longer_than_anybody_waits() {
        assert_eq!(parse_long("36500d").unwrap(), Duration::from_secs(36_500 * 86_400));
        assert!(parse_long("36501d").unwrap_err().to_string().contains("the longest is 36500d"));
    }

    #[test]
    fn nonsense_zero_and_ages_are_refused() {
        for (text, why) in [
            ("", "not a duration"),
            ("h", "not a duration"),
            ("1x", "not a duration"),
            ("1h2", "not a duration"),
            ("1m1h", "not a duration"),
            ("1h1h", "not a duration"),
            ("-1", "not a duration"),
            ("+1", "not a duration"),
            ("1.5h", "not a duration"),
            ("1 h", "not a duration"),
            ("1µ", "not a duration"),
            ("0", "no time at all"),
            ("0h0m", "no time at all"),
            ("366d", "too long"),
            ("99999999999999999999d", "too long"),
            ("18446744073709551615", "too long"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
