//! Files as the MariaDB operator for Kubernetes names and chooses them.
//!
//! `backup.<RFC3339>.sql`, `.sql.gz`, `.sql.bz2`, and of older versions `backup.<RFC3339>.gzip.sql` and `.bzip2.sql`
//! (`pkg/backup/processor.go` of mariadb-operator). Of those in a folder the newest at or before the wanted time is taken.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::LoadError;

/// What stands behind the time.
const ENDINGS: [&str; 6] = [".sql", ".sql.gz", ".sql.bz2", ".sql.zst", ".gzip.sql", ".bzip2.sql"];

/// A file that is named so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorFile {
    /// Its place.
    pub path: PathBuf,
    /// The time in its name.
    pub time: Timestamp,
}

impl OperatorFile {
    /// By its name.
    pub fn read(path: &Path) -> Option<Self> {
        let rest = path.file_name()?.to_str()?.strip_prefix("backup.")?;
        // The operator splits at dots, so that its times have no fractions.
        let (time, _) = rest.split_once('.')?;
        let time_of = |time: &str| time.parse::<Timestamp>().ok();
        ENDINGS
            .contains(&&rest[time.len()..])
            .then(|| time_of(time))?
            .map(|time| Self { path: path.to_owned(), time })
    }
}

/// The newest one in a folder, at or before a time.
pub fn newest_at(folder: &Path, time: Option<Timestamp>) -> Result<OperatorFile, LoadError> {
    let failed =
        |error: std::io::Error| LoadError::Refused(format!("cannot read '{}': {error}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    newest_of(&paths, &folder.display().to_string(), time)
}

/// Whether a file is named as a dump of somebody's, and no folder.
pub fn is_named_as_dump(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The same among these, which are in `folder`.
pub fn newest_of(
    paths: &[PathBuf],
    folder: &str,
    time: Option<Timestamp>,
) -> Result<OperatorFile, LoadError> {
    let found: Vec<OperatorFile> = paths.iter().filter_map(|path| OperatorFile::read(path)).collect();
    let oldest = found.iter().map(|file| file.time).min();
    let best = found.into_iter().filter(|file| time.is_none_or(|time| file.time <= time));
    best.max_by(|a, b| a.time.cmp(&b.time).then_with(|| a.path.cmp(&b.path))).ok_or_else(|| {
        LoadError::Usage(match oldest {
            Some(oldest) => {
                format!("the oldest dump in '{folder}' is of {oldest}, after --target-time")
            }
            None => format!("'{folder}' has no file 'backup.<time>.sql', as mariadb-operator names dumps"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_by_the_operators_rules() {
        let time: Timestamp = "2026-11-20T11:34:52Z".parse().unwrap();
        for name in ["sql", "sql.gz", "sql.bz2", "gzip.sql", "bzip2.sql", "sql.zst"] {
            let path = PathBuf::from(format!("/b/backup.2026-11-20T11:34:52Z.{name}"));
            assert_eq!(OperatorFile::read(&path), Some(OperatorFile { path, time }), "{name}");
        }
        for name in [
            "backup.2026-11-20T11:34:52Z.tar",
            "backup.2026-11-20.sql",
            "backup.sql",
            "users.2026-11-20T11:34:52Z.sql",
            "backup.2026-11-20T11:34:52Z.sql.gz.part",
            "backup.2026-11-20T11:34:52Z.sql.age",
        ] {
            assert_eq!(OperatorFile::read(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn the_newest_one_at_or_before_a_time_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (day, ending) in [(20, "sql"), (21, "gzip.sql"), (22, "sql.bz2")] {
            std::fs::write(folder.path().join(format!("backup.2026-11-{day}T00:00:00Z.{ending}")), "")
                .unwrap();
        }
        std::fs::write(folder.path().join("0-backup-target.txt"), "").unwrap();
        let newest = |time: Option<&str>| {
            let file = newest_at(folder.path(), time.map(|time| time.parse().unwrap())).map(|file| file.path);
            file.map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .map_err(|error| error.to_string())
        };
        assert_eq!(newest(None).unwrap(), "backup.2026-11-22T00:00:00Z.sql.bz2");
        assert_eq!(newest(Some("2026-11-21T00:00:00Z")).unwrap(), "backup.2026-11-21T00:00:00Z.gzip.sql");
        assert_eq!(newest(Some("2026-11-20T23:59:59Z")).unwrap(), "backup.2026-11-20T00:00:00Z.sql");
        assert!(newest(Some("2026-11-19T00:00:00Z")).unwrap_err().contains("the oldest dump"));
    }
}
