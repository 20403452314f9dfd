//! Backups whose parts do not belong together, or contradict each other.

use std::fs;
use std::path::Path;

use serde_json::Value;
use wsrep_sst_backup::model::Compression;

use crate::objects::{assert_found, verify};
use crate::support::cli::forge::{Forge, ID, UUID, edit_index, edit_manifest, edit_member, manifest};
use crate::support::cli::{cli, open_folder};
use crate::support::damage::{BROKEN, Outcome};

#[test]
fn parts_of_different_backups_do_not_pass() {
    let folder = open_folder();
    let other_id = "20261120T120000Z_n1";
    let ours = Forge::new(ID).compression(Compression::None).write(folder.path());
    let other = Forge::new(other_id)
        .compression(Compression::None)
        .manifest(|m| m["gtid"]["seqno"] = 500.into())
        .write(folder.path());
    let sha = |folder: &Path, object: &str| -> String {
        let manifest: Value =
            serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
        manifest[object]["sha256"].as_str().unwrap().to_owned()
    };
    let keep = |name: &str| fs::copy(ours.join(name), folder.path().join(name)).unwrap();
    let back = |name: &str| fs::copy(folder.path().join(name), ours.join(name)).unwrap();

    keep("index.json.zst");
    fs::copy(other.join("index.json.zst"), ours.join("index.json.zst")).unwrap();
    let found = verify(folder.path()).stdout;
    assert!(found.starts_with("DAMAGED  index.json.zst: it"), "{found}");
    back("index.json.zst");

    // The other archive is as long as ours, and its files are the same.
    keep("backup.tar");
    fs::copy(other.join("backup.tar"), ours.join("backup.tar")).unwrap();
    let found = verify(folder.path());
    assert!(
        found.stdout.contains("wsrep_sst_backup.json: ") && found.stdout.contains("grastate.dat: "),
        "{}",
        found.stdout
    );
    assert!(!found.stdout.contains("ibdata1"), "{}", found.stdout);
    assert_eq!(found.status, Some(4));
    back("backup.tar");

    // Archive and index of the other one, with the digests to it: only what they say of themselves is left.
    for name in ["backup.tar", "index.json.zst"] {
        fs::copy(other.join(name), ours.join(name)).unwrap();
    }
    edit_manifest(&ours, |manifest| {
        for object in ["archive", "index"] {
            manifest[object]["sha256"] = sha(&other, object).into();
            let name = manifest[object]["name"].as_str().unwrap();
            manifest[object]["bytes"] = fs::metadata(ours.join(name)).unwrap().len().into();
        }
    });
    assert_found(
        folder.path(),
        &[
            &format!("manifest.json: it says backup {ID}, the index says {other_id}"),
            &format!(
                "manifest.json: it says position {UUID}:417 (domain 0), the index says {UUID}:500 (domain 0)"
            ),
            "manifest.json: it says started '2026-11-20T11:34:52Z', the archive says '2026-11-20T12:00:00Z'",
            "manifest.json: it says frozen_at '2026-11-20T11:34:52.25Z', the archive says '2026-11-20T12:00:00.25Z'",
        ],
    );

    // A folder that was renamed.
    fs::rename(&other, folder.path().join("c/20261120T120001Z_n1")).unwrap();
    let message = "backup '20261120T120001Z_n1': its manifest is that of '20261120T120000Z_n1'; a folder was renamed, \
                   or a file copied";
    cli("verify 20261120T120001Z_n1").on(folder.path()).run().fails(4, message);
}

#[test]
fn the_donors_own_members_must_tell_the_same_story() {
    for (name, content, finding) in [
        ("grastate.dat", Some("# GALERA saved state\n"), format!("grastate.dat: it does not say the position of the index, {UUID}:417")),
        ("grastate.dat", None, "grastate.dat: the archive does not hold it".to_owned()),
        ("SHA256SUMS", Some("x"), "SHA256SUMS: its digests are not those of the index".to_owned()),
        ("SHA256SUMS", None, "SHA256SUMS: the archive does not hold it".to_owned()),
        ("wsrep_sst_backup.json", Some("{}"), "wsrep_sst_backup.json: it is not what this file must be: missing field `format` at line 1 column 2".to_owned()),
        ("wsrep_sst_backup.json", None, "wsrep_sst_backup.json: the archive does not hold it".to_owned()),
    ] {
        let folder = open_folder();
        Forge::new(ID).own(name, content).write(folder.path());
        assert_found(folder.path(), &[&finding]);
    }
}

#[test]
fn the_position_of_the_request_is_at_or_before_that_of_the_files() {
    let folder = open_folder();
    // As the first versions wrote it.
    let mut old = manifest(ID);
    old.as_object_mut().unwrap().retain(|field, _| field != "donor_gtid");
    let old = serde_json::to_string(&old).unwrap();
    let backup = Forge::new(ID).own("wsrep_sst_backup.json", Some(&old)).write(folder.path());
    verify(folder.path()).done();
    for asked in [format!("{UUID}:418"), format!("{}:416", UUID.replace('4', "5")), "soon".into()] {
        edit_manifest(&backup, |manifest| manifest["donor_gtid"] = asked.as_str().into());
        let found = format!(
            "manifest.json: it says donor_gtid '{asked}', which is no position before its own, {UUID}:417"
        );
        assert_found(folder.path(), &[&found]);
    }
}

#[test]
fn every_field_of_the_identity_is_compared() {
    let folder = open_folder();
    for (pointer, value, finding) in [
        ("/cluster", "other", "cluster 'other', the archive says 'c'"),
        ("/node", "n2", "node 'n2', the archive says 'n1'"),
        ("/request", "r2", "request 'r2', the archive says 'r1'"),
        (
            "/started",
            "2026-11-20T11:34:51Z",
            "started '2026-11-20T11:34:51Z', the archive says '2026-11-20T11:34:52Z'",
        ),
        (
            "/frozen_at",
            "2026-11-20T11:34:52Z",
            "frozen_at '2026-11-20T11:34:52Z', the archive says '2026-11-20T11:34:52.25Z'",
        ),
        (
            "/mariadb_gtid/binlog_pos",
            "0-1-401",
            "mariadb_gtid.binlog_pos '0-1-401', the archive says '0-1-400'",
        ),
        ("/mariadb_gtid/current_pos", "", "mariadb_gtid.current_pos '', the archive says '0-1-400'"),
        ("/mariadb_gtid/slave_pos", "0-1-1", "mariadb_gtid.slave_pos '0-1-1', the archive says ''"),
        (
            "/donor_gtid",
            "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:1",
            "donor_gtid '4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:1', the archive says '4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:416'",
        ),
        ("/server/version", "9", "server.version '9', the archive says '10.11.19-MariaDB-log'"),
    ] {
        let backup =
            Forge::new(ID).manifest(|manifest| manifest["request"] = "r1".into()).write(folder.path());
        edit_manifest(&backup, |manifest| *manifest.pointer_mut(pointer).unwrap() = value.into());
        assert_found(folder.path(), &[&format!("manifest.json: it says {finding}")]);
    }
    let backup = Forge::new(ID).write(folder.path());
    edit_manifest(&backup, |manifest| {
        manifest["files"] = 4.into();
        manifest["data_bytes"] = 1.into();
        manifest["gtid"]["seqno"] = 418.into();
    });
    assert_found(
        folder.path(),
        &[
            &format!(
                "manifest.json: it says position {UUID}:418 (domain 0), the index says {UUID}:417 (domain 0)"
            ),
            "manifest.json: it says files 4, the index says 5",
            "manifest.json: it says data bytes 1, the index says 44850",
        ],
    );
    // Manifest and index are forged alike.
    edit_manifest(&backup, |manifest| {
        (manifest["files"], manifest["data_bytes"]) = (5.into(), 44_850.into());
    });
    edit_index(&backup, |lines| lines[0]["index"]["gtid"]["seqno"] = 418.into());
    assert_found(
        folder.path(),
        &[
            &format!(
                "manifest.json: it says gtid '{UUID}:418 (domain 0)', the archive says '{UUID}:417 (domain 0)'"
            ),
            &format!("grastate.dat: it does not say the position of the index, {UUID}:418"),
        ],
    );
}

/// What is done to the line of a member.
type Change = &'static dyn Fn(&mut Value);

#[test]
fn lies_of_the_index_are_found() {
    let folder = open_folder();
    let cases: [(&str, Change, &str); 9] = [
        ("db/t.MYD", &|m| m["path"] = "ibdata1".into(), "index.json.zst: member 'ibdata1' occurs twice"),
        (
            "db/t.MYD",
            &|m| m["path"] = "undo001/x".into(),
            "index.json.zst: member 'undo001/x' lies behind 'undo001', which is no directory",
        ),
        (
            "db/t.MYD",
            &|m| m["path"] = "/etc/x".into(),
            "index.json.zst: member '/etc/x' does not follow the one before, or has an unsafe path",
        ),
        (
            "db/t.MYD",
            &|m| m["stored"] = 1.into(),
            "index.json.zst: member 'db/t.MYD' has sizes that cannot be",
        ),
        (
            "db/t.MYD",
            &|m| m["sha256"] = Value::Null,
            "index.json.zst: member 'db/t.MYD' has a digest where there is none, or none where there is one",
        ),
        (
            "db/t.MYD",
            &|m| m["target"] = "x".into(),
            "index.json.zst: member 'db/t.MYD' is a link without target, or has one without being a link",
        ),
        (
            "db",
            &|m| m["system_tablespace"] = true.into(),
            "index.json.zst: member 'db' cannot be a system tablespace",
        ),
        (
            "db",
            &|m| m["mtime_nsec"] = 1_000_000_000.into(),
            "index.json.zst: member 'db' has a time that cannot be",
        ),
        (
            "db/t.MYD",
            &|m| m["sha256"] = "0".repeat(64).into(),
            "db/t.MYD: its content is not what was backed up (SHA-256 differs); bytes ",
        ),
    ];
    for (member, change, finding) in cases {
        let backup = Forge::new(ID).write(folder.path());
        edit_member(&backup, member, change);
        let answer = verify(folder.path());
        assert!(answer.stdout.starts_with(&format!("DAMAGED  {finding}")), "{finding}: {}", answer.stdout);
        assert_eq!(answer.status, Some(4), "{finding}");
    }
}

#[test]
fn every_broken_repository_is_told_by_the_exit_status() {
    for broken in BROKEN {
        for case in ["zstd", "none"] {
            let fixture = broken.of(case);
            let answer = cli("verify").arg(crate::support::damage::ID).on(&fixture.repository()).run();
            let words = format!("{}{}", answer.stdout, answer.stderr);
            assert_eq!(answer.status, Some(broken.outcome.exit_status()), "{case}, {}: {words}", broken.name);
            if broken.outcome != Outcome::NoBackup {
                // Of many files that one cause has cost the page names the first.
                let json =
                    || cli("verify --json").arg(crate::support::damage::ID).on(&fixture.repository()).run();
                let named = words.contains(broken.names) || json().stdout.contains(broken.names);
                assert!(named, "{case}, {}: {words}", broken.name);
            }
            assert!(!words.contains("is intact"), "{case}, {}: {words}", broken.name);
            assert_eq!(
                answer.stdout.is_empty(),
                !answer.stderr.is_empty(),
                "one place for the message: {words}"
            );
        }
    }
}
