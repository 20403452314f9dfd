//! Numbers for people: sizes in KiB/MiB/GiB, durations, times in UTC.

use jiff::Timestamp;

/// `1.4 GiB`; exact below one KiB.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = 0;
    // Hundredths, in integers, so that no size is rounded up into the next unit.
    let mut scaled = u128::from(count) * 100 / 1024;
    while scaled >= 102_400 && unit + 1 < UNITS.len() {
        scaled /= 1024;
        unit += 1;
    }
    let digits = if scaled >= 10_000 {
        (scaled / 100).to_string()
    } else if scaled >= 1000 {
        format!("{}.{}", scaled / 100, scaled % 100 / 10)
    } else {
        format!("{}.{:02}", scaled / 100, scaled % 100)
    };
    format!("{digits} {}", UNITS[unit])
}

/// `850 ms`, `2.4 s`, `3 min 05 s`, `1 h 02 min`.
pub fn duration_ms(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..=59 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `2026-11-20 11:34:52 UTC`.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10 << 20, "10.0 MiB"),
            ((1 << 30) - 1, "1023 MiB"),
            (1_288_490_189, "1.20 GiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn durations_and_times() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (2450, "2.4 s"),
            (185_000, "3 min 05 s"),
            (3_720_000, "1 h 02 min"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration_ms(ms), text);
        }
        assert_eq!(time("2026-11-20T12:34:52+01:00".parse().unwrap()), "2026-11-20 11:34:52 UTC");
        assert_eq!(
            (grouped(0), grouped(999), grouped(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
    }
}
