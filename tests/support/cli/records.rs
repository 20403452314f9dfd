//! The documents of a backup as JSON: written as a test wants them, and changed in what is there already.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::hex;

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

/// Puts a manifest into its folder. Where the objects that it names are not there, they get the right size and nothing
/// but a hole in them. The folder.
pub fn put_manifest(repository: &Path, cluster: &str, manifest: &Value) -> PathBuf {
    let id = manifest["id"].as_str().expect("an id");
    let text = serde_json::to_vec_pretty(manifest).expect("JSON");
    let folder = put_object(repository, &format!("{cluster}/{id}/manifest.json"), text);
    for object in ["archive", "index"] {
        let (name, bytes) = (manifest[object]["name"].as_str(), manifest[object]["bytes"].as_u64());
        let (Some(name), Some(bytes)) = (name.filter(|name| !name.contains('/')), bytes) else { continue };
        if let Ok(file) = File::create_new(folder.join(name)) {
            file.set_len(bytes).expect("a file of that size");
        }
    }
    folder
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
        "bytes_total": 2, "frozen_ms": null, "gtid": null, "error": error
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

/// Another digit at the end of a digest of an index.
pub fn change_digest(digest: &mut Value) {
    let text = digest.as_str().expect("a digest");
    let last = if text.ends_with('0') { "1" } else { "0" };
    *digest = format!("{}{last}", &text[..text.len() - 1]).into();
}
