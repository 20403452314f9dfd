//! What the fixtures hold: the inputs, from which archive and `expected.json` are made independently.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::pages::{KEPT, PAGE, tablespace};

/// Directory that the external files of a fixture come from.
pub(crate) const ELSEWHERE: &str = "/srv/wsrep-fixture";

/// One member to be.
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) owner: Option<&'static str>,
    pub(crate) mtime: (i64, u32),
    /// Variable, root on the donor, path on the donor.
    pub(crate) origin: Option<(&'static str, String, String)>,
    pub(crate) system_tablespace: bool,
    pub(crate) changed: bool,
}

/// What it is.
pub(crate) enum Kind {
    /// The whole content, and where holes are kept the data segments (offset, length) of it.
    File(Vec<u8>, Option<Vec<(u64, u64)>>),
    /// Begins with these bytes when it is read, has this length when it is opened.
    Shrunk(Vec<u8>, usize),
    Directory,
    Symlink(Vec<u8>),
    Generated(Vec<u8>),
}

impl Entry {
    fn new(path: impl AsRef<[u8]>, kind: Kind) -> Self {
        let mode = match kind {
            Kind::Directory => 0o700,
            Kind::Symlink(_) => 0o777,
            Kind::Generated(_) => 0o640,
            Kind::File(..) | Kind::Shrunk(..) => 0o660,
        };
        Self {
            path: path.as_ref().to_vec(),
            kind,
            mode,
            uid: 999,
            gid: 998,
            owner: Some("mysql"),
            mtime: (1_795_174_000, 123_456_789),
            origin: None,
            system_tablespace: false,
            changed: false,
        }
    }

    fn from(mut self, variable: &'static str, root: &str, path: &str) -> Self {
        self.origin = Some((variable, root.to_owned(), path.to_owned()));
        self
    }

    /// The content as it is read back: holes are zeros, and so is what a shrunk file lacks.
    pub(crate) fn content(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::File(content, _) | Kind::Generated(content) => Some(content.clone()),
            Kind::Shrunk(start, length) => {
                let mut content = start.clone();
                content.resize(*length, 0);
                Some(content)
            }
            Kind::Directory | Kind::Symlink(_) => None,
        }
    }
}

fn file(path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> Entry {
    Entry::new(path, Kind::File(content.into(), None))
}

fn sparse(path: &str, content: Vec<u8>, segments: Vec<(u64, u64)>) -> Entry {
    Entry::new(path, Kind::File(content, Some(segments)))
}

fn directory(path: impl AsRef<[u8]>) -> Entry {
    Entry::new(path, Kind::Directory)
}

/// A data directory that needs nothing outside of it. `bulk` is the size of its largest table.
pub(crate) fn inside(bulk: usize) -> Vec<Entry> {
    let mut entries = vec![file("aria_log_control", [7; 52]), directory("db")];
    entries.extend(odd_names());
    entries.push(bulk_table(bulk));
    entries.extend(files_with_holes());
    let mut group_writable = directory("empty_db");
    group_writable.mode = 0o2750;
    group_writable.mtime = (1_000_000_000, 0);
    let mut system = file("ibdata1", tablespace(0, 6, false));
    system.system_tablespace = true;
    let mut changed =
        file("mysql/general_log.CSV", "\"2026-11-20 11:34:52\",\"root[root] @ localhost []\",\"Query\"\n");
    changed.changed = true;
    let mut shrunk = Entry::new("mysql/slow_log.CSV", Kind::Shrunk(b"what was still there\n".to_vec(), 700));
    shrunk.changed = true;
    entries.extend([
        group_writable,
        file("ib_buffer_pool", "0,5\n"),
        system,
        directory("mysql"),
        changed,
        shrunk,
        file("binlog.000007", b"\xfebin not really a log".to_vec()),
        Entry::new("binlog.index", Kind::Generated(b"./binlog.000007\n".to_vec())),
    ]);
    entries
}

/// Names that archive, index or SHA256SUMS treat in a special way.
fn odd_names() -> Vec<Entry> {
    let euro = "@20ac".repeat(50);
    let mut foreign = file("db/large_ids.frm", "owned by ids that need more than octal digits\n");
    (foreign.uid, foreign.gid, foreign.owner) = (4_000_000, 3_000_001, None);
    foreign.mode = 0o604;
    let exactly = format!("db/{}", "x".repeat(97));
    vec![
        file(b"db/caf\xe9 not utf-8 \xff.frm", "latin1\n"),
        Entry { mode: 0o640, ..file("db/empty.MYD", "") },
        foreign,
        file("db/gr\u{f6}\u{df}e \u{20ac}.frm", "utf-8\n"),
        file("db/line\nbreak and back\\slash.frm", "both escaped in SHA256SUMS\n"),
        file("db/percent%41%.frm", "escaped in the index\n"),
        file("db/ leading blank, trailing blank ", "blank\n"),
        file(format!("db/{euro}.frm"), "a name of 250 bytes and a suffix\n"),
        file(exactly, "a path of exactly 100 bytes\n"),
    ]
}

fn bulk_table(size: usize) -> Entry {
    let line = |number: usize| format!("{number:08} {}\n", "abcdefghijklmnopqrst".repeat(25));
    let content: Vec<u8> = (0..).flat_map(|number| line(number).into_bytes()).take(size).collect();
    file("db/bulk.MYD", content)
}

fn files_with_holes() -> Vec<Entry> {
    // Page-compressed: page 0 and the data of page 1 are one segment, the file ends in a hole.
    let pages = 31u64;
    let (page, kept) = (PAGE as u64, KEPT as u64);
    let mut segments = vec![(0, page + kept)];
    segments.extend((2..pages).map(|number| (number * page, kept)));
    let mut patchy = vec![0; 65_636];
    patchy[8192..12_288].fill(b'a');
    patchy[65_536..].fill(b'z');
    vec![
        sparse("db/all_hole.MYD", vec![0; 10_240], Vec::new()),
        sparse("db/ends_in_data.MYD", patchy, vec![(8192, 4096), (65_536, 100)]),
        sparse(
            "db/ends_in_hole.ibd",
            [tablespace(8, 2, false), vec![0; 4 * PAGE]].concat(),
            vec![(0, 2 * page)],
        ),
        sparse("db/page_compressed.ibd", tablespace(9, 31, true), segments),
    ]
}

/// A data directory with files elsewhere, in the order in which a donor walks: the data directory by name first.
pub(crate) fn full(bulk: usize) -> Vec<Entry> {
    let mut entries = inside(bulk);
    entries.extend(outside());
    entries.sort_by(|a, b| {
        let key =
            |entry: &Entry| (entry.origin.is_some(), PathBuf::from(OsString::from_vec(entry.path.clone())));
        key(a).cmp(&key(b))
    });
    entries
}

/// What is stored below `.wsrep_sst_backup`, and the links that lead there.
fn outside() -> Vec<Entry> {
    let mut entries = one_root();
    entries.extend(two_roots());
    entries.extend(data_directory());
    entries.extend(links());
    entries
}

/// A variable with one root: no path in the stored name.
fn one_root() -> Vec<Entry> {
    let root = format!("{ELSEWHERE}/redo");
    let stored = ".wsrep_sst_backup/innodb_log_group_home_dir";
    vec![
        directory(stored).from("innodb_log_group_home_dir", &root, &root),
        file(format!("{stored}/ib_logfile0"), vec![0x50; 12_288]).from(
            "innodb_log_group_home_dir",
            &root,
            &format!("{root}/ib_logfile0"),
        ),
    ]
}

/// A variable with two roots: the stored names hold them.
fn two_roots() -> Vec<Entry> {
    let variable = "innodb_data_home_dir";
    let stored = |path: &str| format!(".wsrep_sst_backup/{variable}{path}");
    let mut entries = Vec::new();
    for (number, name) in [(2, "a"), (3, "b")] {
        let root = format!("{ELSEWHERE}/{name}");
        let path = format!("{root}/ibdata{number}");
        entries.push(directory(stored(&root)).from(variable, &root, &root));
        let mut system = file(stored(&path), vec![0; PAGE]).from(variable, &root, &path);
        system.system_tablespace = true;
        entries.push(system);
    }
    entries
}

/// A table with `DATA DIRECTORY`: the root is that of the clause, above the database.
fn data_directory() -> Vec<Entry> {
    let root = format!("{ELSEWHERE}/tables");
    let stored = |path: &str| format!(".wsrep_sst_backup/data_directory{path}");
    let (folder, table) = (format!("{root}/db"), format!("{root}/db/t.ibd"));
    vec![
        file("db/t.isl", table.as_bytes()),
        directory(stored(&root)).from("data_directory", &root, &root),
        directory(stored(&folder)).from("data_directory", &root, &folder),
        file(stored(&table), tablespace(10, 2, false)).from("data_directory", &root, &table),
    ]
}

/// A symlinked database, a symlinked table with a long target, and a link inside the data directory.
fn links() -> Vec<Entry> {
    let link = |path: &str, target: &str| Entry::new(path, Kind::Symlink(target.as_bytes().to_vec()));
    let database = format!("{ELSEWHERE}/linked");
    let long = format!("{ELSEWHERE}/{}", "long_".repeat(20));
    let (frm, myd) = (format!("{database}/t.frm"), format!("{long}/m.MYD"));
    let stored = |path: &str| format!(".wsrep_sst_backup/symlink{path}");
    vec![
        link("linked", &database),
        link("db/m.MYD", &myd),
        link("db/relative.MYD", "bulk.MYD"),
        directory(stored(&database)).from("symlink", &database, &database),
        file(stored(&frm), "in a symlinked database\n").from("symlink", &database, &frm),
        directory(stored(&long)).from("symlink", &long, &long),
        file(stored(&myd), "a symlinked table\n").from("symlink", &long, &myd),
    ]
}
