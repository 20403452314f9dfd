//! Writes a case as a donor does: archive and index by the library, the manifest last.

use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::{
    ArchiveWriter, FileContent, Finished, GRASTATE_MEMBER, IDENTITY_MEMBER, NewMember, SUMS_MEMBER, Segment,
    WriterOptions, hex,
};
use wsrep_sst_backup::catalog::{INDEX, MANIFEST, SEALED};
use wsrep_sst_backup::model::{
    ArchiveObject, ArchivePath, BackupId, Compression, FORMAT, IndexHeader, IndexLine, IndexObject, Manifest,
    MariadbGtid, Origin, ServerIdentity, ToolIdentity, WsrepGtid,
};
use wsrep_sst_backup::seal::{AGE, Recipient, SealedWriter};

use crate::tree::{Entry, Kind};

/// wsrep_cluster_name, and the folder that comes of it.
pub(crate) const CLUSTER: &str = "fixture cluster";
pub(crate) const CLUSTER_FOLDER: &str = "fixture_cluster";
/// wsrep_node_name, and the id that comes of it.
pub(crate) const NODE: &str = "node/1";
pub(crate) const ID: &str = "20261120T113452Z_node_1";
/// When it all was.
pub(crate) const STARTED: &str = "2026-11-20T11:34:52.25Z";
pub(crate) const FROZEN_AT: &str = "2026-11-20T11:34:53.000000001Z";
pub(crate) const FINISHED: &str = "2026-11-20T11:34:54Z";

/// Threads, of which there are so many that blocks are as small as they get.
const THREADS: usize = 32;

/// The position: its seqno is one that a reader with floating-point numbers gets wrong (2^53 + 1).
pub(crate) fn gtid() -> WsrepGtid {
    let uuid = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f".to_owned();
    WsrepGtid { uuid, seqno: 9_007_199_254_740_993, domain_id: Some(7) }
}

/// The content of `wsrep_sst_backup.json`.
pub(crate) fn identity(gtid: &WsrepGtid) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&json!({
        "format": FORMAT,
        "id": ID,
        "cluster": CLUSTER,
        "node": NODE,
        "request": "req-7f3a",
        "started": STARTED,
        "frozen_at": FROZEN_AT,
        "gtid": gtid,
        "mariadb_gtid": mariadb_gtid(),
        "server": server(),
        "tool": tool(),
    }))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn mariadb_gtid() -> MariadbGtid {
    MariadbGtid {
        binlog_pos: Some("7-1-42,0-2-9".into()),
        current_pos: Some("7-1-42,0-2-9".into()),
        slave_pos: Some(String::new()),
    }
}

fn server() -> ServerIdentity {
    ServerIdentity {
        options: std::collections::BTreeMap::new(),
        version: Some("10.11.19-MariaDB-log".into()),
        datadir: "/var/lib/mysql".into(),
        innodb_page_size: Some(16384),
        ..ServerIdentity::default()
    }
}

fn tool() -> ToolIdentity {
    ToolIdentity { version: "0.1.0".into() }
}

/// Both objects and the manifest.
pub(crate) fn write(
    folder: &Path,
    entries: &[Entry],
    compression: Compression,
    recipients: &[Recipient],
) -> Result<()> {
    let mut finished = archive(entries, gtid(), compression)?;
    let mut index = in_fixed_order(&finished.index)?;
    if !recipients.is_empty() {
        index = sealed(&index, recipients)?;
        finished.archive = sealed(&finished.archive, recipients)?;
        finished.summary.archive_bytes = finished.archive.len() as u64;
        finished.summary.archive_sha256 = hex(&Sha256::digest(&finished.archive));
    }
    let mut manifest = manifest(&finished, &index, compression)?;
    if !recipients.is_empty() {
        manifest.archive.name.push_str(SEALED);
        manifest.index.name.push_str(SEALED);
        manifest.archive.encryption = Some(AGE.into());
        manifest.archive.recipients = recipients.iter().map(ToString::to_string).collect();
    }
    fs::write(folder.join(&manifest.archive.name), &finished.archive)?;
    fs::write(folder.join(&manifest.index.name), &index)?;
    fs::write(folder.join(MANIFEST), manifest.to_bytes()?)?;
    Ok(())
}

fn sealed(object: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>> {
    let mut writer = SealedWriter::create(Vec::new(), recipients)?;
    writer.write_all(object)?;
    Ok(writer.finish()?)
}

/// The archive and its index, by the library.
pub(crate) fn archive(
    entries: &[Entry],
    gtid: WsrepGtid,
    compression: Compression,
) -> Result<Finished<Vec<u8>, Vec<u8>>> {
    let options = WriterOptions { compression, level: compression.default_level(), threads: THREADS };
    let (identity, grastate) = (identity(&gtid)?, gtid.grastate(false));
    let header = IndexHeader {
        format: FORMAT,
        id: ID.parse()?,
        content: wsrep_sst_backup::model::Content::Datadir,
        files_state: wsrep_sst_backup::model::FilesState::Clean,
        gtid: Some(gtid),
        compression,
    };
    let mut writer = ArchiveWriter::create(Vec::new(), Vec::new(), header, options, &[])?;
    writer.append_generated(own_member(IDENTITY_MEMBER), &identity)?;
    for entry in entries {
        append(&mut writer, entry)?;
    }
    writer.append_generated(own_member(GRASTATE_MEMBER), grastate.as_bytes())?;
    writer.append_sums(own_member(SUMS_MEMBER))?;
    Ok(writer.finish()?)
}

fn append(writer: &mut ArchiveWriter<Vec<u8>, Vec<u8>>, entry: &Entry) -> Result<()> {
    let member = member(entry);
    match &entry.kind {
        Kind::Directory => writer.append_directory(member)?,
        Kind::Symlink(target) => writer.append_symlink(member, path(target))?,
        Kind::Generated(content) => writer.append_generated(member, content)?,
        Kind::File(content, None) => {
            let mut source = Content::new(content.clone(), entry.changed);
            writer.append_file(member, content.len() as u64, None, &mut source)?;
        }
        Kind::File(content, Some(segments)) => {
            let segments: Vec<Segment> =
                segments.iter().map(|&(offset, len)| Segment { offset, len }).collect();
            let mut data = Vec::new();
            for segment in &segments {
                let (start, len) = (usize::try_from(segment.offset)?, usize::try_from(segment.len)?);
                data.extend_from_slice(&content[start..start + len]);
            }
            let mut source = Content::new(data, entry.changed);
            writer.append_file(member, content.len() as u64, Some(&segments), &mut source)?;
        }
        Kind::Shrunk(start, length) => {
            let mut source = Content::new(start.clone(), entry.changed);
            writer.append_file(member, *length as u64, None, &mut source)?;
        }
    }
    Ok(())
}

struct Content(Cursor<Vec<u8>>, bool);

impl Content {
    fn new(bytes: Vec<u8>, changed: bool) -> Self {
        Self(Cursor::new(bytes), changed)
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl FileContent for Content {
    fn changed(&mut self) -> bool {
        self.1
    }
}

fn path(bytes: &[u8]) -> ArchivePath {
    use std::os::unix::ffi::OsStrExt;
    ArchivePath::new(std::ffi::OsStr::from_bytes(bytes))
}

fn member(entry: &Entry) -> NewMember {
    NewMember {
        path: path(&entry.path),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        user: entry.owner.map(str::to_owned),
        group: entry.owner.map(str::to_owned),
        mtime: entry.mtime.0,
        mtime_nsec: entry.mtime.1,
        system_tablespace: entry.system_tablespace,
        listed: None,
        place: None,
        origin: entry.origin.as_ref().map(|(variable, root, origin)| Origin {
            variable: (*variable).to_owned(),
            root: path(root.as_bytes()),
            path: path(origin.as_bytes()),
        }),
    }
}

/// A member that the donor program writes itself.
fn own_member(name: &str) -> NewMember {
    NewMember {
        path: path(name.as_bytes()),
        mode: 0o640,
        uid: 999,
        gid: 998,
        user: Some("mysql".into()),
        group: Some("mysql".into()),
        mtime: 1_795_174_492,
        mtime_nsec: 0,
        system_tablespace: false,
        origin: None,
        listed: None,
        place: None,
    }
}

/// The same lines, each block behind the last member that ends in it: the order in which threads happen to write
/// them is another each time.
fn in_fixed_order(index: &[u8]) -> Result<Vec<u8>> {
    let text = String::from_utf8(zstd::decode_all(index)?)?;
    let mut raw = 0;
    let mut lines = Vec::new();
    for line in text.lines() {
        let place = match serde_json::from_str(line)? {
            IndexLine::Index(_) => (0, 0),
            IndexLine::Member(member) => (member.end_offset, 1),
            IndexLine::Block(block) => {
                raw += block.raw;
                (raw, 2)
            }
            IndexLine::Change(_) => (u64::MAX, 3),
            IndexLine::End(_) => (u64::MAX, 4),
        };
        lines.push((place, line));
    }
    lines.sort_unstable();
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
    encoder.include_checksum(true)?;
    io::copy(&mut text.as_bytes(), &mut encoder)?;
    Ok(encoder.finish()?)
}

fn manifest(
    finished: &Finished<Vec<u8>, Vec<u8>>,
    index: &[u8],
    compression: Compression,
) -> Result<Manifest> {
    Ok(Manifest {
        dump: None,
        format: FORMAT,
        content: wsrep_sst_backup::model::Content::Datadir,
        id: ID.parse::<BackupId>()?,
        cluster: CLUSTER.into(),
        node: NODE.into(),
        request: Some("req-7f3a".into()),
        method: "freeze".into(),
        method_reason: None,
        started: STARTED.parse()?,
        frozen_at: FROZEN_AT.parse()?,
        finished: FINISHED.parse()?,
        flush_ms: 12,
        frozen_ms: 345,
        paused_ms: None,
        gtid: Some(gtid()),
        donor_gtid: Some(format!("{}:{}", gtid().uuid, gtid().seqno - 1)),
        mariadb_gtid: mariadb_gtid(),
        innodb_lsn: None,
        replication: None,
        server: server(),
        files_state: wsrep_sst_backup::model::FilesState::Clean,
        data_bytes: finished.summary.data_bytes,
        files: finished.summary.files,
        archive: ArchiveObject {
            name: compression.file_name("backup.tar"),
            bytes: finished.summary.archive_bytes,
            sha256: finished.summary.archive_sha256.clone(),
            compression,
            encryption: None,
            recipients: Vec::new(),
        },
        index: IndexObject {
            name: INDEX.into(),
            bytes: index.len() as u64,
            sha256: hex(&Sha256::digest(index)),
        },
        damaged_pages: finished.summary.damaged_pages,
        missing_pages: finished.summary.missing_pages,
        live_redo: finished.summary.live_redo,
        warnings: vec!["'mysql/general_log.CSV' is not a real log".into()],
        more_warnings: 0,
        tool: tool(),
    })
}
