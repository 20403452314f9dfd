//! `expected.json`: what a reader must find, from the inputs alone.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::hex;

use crate::other;
use crate::repository::{self, CLUSTER, ID, NODE};
use crate::tree::{Entry, Kind};
use crate::{Case, Writer};

/// Writes it.
pub(crate) fn write(path: &Path, case: &Case) -> Result<()> {
    let (compression, gtid) = match case.writer {
        Writer::Ours(compression) | Writer::Encrypted(compression) => {
            (compression.name(), repository::gtid())
        }
        Writer::Other => ("zstd", other::gtid()),
    };
    let files = case.entries.iter().filter(|e| matches!(e.kind, Kind::File(..) | Kind::Shrunk(..)));
    let data_bytes: usize = files.clone().filter_map(Entry::content).map(|content| content.len()).sum();
    let mut members = vec![generated("wsrep_sst_backup.json", Some(&repository::identity(&gtid)?))];
    members.extend(case.entries.iter().map(|entry| member(entry, &case.writer)));
    members.push(generated("grastate.dat", Some(grastate().as_bytes())));
    // What it holds follows from the digests above; `sha256sum` says whether it is right.
    members.push(generated("SHA256SUMS", None));
    let document = json!({
        "id": ID,
        "cluster": CLUSTER,
        "node": NODE,
        "uuid": gtid.uuid,
        "seqno": gtid.seqno,
        "domain_id": gtid.domain_id,
        "compression": compression,
        "files": files.count(),
        "data_bytes": data_bytes,
        "members": members,
    });
    fs::write(path, format!("{document:#}\n"))?;
    Ok(())
}

/// Written out here: the text that Galera itself writes.
fn grastate() -> String {
    "# GALERA saved state\nversion: 2.1\nuuid:    4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f\n\
     seqno:   9007199254740993\nsafe_to_bootstrap: 0\n"
        .to_owned()
}

fn member(entry: &Entry, writer: &Writer) -> Value {
    let ours = !matches!(writer, Writer::Other);
    let content = entry.content();
    let (kind, target, segments) = match &entry.kind {
        Kind::File(_, segments) => ("file", None, segments.as_ref()),
        Kind::Shrunk(..) => ("file", None, None),
        Kind::Directory => ("directory", None, None),
        Kind::Symlink(target) => ("symlink", Some(target), None),
        Kind::Generated(_) => ("generated", None, None),
    };
    let size = content.as_ref().map_or(0, Vec::len) as u64;
    json!({
        "path": String::from_utf8_lossy(&entry.path),
        "path_hex": hex(&entry.path),
        "kind": kind,
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "user": entry.owner.filter(|_| ours),
        "group": entry.owner.filter(|_| ours),
        "mtime": entry.mtime.0,
        "mtime_nsec": if ours { entry.mtime.1 } else { 0 },
        "size": size,
        "stored": segments.map_or(size, |segments| segments.iter().map(|segment| segment.1).sum()),
        "sparse": segments.is_some(),
        "segments": segments,
        "sha256": content.map(|content| hex(&Sha256::digest(content))),
        "target": target.map(|target| String::from_utf8_lossy(target)),
        "origin": entry.origin.as_ref().map(|(variable, root, path)| {
            json!({"variable": variable, "root": root, "path": path})
        }),
        "system_tablespace": entry.system_tablespace,
        "changed": entry.changed,
    })
}

fn generated(path: &str, content: Option<&[u8]>) -> Value {
    json!({
        "path": path,
        "path_hex": hex(path.as_bytes()),
        "kind": "generated",
        "mode": "0640",
        "size": content.map(<[u8]>::len),
        "sha256": content.map(|content| hex(&Sha256::digest(content))),
    })
}
