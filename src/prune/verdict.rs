//! What is decided about a backup, with every reason in words.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::catalog::Doubt;
use crate::model::BackupId;

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A day in UTC.
    Day,
    /// An ISO week in UTC.
    Week,
    /// A month in UTC.
    Month,
    /// A year in UTC.
    Year,
}

impl Period {
    /// The name of the period that a moment is in: `2026-11-20`, `2026-W47`, `2026-11`, `2026`.
    pub fn of(self, at: Timestamp) -> String {
        let date = at.to_zoned(TimeZone::UTC).date();
        match self {
            Self::Day => date.to_string(),
            Self::Week => {
                let week = date.iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }
            Self::Month => format!("{}-{:02}", date.year(), date.month()),
            Self::Year => date.year().to_string(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// Why a backup stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Of those that can be placed in time.
    Newest,
    /// The same of this history, which is not that of the newest backup of all.
    NewestOfHistory(String),
    /// Its history has come furthest with it, whatever its time says.
    Furthest,
    /// Positions go back and forward in turn around it: two clusters of one history are in one folder.
    TwoLines,
    /// A hold keeps it.
    Held(String),
    /// Younger than this run, which goes on.
    YoungerThan(BackupId),
    /// Something speaks against it.
    Doubt(Doubt),
    /// The newest of those whose pages were all intact on the donor: newer ones hold damaged ones.
    NewestSound,
    /// `keep-within`.
    Within,
    /// `keep-last`: it is this one, counted from the newest.
    Last(usize),
    /// The newest of this period.
    NewestOf(Period, String),
}

impl Reason {
    /// Whether it says that a backup is none to rely on.
    pub fn is_doubt(&self) -> bool {
        matches!(self, Self::Doubt(_))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("the newest"),
            Self::NewestOfHistory(uuid) => write!(f, "the newest of history {uuid}"),
            Self::Furthest => f.write_str("the furthest position of its history"),
            Self::TwoLines => f.write_str(
                "POSITIONS GO BACK AND FORWARD: two clusters that were made of one backup may share this folder, and no rule \
                 tells them apart; give one of them another 'cluster' name, then remove the folders of what is not wanted",
            ),
            Self::Held(words) => f.write_str(words),
            Self::YoungerThan(id) => write!(f, "younger than {id}, which may still run"),
            Self::Doubt(doubt @ Doubt::Damaged(_)) => write!(f, "{doubt}; no other goes because of it"),
            Self::Doubt(doubt) => write!(f, "{doubt}"),
            Self::NewestSound => f.write_str("the newest without pages that were damaged on the donor"),
            Self::Within => f.write_str("keep-within"),
            Self::Last(number) => write!(f, "keep-last: number {number}"),
            Self::NewestOf(period, name) => write!(f, "newest of {} {name}", period.word()),
        }
    }
}

/// Why a rule does not keep a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// Older than `keep-within` before the newest.
    TooOld,
    /// Not among the last ones, this many.
    NotLast(u32),
    /// Its period has a newer one.
    NotNewestOf(Period),
    /// Its period is not among the last ones that have a backup, this many.
    Beyond(Period, u32),
    /// The operator has named its history as one to go.
    Forgotten,
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld => f.write_str("older than keep-within"),
            Self::NotLast(count) => write!(f, "not among the last {count}"),
            Self::NotNewestOf(period) => write!(f, "not the newest of its {}", period.word()),
            Self::Beyond(period, count) => write!(f, "beyond the last {count} {}s", period.word()),
            Self::Forgotten => f.write_str("its history is to be forgotten (--forget-history)"),
        }
    }
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetentionVerdict {
    /// It stays, for at least one reason.
    Keep(Vec<Reason>),
    /// It goes: what each rule has against it.
    Remove(Vec<Lapse>),
}
