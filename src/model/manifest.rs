//! `manifest.json`: the commit mark of a backup.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    BackupClass, BackupId, Connection, Dump, LiveRedo, MethodReason, ServerIdentity, WsrepGtid, to_record,
};
use super::{Compression, Content, FORMAT, FilesState, NEWEST_FORMAT};
use crate::seal;

/// What a backup is, in one small file: written last, removed first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of archive, index and manifest.
    pub format: u32,
    /// What the archive is. Absent where it is the files of a data directory.
    #[serde(default, skip_serializing_if = "Content::is_datadir")]
    pub content: Content,
    /// Name of the backup, equal to its folder.
    pub id: BackupId,
    /// wsrep_cluster_name.
    pub cluster: String,
    /// wsrep_node_name of the donor.
    pub node: String,
    /// Request id and labels that came in the SST address.
    pub request: Option<String>,
    /// How the data was captured.
    pub method: String,
    /// Why so. Absent in backups of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method_reason: Option<MethodReason>,
    /// When the donor program started.
    pub started: Timestamp,
    /// The moment that the data is from: when `tables_flushed` was seen.
    pub frozen_at: Timestamp,
    /// When archive and index were durable.
    pub finished: Timestamp,
    /// Milliseconds from `flush tables` to `tables_flushed`.
    pub flush_ms: u64,
    /// Milliseconds from `flush tables` to `continue`: how long the server was frozen.
    pub frozen_ms: u64,
    /// Milliseconds for which the program that captured the data held up the server by itself, where that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_ms: Option<u64>,
    /// The position of the files in their cluster, to the transaction. Absent where the server was no Galera node: then
    /// `mariadb_gtid` tells where it stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<WsrepGtid>,
    /// What mysqld passed with `--gtid`: the position of the request, at or before `gtid`.
    pub donor_gtid: Option<String>,
    /// MariaDB's own positions at the freeze, where SQL answered.
    pub mariadb_gtid: MariadbGtid,
    /// How far InnoDB's redo log had come (LSN), of a server that was no Galera node: what says which of its backups is further on. Absent
    /// where that is not known, as in what older programs have written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub innodb_lsn: Option<u64>,
    /// From whom the donor replicated at that moment: none of that is in the backup. Absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Vec<Connection>>,
    /// The server.
    pub server: ServerIdentity,
    /// What its files are. Absent where nothing is to be recovered.
    #[serde(default, skip_serializing_if = "FilesState::is_clean")]
    pub files_state: FilesState,
    /// Bytes of all files, holes included.
    pub data_bytes: u64,
    /// Number of files.
    pub files: u64,
    /// Of a redo log that is not stored as a whole: what is there of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_redo: Option<LiveRedo>,
    /// The archive.
    pub archive: ArchiveObject,
    /// The index.
    pub index: IndexObject,
    /// What was dumped, where the archive is statements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<Dump>,
    /// InnoDB pages that were not what the server had written when they were read.
    pub damaged_pages: u64,
    /// InnoDB pages that the tablespaces count and that were not there: files that were cut off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing_pages: u64,
    /// What an administrator should know about this backup.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How many more of them there were than a manifest has room for; the donor's error log has all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_warnings: u64,
    /// The program that made it.
    pub tool: ToolIdentity,
}

/// MariaDB's global transaction ids while the server was frozen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MariadbGtid {
    /// `@@gtid_binlog_pos`: where a replica of this node starts.
    pub binlog_pos: Option<String>,
    /// `@@gtid_current_pos`.
    pub current_pos: Option<String>,
    /// `@@gtid_slave_pos`.
    pub slave_pos: Option<String>,
}

impl MariadbGtid {
    /// Where a server stands that is in no cluster: by its own binary log, else by what it has replicated.
    fn words(&self) -> &str {
        let known = [&self.binlog_pos, &self.slave_pos].into_iter().flatten();
        known.map(String::as_str).find(|position| !position.is_empty()).unwrap_or("-")
    }
}

/// The archive object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveObject {
    /// File name beside the manifest.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the object.
    pub sha256: String,
    /// Compression of its blocks.
    pub compression: Compression,
    /// Encryption of this object and of the index: [`crate::seal::AGE`], or none.
    pub encryption: Option<String>,
    /// The public keys that they are encrypted for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

/// An object of a backup, as its manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredObject<'a> {
    /// File name beside the manifest.
    pub name: &'a str,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the object.
    pub sha256: &'a str,
}

/// The index object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexObject {
    /// File name beside the manifest.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the object.
    pub sha256: String,
}

/// The program that made a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolIdentity {
    /// Version of wsrep_sst_backup.
    pub version: String,
}

/// A manifest that cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("the manifest is damaged: {0}")]
    Damaged(String),
    /// Written by a newer program.
    #[error(
        "the backup has format {found}, this program reads up to {NEWEST_FORMAT}: use a newer wsrep_sst_backup"
    )]
    Newer {
        /// The number in the manifest.
        found: u64,
    },
    /// A later program may know other contents.
    #[error("the archive is '{0}', which this program does not know: use a newer wsrep_sst_backup")]
    Content(String),
    /// A later program may know other methods.
    #[error(
        "the archive is encrypted with '{0}', which this program does not know: use a newer wsrep_sst_backup"
    )]
    Encrypted(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What lies beside archive and index and speaks of the backup: none of them is its archive or its index, so that a copy of
/// one never passes for a hold or a verification.
const RECORDS: [&str; 5] = ["drill.json", "hold.json", "manifest.json", "status.json", "verify.json"];

impl Manifest {
    /// The history that its files are of, and how far they are in it. A server that is no Galera node has a history by itself, in which InnoDB's
    /// LSN tells what is further: it only grows, and a server that was installed anew begins again far below. Without it (0) only time tells.
    pub fn lineage(&self) -> WsrepGtid {
        self.gtid.clone().unwrap_or_else(|| WsrepGtid {
            uuid: Self::history_of_server(&self.node, &self.server.datadir),
            seqno: self.innodb_lsn.and_then(|lsn| i64::try_from(lsn).ok()).unwrap_or(0),
            domain_id: None,
        })
    }

    /// The history of a server that is in no cluster: two on one machine have the same name, and not the same data directory.
    pub fn history_of_server(node: &str, datadir: &str) -> String {
        format!("server {node} at {}", datadir.trim_end_matches('/'))
    }

    /// How far it is, and how far the other one, where both are of one history.
    pub fn seqno_beside(&self, other: &Self) -> Option<(i64, i64)> {
        let (own, other) = (self.lineage(), other.lineage());
        (own.uuid == other.uuid).then_some((own.seqno, other.seqno))
    }

    /// Where its files stand, for a person.
    pub fn position(&self) -> String {
        self.gtid.as_ref().map_or_else(|| self.mariadb_gtid.words().to_owned(), WsrepGtid::position)
    }

    /// How far that is in its history, in a column; the position of the server's own binary log where it is in no cluster.
    pub fn seqno(&self) -> String {
        self.gtid.as_ref().map_or_else(|| self.mariadb_gtid.words().to_owned(), |gtid| gtid.seqno.to_string())
    }

    /// How many things an administrator should know about this backup.
    pub fn warning_count(&self) -> u64 {
        self.more_warnings.saturating_add(self.warnings.len() as u64)
    }

    /// The warnings, and the number of those that are not here.
    pub fn warning_lines(&self) -> impl Iterator<Item = String> + '_ {
        let more = (self.more_warnings > 0)
            .then(|| format!("{} more warnings: the donor's error log has them all", self.more_warnings));
        self.warnings.iter().cloned().chain(more)
    }

    /// What happened to [`Self::lost_pages`], in a word.
    pub fn lost_in_a_word(&self) -> &'static str {
        match (self.damaged_pages, self.missing_pages) {
            (_, 0) => "damaged",
            (0, _) => "missing",
            _ => "damaged or missing",
        }
    }

    /// What it can stand in for.
    pub fn class(&self) -> BackupClass {
        self.dump.as_ref().map_or(BackupClass::Physical, Dump::class)
    }

    /// The objects beside it that it names; the small one that says where everything is comes first, the archive last.
    pub fn objects(&self) -> Vec<StoredObject<'_>> {
        let (archive, index) = (&self.archive, &self.index);
        let users = self.dump.as_ref().and_then(|dump| dump.users.as_ref());
        let named = |name, bytes, sha256| StoredObject { name, bytes, sha256 };
        std::iter::once(named(index.name.as_str(), index.bytes, index.sha256.as_str()))
            .chain(users.map(|users| named(&users.name, users.bytes, &users.sha256)))
            .chain([named(&archive.name, archive.bytes, &archive.sha256)])
            .collect()
    }

    /// InnoDB pages that cannot be used, because they are damaged or not there: the donor's own files were so.
    pub fn lost_pages(&self) -> u64 {
        self.damaged_pages.saturating_add(self.missing_pages)
    }

    /// Reads a manifest, refusing a newer format before it looks at anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Probe {
            format: u64,
            #[serde(default)]
            content: Option<String>,
        }
        let damaged = |error: serde_json::Error| ManifestError::Damaged(super::not_understood(&error));
        let probe: Probe = serde_json::from_slice(bytes).map_err(damaged)?;
        if probe.format > u64::from(NEWEST_FORMAT) {
            return Err(ManifestError::Newer { found: probe.format });
        }
        if probe.format == 0 {
            return Err(ManifestError::Damaged("there is no format 0".into()));
        }
        if let Some(content) = probe.content.filter(|_| probe.format > u64::from(FORMAT))
            && !Content::ALL.iter().any(|known| known.name() == content)
        {
            return Err(ManifestError::Content(content));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        if manifest.gtid.is_none() && manifest.format == FORMAT {
            return Err(ManifestError::Damaged("missing field `gtid`".into()));
        }
        if manifest.format < manifest.content.format() {
            let (format, content) = (manifest.format, manifest.content.name());
            return Err(ManifestError::Damaged(format!("format {format} has no content '{content}'")));
        }
        if manifest.format < manifest.files_state.format() {
            return Err(ManifestError::Damaged("format 1 has no files of a crashed server".into()));
        }
        if let Some(method) = manifest.archive.encryption.as_ref().filter(|method| *method != seal::AGE) {
            return Err(ManifestError::Encrypted(method.clone()));
        }
        if (manifest.content == Content::Sql) != manifest.dump.is_some() {
            return Err(ManifestError::Damaged("the content 'sql' and the field `dump` go together".into()));
        }
        for StoredObject { name, .. } in manifest.objects() {
            // The times in the names of a dump have colons, as the programs that read such files want them.
            let plain =
                if manifest.content == Content::Sql { name.replace(':', "_") } else { name.to_owned() };
            if super::safe_component(&plain) != plain || RECORDS.contains(&name) {
                return Err(ManifestError::Damaged(format!(
                    "'{name}' is not a file name beside the manifest"
                )));
            }
        }
        Ok(manifest)
    }

    /// The manifest as it is stored.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        to_record(self)
    }
}
