//! Repositories with backups whose every value a test chooses, good ones and malicious ones.
//!
//! The archive is written by the library, as a donor does; what a donor would never write is changed afterwards in
//! the lines of the index, with the manifest following suit, so that only the lie itself is left to be found.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::{ArchiveWriter, NewMember, Segment, Source, WriterOptions, hex};
use wsrep_sst_backup::model::{ArchivePath, Compression, IndexHeader, Origin, WsrepGtid};

/// The history that forged backups are from.
pub const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";
/// A backup's name, from which its times follow.
pub const ID: &str = "20261120T113452Z_n1";

/// `manifest.json` of a backup of cluster `c`; whatever a test wants otherwise it changes.
pub fn manifest(id: &str) -> Value {
    let at = |fraction: &str| {
        let (date, time) = (&id[..8], &id[9..15]);
        format!(
            "{}-{}-{}T{}:{}:{}{fraction}Z",
            &date[..4],
            &date[4..6],
            &date[6..],
            &time[..2],
            &time[2..4],
            &time[4..]
        )
    };
    json!({
        "format": 1, "id": id, "cluster": "c", "node": &id[17..], "request": null, "method": "freeze",
        "started": at(""), "frozen_at": at(".25"), "finished": at(".9"), "flush_ms": 12, "frozen_ms": 801,
        "gtid": {"uuid": UUID, "seqno": 417, "domain_id": 0}, "donor_gtid": format!("{UUID}:416"),
        "mariadb_gtid": {"binlog_pos": "0-1-400", "current_pos": "0-1-400", "slave_pos": ""},
        "server": {"version": "10.11.19-MariaDB-log", "datadir": "/var/lib/mysql", "innodb_page_size": 16384},
        "data_bytes": 147_849_216, "files": 357,
        "archive": {"name": "backup.tar.zst", "bytes": 55_574_528, "sha256": "71".repeat(32),
                    "compression": "zstd", "encryption": null},
        "index": {"name": "index.json.zst", "bytes": 23_563, "sha256": "49".repeat(32)},
        "damaged_pages": 0, "warnings": [], "tool": {"version": "0.1.0"}
    })
}

/// Puts a manifest into its folder; nothing else of the backup is there. The folder.
pub fn put_manifest(repository: &Path, cluster: &str, manifest: &Value) -> PathBuf {
    let id = manifest["id"].as_str().expect("an id");
    let text = serde_json::to_vec_pretty(manifest).expect("JSON");
    put_object(repository, &format!("{cluster}/{id}/manifest.json"), text)
}

/// Puts any file into the repository; the folder that it is in.
pub fn put_object(repository: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = repository.join(name);
    let folder = path.parent().expect("a folder").to_owned();
    fs::create_dir_all(&folder).expect("cannot make a folder");
    fs::write(path, content).expect("cannot write an object");
    folder
}

/// `status.json` of an attempt.
pub fn status(id: &str, state: &str, error: Option<&str>) -> Value {
    let manifest = manifest(id);
    json!({
        "id": id, "cluster": "c", "node": manifest["node"], "request": null, "state": state,
        "started": manifest["started"], "updated": manifest["finished"], "pid": 4711, "bytes_done": 1,
        "bytes_total": 2, "gtid": null, "error": error
    })
}

/// Changes the manifest of a backup.
pub fn edit_manifest(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    edit(&mut manifest);
    fs::write(path, serde_json::to_vec_pretty(&manifest).expect("JSON")).expect("cannot write");
}

/// The lines of an index.
pub fn index_lines(folder: &Path) -> Vec<Value> {
    let object = fs::read(folder.join("index.json.zst")).expect("an index");
    let text = zstd::decode_all(object.as_slice()).expect("zstd");
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect()
}

/// Changes the lines of an index, and lets the manifest say its new size and digest.
pub fn edit_index(folder: &Path, edit: impl FnOnce(&mut Vec<Value>)) {
    let mut lines = index_lines(folder);
    edit(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let object = zstd::encode_all(text.as_bytes(), 1).expect("zstd");
    let (bytes, sha256) = (object.len(), hex(&Sha256::digest(&object)));
    fs::write(folder.join("index.json.zst"), object).expect("cannot write");
    edit_manifest(folder, |manifest| {
        manifest["index"]["bytes"] = bytes.into();
        manifest["index"]["sha256"] = sha256.into();
    });
}

/// Changes the line of one member.
pub fn edit_member(folder: &Path, path: &str, edit: impl FnOnce(&mut Value)) {
    edit_index(folder, |lines| {
        let mut members = lines.iter_mut().filter_map(|line| line.get_mut("member"));
        let found = members.find(|member| member["path"] == path);
        edit(found.unwrap_or_else(|| panic!("no member '{path}'")));
    });
}

/// Lets the manifest say size and digest of the archive as it is.
pub fn adopt_archive(folder: &Path) {
    edit_manifest(folder, |manifest| {
        let object = fs::read(folder.join(manifest["archive"]["name"].as_str().expect("a name")));
        let object = object.expect("an archive");
        manifest["archive"]["bytes"] = object.len().into();
        manifest["archive"]["sha256"] = hex(&Sha256::digest(&object)).into();
    });
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
        let header = IndexHeader {
            format: 1,
            id: id.parse().expect("an id"),
            gtid: gtid.clone(),
            compression: self.compression,
        };
        let options = WriterOptions {
            compression: self.compression,
            level: self.compression.default_level(),
            // So many that blocks are as small as they get.
            threads: 32,
        };
        let mut writer = ArchiveWriter::create(Vec::new(), Vec::new(), header, options).expect("a writer");
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
        let summary = writer.finish().expect("an archive");
        let mut manifest = self.manifest.clone();
        manifest["data_bytes"] = summary.data_bytes.into();
        manifest["files"] = summary.files.into();
        manifest["damaged_pages"] = summary.damaged_pages.into();
        manifest["archive"]["name"] = self.compression.archive_name().into();
        manifest["archive"]["compression"] = self.compression.name().into();
        manifest["archive"]["bytes"] = summary.archive_bytes.into();
        manifest["archive"]["sha256"] = summary.archive_sha256.into();
        manifest["index"]["bytes"] = summary.index_bytes.into();
        manifest["index"]["sha256"] = summary.index_sha256.into();
        fs::write(folder.join(self.compression.archive_name()), summary.archive).expect("cannot write");
        fs::write(folder.join("index.json.zst"), summary.index).expect("cannot write");
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

struct Bytes(Cursor<Vec<u8>>);

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Source for Bytes {
    fn changed(&mut self) -> bool {
        false
    }
}
