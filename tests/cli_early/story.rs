//! Archives that are written as a capture writes them that stores files early.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use serde_json::json;
use wsrep_sst_backup::archive::{
    APPLY_MEMBER, ArchiveWriter, FILES_PREFIX, Finished, NewMember, STAND_IN, SYSTEM_PREFIX, Segment,
    WriterOptions,
};
use wsrep_sst_backup::model::{
    ArchivePath, Compression, Content, EarlyChange, FilesState, IndexHeader, WsrepGtid,
};

use crate::support::cli::forge::Bytes;
use crate::support::cli::records::{ID, manifest, put_manifest};

pub(crate) const PAGE: usize = 16 << 10;

/// A tablespace with these pages, of the format `full_crc32`; the first one counts them.
pub(crate) fn tablespace(space: u8, pages: u8, fill: u8) -> Vec<u8> {
    let mut file = Vec::new();
    for number in 0..pages {
        let mut page = vec![fill; PAGE - 4];
        page[4..8].copy_from_slice(&u32::from(number).to_be_bytes());
        page[34..38].copy_from_slice(&u32::from(space).to_be_bytes());
        if number == 0 {
            page[8..].fill(0);
            (page[25], page[37], page[41]) = (8, space, space);
            page[38 + 8 + 3] = pages;
            page[38 + 12 + 3] = pages;
            page[38 + 16 + 3] = 0x15;
        }
        let sum = crc32c::crc32c(&page);
        page.extend_from_slice(&sum.to_be_bytes());
        file.append(&mut page);
    }
    file
}

pub(crate) fn member(path: &str) -> NewMember {
    NewMember {
        path: ArchivePath::new(path),
        mode: 0o660,
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        user: None,
        group: None,
        mtime: 1_795_174_000,
        mtime_nsec: 0,
        system_tablespace: false,
        origin: None,
        listed: Some(true),
        place: None,
    }
}

/// An archive that is being written, and what must come of it.
pub(crate) struct Story {
    pub(crate) writer: ArchiveWriter<Vec<u8>, Vec<u8>>,
    expected: BTreeMap<PathBuf, Vec<u8>>,
}

impl Story {
    pub(crate) fn begin() -> Self {
        let header = IndexHeader {
            format: 2,
            id: ID.parse().unwrap(),
            content: Content::Datadir,
            files_state: FilesState::Clean,
            gtid: None,
            compression: Compression::None,
        };
        let options = WriterOptions { compression: Compression::None, level: 1, threads: 2 };
        let mut writer = ArchiveWriter::create(Vec::new(), Vec::new(), header, options, &[]).unwrap();
        writer.append_generated(member("wsrep_sst_backup.json"), &identity(false)).unwrap();
        Self { writer, expected: BTreeMap::new() }
    }

    pub(crate) fn early(&mut self, like: NewMember, content: &[u8]) -> u64 {
        let mut source = Bytes(Cursor::new(content.to_vec()));
        self.writer.append_early(like, content.len() as u64, None, &mut source).unwrap().offset
    }

    pub(crate) fn late(&mut self, like: NewMember, content: &[u8]) {
        let mut source = Bytes(Cursor::new(content.to_vec()));
        self.writer.append_file(like, content.len() as u64, None, &mut source).unwrap();
    }

    /// These pages as they are in `content`.
    pub(crate) fn pages(&mut self, of: u64, pages: &[usize], content: &[u8]) {
        let runs: Vec<Segment> =
            pages.iter().map(|page| Segment { offset: (page * PAGE) as u64, len: PAGE as u64 }).collect();
        let bytes: Vec<u8> = pages.iter().flat_map(|page| content[page * PAGE..][..PAGE].to_vec()).collect();
        self.writer.append_pages(&member(""), of, &runs, &mut &bytes[..]).unwrap();
    }

    pub(crate) fn expect(&mut self, path: &str, content: &[u8]) {
        self.expected.insert(path.into(), content.to_vec());
    }

    /// Writes the rest, and the backup; its folder.
    pub(crate) fn end(mut self, repository: &Path) -> (PathBuf, BTreeMap<PathBuf, Vec<u8>>) {
        let gtid: WsrepGtid = serde_json::from_value(manifest(ID)["gtid"].clone()).unwrap();
        self.writer.append_apply(NewMember { mode: 0o755, ..member(APPLY_MEMBER) }).unwrap();
        self.writer.append_generated(member("wsrep_sst_backup.json"), &identity(true)).unwrap();
        self.writer.append_generated(member("grastate.dat"), gtid.grastate(false).as_bytes()).unwrap();
        self.writer.append_sums(member("SHA256SUMS")).unwrap();
        self.writer.position(Some(gtid)).unwrap();
        let Finished { archive, index, summary } = self.writer.finish().unwrap();
        let folder = repository.join("c").join(ID);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("backup.tar"), archive).unwrap();
        fs::write(folder.join("index.json.zst"), index).unwrap();
        let mut manifest = manifest(ID);
        manifest["format"] = 2.into();
        manifest["method"] = "precopy".into();
        manifest["data_bytes"] = summary.data_bytes.into();
        manifest["files"] = summary.files.into();
        manifest["damaged_pages"] = summary.damaged_pages.into();
        manifest["archive"] = json!({
            "name": "backup.tar", "bytes": summary.archive_bytes, "sha256": summary.archive_sha256,
            "compression": "none", "encryption": null,
        });
        manifest["index"]["bytes"] = summary.index_bytes.into();
        manifest["index"]["sha256"] = summary.index_sha256.into();
        (put_manifest(repository, "c", &manifest), self.expected)
    }
}

/// The first one does not know the position.
fn identity(is_known: bool) -> Vec<u8> {
    let mut identity = manifest(ID);
    identity["format"] = 2.into();
    let fields = identity.as_object_mut().unwrap();
    for name in ["archive", "index", "files", "data_bytes", "damaged_pages", "warnings", "method", "finished"]
    {
        fields.remove(name);
    }
    if !is_known {
        fields.remove("gtid");
        fields.remove("frozen_at");
        fields["mariadb_gtid"] = json!({});
    }
    serde_json::to_vec_pretty(&identity).unwrap()
}

const ODD: &str = "db/it's $(odd)\n.ibd";

/// Everything that can become of a file.
pub(crate) fn story() -> Story {
    let mut story = Story::begin();
    let hot = tablespace(5, 12, 1);
    let mut torn = hot.clone();
    torn[3 * PAGE + 77] ^= 1;
    let place = Some(ArchivePath::new("ibdata1"));
    let system = NewMember { place, system_tablespace: true, ..member(&format!("{SYSTEM_PREFIX}/0")) };
    let system = story.early(system, &tablespace(0, 8, 2));
    let big = story.early(member("db/big.ibd"), &torn);
    let still = story.early(member("db/still.ibd"), &tablespace(6, 6, 3));
    let one = story.early(member("db/one.ibd"), &tablespace(7, 6, 4));
    let two = story.early(member("db/two.ibd"), &tablespace(8, 6, 5));
    let named = story.early(member("db/named.ibd"), &tablespace(9, 6, 6));
    story.early(member("db/again.ibd"), &tablespace(10, 6, 7));
    let gone = story.early(member("gone/gone.ibd"), &torn);
    let cut = story.early(member("db/cut.ibd"), &tablespace(11, 12, 8));
    let grown = story.early(member("db/grown.ibd"), &tablespace(12, 6, 9));
    let _ = still;
    // A round while the server runs, of pages that are torn again, or older than those that come.
    story.pages(big, &[3, 5], &torn);
    story.pages(cut, &[0, 11], &tablespace(11, 12, 10));
    // Now it stands still.
    story.writer.append_directory(NewMember { mode: 0o700, ..member("db") }).unwrap();
    story.late(member("db/big.frm"), b"definition");
    story.late(member("db/again.ibd"), &tablespace(20, 7, 11));
    let place = Some(ArchivePath::new("db/named.ibd"));
    story.late(NewMember { place, ..member(&format!("{FILES_PREFIX}/0")) }, &tablespace(21, 7, 12));
    let newer = tablespace(5, 12, 13);
    story.pages(big, &[3, 7, 8, 11], &newer);
    let newer_system = tablespace(0, 8, 14);
    story.pages(system, &[1, 7], &newer_system);
    let small = tablespace(11, 7, 15);
    story.pages(cut, &[0, 6], &small);
    let large = tablespace(12, 9, 16);
    story.pages(grown, &[0, 7], &large);
    story.pages(one, &[2], &tablespace(7, 6, 17));
    for change in [
        EarlyChange::Removed(gone),
        EarlyChange::Moved { member: one, to: ArchivePath::new("db/two.ibd") },
        EarlyChange::Moved { member: two, to: ArchivePath::new("db/one.ibd") },
        EarlyChange::Moved { member: named, to: ArchivePath::new(ODD) },
        EarlyChange::Resized { member: cut, size: 7 * PAGE as u64 },
        EarlyChange::Resized { member: grown, size: 9 * PAGE as u64 },
    ] {
        story.writer.change(change).unwrap();
    }
    story.writer.append_generated(member("ibdata1"), STAND_IN.as_bytes()).unwrap();
    let with = |base: &[u8], pages: &[usize], from: &[u8]| {
        let mut file = base.to_vec();
        for page in pages {
            file[page * PAGE..][..PAGE].copy_from_slice(&from[page * PAGE..][..PAGE]);
        }
        file
    };
    story.expect("ibdata1", &with(&tablespace(0, 8, 2), &[1, 7], &newer_system));
    story.expect("db/big.ibd", &with(&hot, &[3, 7, 8, 11], &newer));
    story.expect("db/still.ibd", &tablespace(6, 6, 3));
    story.expect("db/two.ibd", &with(&tablespace(7, 6, 4), &[2], &tablespace(7, 6, 17)));
    story.expect("db/one.ibd", &tablespace(8, 6, 5));
    story.expect(ODD, &tablespace(9, 6, 6));
    story.expect("db/named.ibd", &tablespace(21, 7, 12));
    story.expect("db/again.ibd", &tablespace(20, 7, 11));
    story.expect("db/big.frm", b"definition");
    story.expect("db/cut.ibd", &with(&tablespace(11, 12, 8)[..7 * PAGE], &[0, 6], &small));
    let mut grown = tablespace(12, 6, 9);
    grown.resize(9 * PAGE, 0);
    story.expect("db/grown.ibd", &with(&grown, &[0, 7], &large));
    story
}
