//! Whether a backup will fit: the size of the data against the free space of the repository.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::probe_request::ProbeRequest;
use super::repository::RepositoryView;
use crate::model::Manifest;
use crate::regular_file;
use crate::ui::{bytes, grouped};

const TOPIC: &str = "space";
/// Longest walk; a size that is too small is better than no answer.
const LIMIT: Duration = Duration::from_secs(20);
/// More bytes than a link file of InnoDB has: one path.
const LONGEST_PATH: u64 = 64 << 10;
/// Names in a data directory that no backup has, as far as they can be large.
const LEFT_OUT: [&str; 7] =
    ["#innodb_temp", ".snapshot", ".zfs", "galera.cache", "lost+found", "#rocksdb", ".rocksdb"];
/// Compression without a backup to learn from: data rarely shrinks to less than this fraction.
const BEST_FRACTION: u64 = 4;

/// The server's files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataSize {
    /// Sum of their lengths.
    pub(super) apparent: u64,
    /// What they take on disk: holes are not counted.
    pub(super) allocated: u64,
    pub(super) files: u64,
    /// Everything was seen. Otherwise there is more.
    pub(super) complete: bool,
    /// Device of the data directory's file system.
    pub(super) device: Option<u64>,
}

/// Adds up the data directory and what the server keeps elsewhere.
pub(super) fn measure(datadir: &Path, request: &ProbeRequest) -> DataSize {
    let device = fs::metadata(datadir).ok().map(|data| data.dev());
    let mut size = DataSize { complete: true, device, ..DataSize::default() };
    let end = Instant::now() + LIMIT;
    let outside = request.elsewhere.iter().filter(|path| !path.starts_with(datadir));
    let mut folders: Vec<PathBuf> = std::iter::once(datadir.to_path_buf()).chain(outside.cloned()).collect();
    folders.sort();
    folders.dedup();
    let mut walked = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        // Links may lead to one folder twice, or in circles.
        if !walked.insert(fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone())) {
            continue;
        }
        let Ok(listing) = fs::read_dir(&folder) else {
            size.complete = false;
            continue;
        };
        for path in listing.flatten().map(|entry| entry.path()) {
            if is_left_out(&path, request.binlog_base.as_deref()) {
                continue;
            }
            match fs::metadata(&path) {
                Ok(data) if data.is_dir() => folders.push(path),
                Ok(data) if data.is_file() => {
                    size.add(&data);
                    let is_link = path.extension().is_some_and(|extension| extension == "isl");
                    if let Some(far) = is_link.then(|| linked(&path)).flatten() {
                        size.add(&far);
                    }
                }
                _ => {}
            }
        }
        if Instant::now() > end {
            size.complete = false;
            return size;
        }
    }
    size
}

impl DataSize {
    fn add(&mut self, data: &Metadata) {
        self.files += 1;
        self.apparent += data.len();
        self.allocated += data.blocks() * 512;
    }
}

/// The tablespace of a `DATA DIRECTORY` table, to which its `.isl` file points.
fn linked(isl: &Path) -> Option<Metadata> {
    let target = regular_file::read(isl, LONGEST_PATH).ok()?;
    fs::metadata(isl.parent()?.join(OsStr::from_bytes(target.trim_ascii()))).ok()
}

fn is_left_out(path: &Path, binlog_base: Option<&Path>) -> bool {
    let Some(name) = path.file_name() else { return false };
    let of_binlog = binlog_base.is_some_and(|base| {
        let after = base.file_name().and_then(|stem| name.as_bytes().strip_prefix(stem.as_bytes()));
        base.parent() == path.parent()
            && after.is_some_and(|rest| {
                rest.len() > 1 && rest[0] == b'.' && rest[1..].iter().all(u8::is_ascii_digit)
            })
    });
    let text = name.to_string_lossy();
    of_binlog || LEFT_OUT.contains(&&*text) || text.starts_with("ibtmp") || text.starts_with("gcache.page.")
}

/// How well an earlier backup was compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    stored: u64,
    data: u64,
}

impl Ratio {
    pub(super) fn of(manifest: &Manifest) -> Option<Self> {
        let (stored, data) = (manifest.archive.bytes, manifest.data_bytes);
        (data > 0).then_some(Self { stored, data })
    }

    fn apply(self, bytes: u64) -> u64 {
        let scaled = u128::from(bytes) * u128::from(self.stored) / u128::from(self.data.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

/// What is to be told.
pub(super) fn judge(
    repository: &Path,
    place: &RepositoryView,
    data: &DataSize,
    ratio: Option<Ratio>,
    compressed: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shown = repository.display();
    if let Some(free) = place.free {
        let at_least = if data.complete { "" } else { "more than " };
        let facts = format!(
            "{} free at {shown}; the data is {at_least}{} in {} files",
            bytes(free),
            bytes(data.apparent),
            grouped(data.files)
        );
        let cure = || {
            format!(
                "free space at {shown}, remove backups that are no longer needed, or set 'repository' to a larger file system"
            )
        };
        findings.push(match (ratio, compressed) {
            (Some(ratio), _) => {
                let needed = ratio.apply(data.apparent);
                let text = format!("{facts}, a backup of it about {}", bytes(needed));
                by_need(free, needed, text, cure())
            }
            (None, false) => by_need(free, data.allocated, facts, cure()),
            (None, true) if free < data.allocated / BEST_FRACTION => Finding::error(TOPIC, facts, cure()),
            (None, true) if free < data.allocated => {
                let text = format!("{facts}; no earlier backup tells how small it gets, and it may not fit");
                Finding::warning(TOPIC, text, cure())
            }
            (None, true) => Finding::ok(TOPIC, facts),
        });
    }
    if place.device.is_some() && place.device == data.device {
        let text = format!(
            "{shown} is on the file system of the data: one broken disk takes both, and a full one stops the server"
        );
        let cure = "set 'repository' to another file system, better on another machine".to_owned();
        findings.push(Finding::warning(TOPIC, text, cure));
    }
    findings
}

fn by_need(free: u64, needed: u64, text: String, cure: String) -> Finding {
    if free < needed {
        Finding::error(TOPIC, format!("{text}: it does not fit"), cure)
    } else if free / 2 < needed {
        Finding::warning(TOPIC, format!("{text}: there is no room for two"), cure)
    } else {
        Finding::ok(TOPIC, text)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::check::Level;

    const GIB: u64 = 1 << 30;

    #[test]
    fn free_space_is_compared_with_what_a_backup_will_take() {
        let ratio = Some(Ratio { stored: 30, data: 100 });
        for (free, ratio, compressed, level, text) in [
            (100, ratio, true, Level::Ok, "about 30.0 GiB"),
            (59, ratio, true, Level::Warning, "no room for two"),
            (29, ratio, true, Level::Error, "does not fit"),
            (100, None, true, Level::Ok, "the data is 100 GiB in 7 files"),
            (79, None, true, Level::Warning, "may not fit"),
            (19, None, true, Level::Error, "19.0 GiB free at /r"),
            (79, None, false, Level::Error, "does not fit"),
            (200, None, false, Level::Ok, "200 GiB free"),
        ] {
            let place =
                RepositoryView { free: Some(free * GIB), device: Some(1), ..RepositoryView::default() };
            let (apparent, allocated) = (100 * GIB, 80 * GIB);
            let data = DataSize { apparent, allocated, files: 7, complete: true, device: Some(2) };
            let [finding] = &judge(Path::new("/r"), &place, &data, ratio, compressed)[..] else {
                panic!("{free}")
            };
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.text.contains(text), "{finding:?}");
        }
    }

    #[test]
    fn a_repository_beside_the_data_is_told() {
        let place = RepositoryView { device: Some(2), ..RepositoryView::default() };
        let data = DataSize { device: Some(2), ..DataSize::default() };
        let [finding] = &judge(Path::new("/r"), &place, &data, None, true)[..] else { panic!() };
        assert!(finding.level == Level::Warning && finding.text.contains("file system of the data"));
    }

    #[test]
    fn what_no_backup_has_is_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, size) in [
            ("ibdata1", 1000),
            ("d/t.ibd", 100),
            ("galera.cache", 9000),
            ("bin.000001", 9000),
            ("bin.index", 10),
            ("ibtmp1", 9000),
            ("#innodb_temp/x", 9000),
        ] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), vec![1; size]).unwrap();
        }
        let request = ProbeRequest { binlog_base: Some(root.join("bin")), ..ProbeRequest::default() };
        let size = measure(root, &request);
        assert_eq!((size.apparent, size.files, size.complete), (1110, 3, true));
        // Data elsewhere, to which a link, an .isl file or a variable points; and a link in a circle.
        let elsewhere = tempfile::tempdir().unwrap();
        for name in ["db/a.ibd", "far.ibd", "home/ibdata2"] {
            fs::create_dir_all(elsewhere.path().join(name).parent().unwrap()).unwrap();
            fs::write(elsewhere.path().join(name), [1; 20]).unwrap();
        }
        symlink(elsewhere.path().join("db"), root.join("db")).unwrap();
        symlink(root, root.join("circle")).unwrap();
        let target = elsewhere.path().join("far.ibd").display().to_string();
        fs::write(root.join("d/far.isl"), &target).unwrap();
        let request = ProbeRequest { elsewhere: vec![elsewhere.path().join("home")], ..request };
        let size = measure(root, &request);
        assert_eq!((size.apparent, size.files), (1110 + 3 * 20 + target.len() as u64, 7));
    }
}
