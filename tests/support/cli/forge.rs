//! Repositories with backups whose every value a test chooses, good ones and malicious ones.
//!
//! The archive is written by the library, as a donor does; what a donor would never write is changed afterwards in
//! the lines of the index, with the manifest following suit, so that only the lie itself is left to be found.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use wsrep_sst_backup::archive::{ArchiveWriter, FileContent, Finished, NewMember, Segment, WriterOptions};
use wsrep_sst_backup::model::{
    ArchivePath, Compression, Content, FilesState, IndexHeader, Origin, WsrepGtid,
};

pub use super::records::*;

/// The name of a backup that began so many days and one hour ago.
pub fn ago(days: i64) -> String {
    let at = Timestamp::now() - SignedDuration::from_hours(24 * days + 1);
    format!("{}_n1", at.strftime("%Y%m%dT%H%M%SZ"))
}

/// What a member is.
#[derive(Debug, Clone)]
enum Kind {
    File(Vec<u8>, Option<Vec<Segment>>),
    Directory,
    Link(String),
    Generated(Vec<u8>),
}

/// A backup to be.
#[derive(Debug, Clone)]
pub struct Forge {
    manifest: Value,
    compression: Compression,
    members: Vec<(NewMember, Kind)>,
    own: BTreeMap<&'static str, Option<Vec<u8>>>,
}

impl Forge {
    /// A backup without any file.
    pub fn empty(id: &str) -> Self {
        Self {
            manifest: manifest(id),
            compression: Compression::Zstd,
            members: Vec::new(),
            own: BTreeMap::new(),
        }
    }

    /// A small data directory.
    pub fn new(id: &str) -> Self {
        let noise: Vec<u8> = (0..3000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        Self::empty(id)
            .file("aria_log_control", [7; 52])
            .directory("db")
            .file("db/db.opt", "default-character-set=utf8mb4\n")
            .file("db/t.MYD", noise)
            .directory("empty")
            .system("ibdata1", vec![0; 16 << 10])
            .file("undo001", vec![0; 16 << 10])
    }

    /// Its compression.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Another content of `wsrep_sst_backup.json`, `grastate.dat` or `SHA256SUMS`, or none of it.
    pub fn own(mut self, name: &'static str, content: Option<&str>) -> Self {
        self.own.insert(name, content.map(|text| text.as_bytes().to_vec()));
        self
    }

    /// Changes what manifest and identity say.
    pub fn manifest(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        edit(&mut self.manifest);
        self
    }

    fn push(mut self, path: &str, kind: Kind, change: impl FnOnce(&mut NewMember)) -> Self {
        let mode = match kind {
            Kind::Directory => 0o700,
            Kind::Link(_) => 0o777,
            _ => 0o660,
        };
        let user = nix::unistd::geteuid().as_raw();
        let mut member = NewMember {
            path: ArchivePath::new(path),
            mode,
            uid: user,
            gid: nix::unistd::getegid().as_raw(),
            user: None,
            group: None,
            mtime: 1_795_174_000,
            mtime_nsec: 123_456_789,
            system_tablespace: false,
            origin: None,
            listed: None,
            place: None,
        };
        change(&mut member);
        self.members.push((member, kind));
        self
    }

    /// A file.
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.push(path, Kind::File(content.into(), None), |_| {})
    }

    /// A file of `innodb_data_file_path`.
    pub fn system(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.push(path, Kind::File(content.into(), None), |member| member.system_tablespace = true)
    }

    /// A file with holes.
    pub fn sparse(self, path: &str, content: impl Into<Vec<u8>>, segments: &[(u64, u64)]) -> Self {
        let segments = segments.iter().map(|&(offset, len)| Segment { offset, len }).collect();
        self.push(path, Kind::File(content.into(), Some(segments)), |_| {})
    }

    /// A directory.
    pub fn directory(self, path: &str) -> Self {
        self.push(path, Kind::Directory, |_| {})
    }

    /// A symbolic link.
    pub fn link(self, path: &str, target: &str) -> Self {
        self.push(path, Kind::Link(target.to_owned()), |_| {})
    }

    /// A file that the donor program makes.
    pub fn generated(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.push(path, Kind::Generated(content.into()), |_| {})
    }

    /// A file from outside of the data directory.
    pub fn external(self, variable: &str, root: &Path, path: &Path, content: impl Into<Vec<u8>>) -> Self {
        let name = path.file_name().expect("a name").to_string_lossy();
        let stored = format!(".wsrep_sst_backup/{variable}/{}{name}", self.members.len());
        self.push(&stored, Kind::File(content.into(), None), |member| {
            member.origin = Some(Origin {
                variable: variable.to_owned(),
                root: ArchivePath::new(root),
                path: ArchivePath::new(path),
            });
        })
    }

    /// Changes the last member.
    pub fn with(mut self, change: impl FnOnce(&mut NewMember)) -> Self {
        change(&mut self.members.last_mut().expect("a member").0);
        self
    }

    /// Writes it into the cluster folder `c`; the folder of the backup.
    pub fn write(&self, repository: &Path) -> PathBuf {
        let id = self.manifest["id"].as_str().expect("an id");
        let folder = repository.join("c").join(id);
        fs::create_dir_all(&folder).expect("cannot make a folder");
        let gtid: WsrepGtid = serde_json::from_value(self.manifest["gtid"].clone()).expect("a position");
        let files_state = serde_json::from_value(self.manifest["files_state"].clone());
        let header = IndexHeader {
            format: if self.manifest["format"] == 2 { 2 } else { 1 },
            id: id.parse().expect("an id"),
            content: Content::Datadir,
            files_state: files_state.unwrap_or(FilesState::Clean),
            gtid: Some(gtid.clone()),
            compression: self.compression,
        };
        let options = WriterOptions {
            compression: self.compression,
            level: self.compression.default_level(),
            // So many that blocks are as small as they get.
            threads: 32,
        };
        let mut writer =
            ArchiveWriter::create(Vec::new(), Vec::new(), header, options, &[]).expect("a writer");
        let own = |name, content: Vec<u8>| {
            let content = self.own.get(name).cloned().unwrap_or(Some(content));
            content.map(|content| Self::empty(id).generated(name, content).members.remove(0))
        };
        let first = own("wsrep_sst_backup.json", self.identity());
        let grastate = own("grastate.dat", gtid.grastate(false).into_bytes());
        for (member, kind) in first.iter().chain(&self.members).chain(&grastate) {
            append(&mut writer, member.clone(), kind);
        }
        if let Some((sums, content)) = own("SHA256SUMS", Vec::new()) {
            match (self.own.get("SHA256SUMS"), &content) {
                (Some(_), content) => append(&mut writer, sums, content),
                _ => writer.append_sums(sums).expect("sums"),
            }
        }
        let Finished { archive, index, summary } = writer.finish().expect("an archive");
        let mut manifest = self.manifest.clone();
        manifest["data_bytes"] = summary.data_bytes.into();
        manifest["files"] = summary.files.into();
        manifest["damaged_pages"] = summary.damaged_pages.into();
        manifest["archive"]["name"] = self.compression.file_name("backup.tar").into();
        manifest["archive"]["compression"] = self.compression.name().into();
        manifest["archive"]["bytes"] = summary.archive_bytes.into();
        manifest["archive"]["sha256"] = summary.archive_sha256.into();
        manifest["index"]["bytes"] = summary.index_bytes.into();
        manifest["index"]["sha256"] = summary.index_sha256.into();
        fs::write(folder.join(self.compression.file_name("backup.tar")), archive).expect("cannot write");
        fs::write(folder.join("index.json.zst"), index).expect("cannot write");
        put_manifest(repository, "c", &manifest)
    }

    fn identity(&self) -> Vec<u8> {
        let mut identity = self.manifest.clone();
        let fields = identity.as_object_mut().expect("an object");
        let kept = [
            "format",
            "id",
            "cluster",
            "node",
            "request",
            "started",
            "frozen_at",
            "donor_gtid",
            "files_state",
            "gtid",
            "mariadb_gtid",
            "server",
            "tool",
        ];
        fields.retain(|name, _| kept.contains(&name.as_str()));
        serde_json::to_vec_pretty(&identity).expect("JSON")
    }
}

type Writer = ArchiveWriter<Vec<u8>, Vec<u8>>;

fn append(writer: &mut Writer, member: NewMember, kind: &Kind) {
    let outcome = match kind {
        Kind::Directory => writer.append_directory(member),
        Kind::Link(target) => writer.append_symlink(member, ArchivePath::new(target)),
        Kind::Generated(content) => writer.append_generated(member, content),
        Kind::File(content, None) => {
            let size = content.len() as u64;
            writer.append_file(member, size, None, &mut Bytes(Cursor::new(content.clone())))
        }
        Kind::File(content, Some(segments)) => {
            let place = |at: u64| usize::try_from(at).expect("a small file");
            let data: Vec<u8> = segments
                .iter()
                .flat_map(|segment| &content[place(segment.offset)..place(segment.offset + segment.len)])
                .copied()
                .collect();
            let size = content.len() as u64;
            writer.append_file(member, size, Some(segments), &mut Bytes(Cursor::new(data)))
        }
    };
    outcome.expect("a member");
}

/// A file in memory that does not change.
pub struct Bytes(pub Cursor<Vec<u8>>);

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl FileContent for Bytes {
    fn changed(&mut self) -> bool {
        false
    }
}
