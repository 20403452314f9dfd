//! Where lines and labels of a plot go.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// A line with its label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Between 0 and 1.
    pub(super) at: f64,
    pub(super) label: String,
    /// There is no room for it on a narrow screen.
    pub(super) is_minor: bool,
}

/// The steps of an axis from zero: at most this many, and the last one is above all numbers.
const MOST_STEPS: u64 = 4;

/// Steps for a number in units of which `base` make the next larger one (1024 for bytes): 1, 2 or 5 times a power of ten
/// of its unit.
pub(super) fn bytes_step(most: u64) -> u64 {
    let mut unit = 1_u64;
    while most / MOST_STEPS >= unit.saturating_mul(1024) {
        unit = unit.saturating_mul(1024);
    }
    round_up(most, unit)
}

/// The same for milliseconds: seconds, minutes and hours have steps of their own.
pub(super) fn ms_step(most: u64) -> u64 {
    const STEPS: [u64; 17] = [
        1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000,
        3_600_000, 7_200_000, 14_400_000, 28_800_000, 86_400_000,
    ];
    if most <= STEPS[0] {
        return round_up(most, 1);
    }
    let fits = |step: &&u64| **step * MOST_STEPS >= most;
    STEPS.iter().find(fits).copied().unwrap_or_else(|| round_up(most, 86_400_000))
}

fn round_up(most: u64, unit: u64) -> u64 {
    let mut power = unit.max(1);
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step.saturating_mul(MOST_STEPS) >= most {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// From zero up to the first step that is not below `most`; the value at the top, and the ticks.
pub(super) fn value_ticks(most: u64, step: u64, words: &dyn Fn(u64) -> String) -> (u64, Vec<Tick>) {
    let step = step.max(1);
    let steps = most.div_ceil(step).max(1);
    let top = steps.saturating_mul(step);
    let tick = |nth: u64| Tick {
        at: share(nth.saturating_mul(step), top),
        label: words(nth.saturating_mul(step)),
        is_minor: false,
    };
    (top, (0..=steps).map(tick).collect())
}

/// A part of a whole, between 0 and 1.
#[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeAxis {
    from: Timestamp,
    to: Timestamp,
}

/// At most so many labels, every other of them minor.
const MOST_LABELS: i64 = 9;

impl TimeAxis {
    /// With some room before the first and behind the last of these moments.
    pub(super) fn over(moments: impl Iterator<Item = Timestamp> + Clone) -> Option<Self> {
        let (first, last) = (moments.clone().min()?, moments.max()?);
        let span = last.duration_since(first);
        let room = (span / 24).max(SignedDuration::from_mins(30));
        let within = |at: Result<Timestamp, jiff::Error>, otherwise| at.unwrap_or(otherwise);
        Some(Self { from: within(first.checked_sub(room), first), to: within(last.checked_add(room), last) })
    }

    /// Where a moment is, between 0 and 1.
    pub(super) fn place(&self, at: Timestamp) -> f64 {
        let length = |span: SignedDuration| u64::try_from(span.as_millis()).unwrap_or(0);
        share(length(at.duration_since(self.from)), length(self.to.duration_since(self.from)))
    }

    /// How many gaps as long as the short ones between these moments fit into the axis: as many bars stand beside each
    /// other without touching.
    pub(super) fn slots(&self, mut moments: Vec<Timestamp>) -> u32 {
        moments.sort();
        let mut gaps: Vec<i128> =
            moments.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis()).collect();
        gaps.sort_unstable();
        let short = gaps.get(gaps.len() / 10).copied().unwrap_or(0).max(1);
        let whole = self.to.duration_since(self.from).as_millis();
        u32::try_from((whole / short).clamp(8, 2000)).unwrap_or(2000)
    }

    /// Days, weeks, months or years, in UTC.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let hours = self.to.duration_since(self.from).as_hours();
        let days = hours / 24;
        let moments = match hours {
            0..=8 => self.every_hours(1),
            9..=27 => self.every_hours(3),
            28..=60 => self.every_hours(6),
            _ if days <= MOST_LABELS => self.every_days(1),
            _ if days <= 2 * MOST_LABELS => self.every_days(2),
            _ if days <= 7 * MOST_LABELS => self.every_days(7),
            _ if days <= 30 * MOST_LABELS => self.every_months(1),
            _ if days <= 91 * MOST_LABELS => self.every_months(3),
            _ => self.every_months(i16::try_from((days / 365 / MOST_LABELS + 1) * 12).unwrap_or(i16::MAX)),
        };
        let format = |at: Timestamp| match hours {
            0..=60 if at.as_second() % 86_400 != 0 => "%H:%M",
            _ if days <= 7 * MOST_LABELS => "%d %b",
            _ => "%b %Y",
        };
        let labelled = moments.into_iter().filter(|at| *at >= self.from && *at <= self.to).enumerate();
        labelled
            .map(|(nth, at)| Tick {
                at: self.place(at),
                label: at.strftime(format(at)).to_string(),
                is_minor: nth % 2 == 1,
            })
            .collect()
    }

    fn first_date(&self) -> Date {
        self.from.to_zoned(TimeZone::UTC).date()
    }

    fn every_hours(&self, step: i64) -> Vec<Timestamp> {
        let begin = self.first_date();
        let Ok(begin) = begin.to_zoned(TimeZone::UTC) else { return Vec::new() };
        let at = |nth: i64| begin.timestamp().checked_add(SignedDuration::from_hours(nth * step)).ok();
        (0..=96 / step).filter_map(at).collect()
    }

    /// Weeks begin on Monday.
    fn every_days(&self, step: i64) -> Vec<Timestamp> {
        let mut date = self.first_date();
        if step == 7 {
            let since_monday = date.weekday().to_monday_zero_offset();
            date = date.checked_sub(i64::from(since_monday).days()).unwrap_or(date);
        }
        self.dates(date, |date| date.checked_add(step.days()).ok())
    }

    /// A step of whole years begins with one.
    fn every_months(&self, step: i16) -> Vec<Timestamp> {
        let first = self.first_date();
        let month = if step >= 12 { 1 } else { (first.month() - 1) / 3 * 3 + 1 };
        let month = if step == 1 { first.month() } else { month };
        let begin = Date::new(first.year(), month, 1).unwrap_or(first);
        self.dates(begin, |date| date.checked_add(i64::from(step).months()).ok())
    }

    fn dates(&self, begin: Date, next: impl Fn(Date) -> Option<Date>) -> Vec<Timestamp> {
        let mut moments = Vec::new();
        let mut date = Some(begin);
        while let Some(at) = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok()) {
            if at.timestamp() > self.to || moments.len() > 60 {
                break;
            }
            moments.push(at.timestamp());
            date = date.and_then(&next);
        }
        moments
    }
}

#[cfg(test)]
#[path = "axis_tests.rs"]
mod tests;
