//! What is known of a server's release: whether it stands still by the time it says so.
//!
//! mysqld answers `flush tables` with `tables_flushed`. Until 10.5 it does so before it has stopped InnoDB's own threads, so that pages may still be
//! written behind that answer (the server's MDEV-32115); whether 10.6 to 10.11 do so before 10.11.18 is not known. So no answer is believed alone: see [`super::standstill`].

/// The first series that is not known to say it too early, and the first release after which nobody doubts it.
const NOT_KNOWN: [u32; 3] = [10, 6, 0];
const IN_TIME: [u32; 3] = [10, 11, 18];

/// When a server says that it stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stillness {
    /// When it does.
    InTime,
    /// Maybe before it does.
    Doubtful,
    /// Before it does; or its version is not known.
    Early,
}

impl Stillness {
    /// That of this version, as the server names it.
    pub fn of(version: Option<&str>) -> Self {
        match version.and_then(release) {
            Some(release) if release >= IN_TIME => Self::InTime,
            Some(release) if release >= NOT_KNOWN => Self::Doubtful,
            _ => Self::Early,
        }
    }
}

/// The three numbers of a version.
fn release(version: &str) -> Option<[u32; 3]> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_apart() {
        for (version, wanted) in [
            ("10.5.23-MariaDB-1:10.5.23+maria~deb11-log", Stillness::Early),
            ("5.7.44", Stillness::Early),
            ("x", Stillness::Early),
            ("10.6.0-MariaDB", Stillness::Doubtful),
            ("10.11.17-MariaDB", Stillness::Doubtful),
            ("10.11.18-MariaDB", Stillness::InTime),
            ("11.8.9-MariaDB", Stillness::InTime),
        ] {
            assert_eq!(Stillness::of(Some(version)), wanted, "{version}");
        }
        assert_eq!(Stillness::of(None), Stillness::Early);
    }
}
