//! Backups that are encrypted: read with their key, and treated as any other without it.

use std::fs;
use std::io::Write;

use serde_json::json;
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::{Finished, StreamWriter, WriterOptions, hex};
use wsrep_sst_backup::model::{Compression, Content, FilesState, IndexHeader};
use wsrep_sst_backup::seal::Recipient;

use super::support::cli::records::edit_manifest;
use super::support::cli::{cli, open_folder};
use super::{Case, DUMP, REPLICA, Stored, listed_shown_and_verified, with_key};

/// As the program has stored it.
#[test]
fn an_encrypted_dump_is_read_with_its_key_and_goes_through_every_command_without_it() {
    let case = Case { name: "dump-encrypted", ..DUMP };
    let stored = case.copy();
    assert!(stored.run("show latest").done().contains(&case.expected("gtid")));
    assert!(stored.run("list").done().contains(&stored.id));
    assert!(!fs::read_to_string(stored.object("manifest.json")).unwrap().contains("notes"), "a table's name");
    assert!(stored.run("verify latest --objects-only").done().contains("are intact"));
    held_and_pruned_without_a_key(&stored);
    locked_without_its_key(&stored, "restore latest --into /nonexistent/s");
    let stored = Stored { key: true, ..stored };
    listed_shown_and_verified(&stored);
    stored.run("restore latest --into /nonexistent/s --users").fails_with(1, "over '/nonexistent/s'");
}

fn held_and_pruned_without_a_key(stored: &Stored) {
    let older = stored.put_older();
    stored.run(&format!("hold {older}")).done();
    stored.run(&format!("release {older}")).done();
    assert!(stored.run("prune --keep-last 1").done().contains("Removed 1 backup"));
    let other = open_folder();
    stored.cli(&format!("copy {}", stored.id)).to(other.path()).run().done();
    assert!(with_key(cli("verify latest").on(other.path())).run().done().contains("is intact"));
}

fn locked_without_its_key(stored: &Stored, restore: &str) {
    for line in ["verify latest", restore] {
        let locked = stored.run(line);
        assert!(locked.status != Some(0) && locked.status != Some(4), "{line}: {locked:?}");
        assert!(locked.stderr.contains("identity-file"), "{line}: {}", locked.stderr);
    }
}

/// The stream of the fixture, encrypted as the program does it.
#[test]
fn an_encrypted_stream_of_a_replica_is_read_with_its_key() {
    let stored = REPLICA.copy();
    seal(&stored);
    assert!(stored.run("verify latest --objects-only").done().contains("are intact"));
    assert!(stored.run("show latest").done().contains("7-1-40"));
    held_and_pruned_without_a_key(&stored);
    locked_without_its_key(&stored, "restore latest --as standalone --any-server --to /nonexistent/d");
    listed_shown_and_verified(&Stored { key: true, ..stored });
}

fn seal(stored: &Stored) {
    let manifest = stored.manifest();
    let plain = zstd::decode_all(&fs::read(stored.object("backup.xb.zst")).unwrap()[..]).unwrap();
    let recipient = "age1j4cux3c899ywg235hrrhyqd9gz5eyaxxvk7pfnmuuawv34mshfns6tf7vl";
    let header = IndexHeader {
        format: 2,
        id: stored.id.parse().unwrap(),
        content: Content::Xbstream,
        files_state: FilesState::Clean,
        gtid: None,
        compression: Compression::Zstd,
    };
    let options = WriterOptions { compression: Compression::Zstd, level: 1, threads: 2 };
    let recipients = Recipient::read(recipient).unwrap();
    let mut writer = StreamWriter::create(Vec::new(), Vec::new(), header, options, &recipients).unwrap();
    writer.write_all(&plain).unwrap();
    let files = manifest["files"].as_u64().unwrap();
    let Finished { archive, index, .. } = writer.finish(files, None).unwrap();
    for (part, name, bytes) in [("archive", "backup.xb.zst", archive), ("index", "index.json.zst", index)] {
        fs::remove_file(stored.object(name)).unwrap();
        let name = format!("{name}.age");
        fs::write(stored.object(&name), &bytes).unwrap();
        edit_manifest(&stored.object(""), |manifest| {
            manifest[part]["name"] = name.into();
            manifest[part]["bytes"] = bytes.len().into();
            manifest[part]["sha256"] = hex(&Sha256::digest(&bytes)).into();
            if part == "archive" {
                manifest[part]["encryption"] = "age".into();
                manifest[part]["recipients"] = json!([recipient]);
            }
        });
    }
}
