//! Backups that are dumps, whose statements a test chooses.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::{DumpScanner, Finished, StreamWriter, WriterOptions, compress_whole, hex};
use wsrep_sst_backup::model::{Compression, Content, FilesState, IndexHeader, WsrepGtid};

use super::records::{manifest, put_manifest};

/// A whole dump with the position that [`manifest`] has, as the method logical stores it; its folder.
pub fn put_dump(repository: &Path, id: &str, statements: &[u8], users: Option<&[u8]>) -> PathBuf {
    let compression = Compression::Gzip;
    let mut manifest = manifest(id);
    let gtid: WsrepGtid = serde_json::from_value(manifest["gtid"].clone()).expect("a position");
    let header = IndexHeader {
        format: Content::Sql.format(),
        id: id.parse().expect("an id"),
        content: Content::Sql,
        files_state: FilesState::Clean,
        gtid: None,
        compression,
    };
    let options = WriterOptions { compression, level: compression.default_level(), threads: 2 };
    let mut writer = StreamWriter::create(Vec::new(), Vec::new(), header, options, &[]).expect("a writer");
    writer.write_all(statements).expect("statements");
    let mut scanner = DumpScanner::default();
    scanner.take(statements);
    let content = scanner.finish().expect("a whole dump");
    let Finished { archive, index, summary } = writer.finish(content.tables, Some(gtid)).expect("an archive");
    let time = manifest["started"].as_str().expect("a time").to_owned();
    let name = format!("backup.{time}.sql.gz");
    let folder = repository.join("c").join(id);
    fs::create_dir_all(&folder).expect("cannot make a folder");
    let users = users.map(|users| {
        let packed = compress_whole(users, compression, compression.default_level()).expect("users");
        let name = format!("users.{time}.sql.gz");
        fs::write(folder.join(&name), &packed).expect("cannot write");
        json!({"name": name, "bytes": packed.len(), "sha256": hex(&Sha256::digest(&packed))})
    });
    fs::write(folder.join(&name), archive).expect("cannot write");
    fs::write(folder.join("index.json.zst"), index).expect("cannot write");
    manifest["format"] = 2.into();
    manifest["content"] = "sql".into();
    manifest["method"] = "logical".into();
    manifest["data_bytes"] = summary.data_bytes.into();
    manifest["files"] = content.tables.into();
    manifest["archive"] = json!({
        "name": name, "bytes": summary.archive_bytes, "sha256": summary.archive_sha256, "compression": "gzip", "encryption": null
    });
    manifest["index"]["bytes"] = summary.index_bytes.into();
    manifest["index"]["sha256"] = summary.index_sha256.into();
    manifest["dump"] = json!({"whole": true, "program": "10.11.19-MariaDB", "longest_statement": content.longest_statement, "users": users});
    put_manifest(repository, "c", &manifest)
}
