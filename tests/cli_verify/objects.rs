//! Damage of whole objects, and backups whose parts do not belong together.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wsrep_sst_backup::model::Compression;

use crate::support::cli::forge::{
    Forge, ID, UUID, adopt_archive, edit_index, edit_manifest, edit_member, index_lines,
};
use crate::support::cli::{Answer, cli, open_folder};
use crate::support::damage::{BROKEN, Outcome, append, delete, flip, truncate};

fn verify(repository: &Path) -> Answer {
    cli("verify").arg(ID).on(repository).run()
}

/// Exit status 4, and exactly these lines of findings.
#[track_caller]
fn assert_found(repository: &Path, findings: &[&str]) {
    let answer = verify(repository);
    let found: Vec<&str> = answer.stdout.lines().filter_map(|line| line.strip_prefix("DAMAGED  ")).collect();
    assert_eq!(found, findings, "{answer:?}");
    let verdict = answer.stdout.lines().last().unwrap();
    let count =
        if findings.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", findings.len()) };
    assert!(verdict.starts_with(&format!("Backup {ID} is DAMAGED: {count}; intact: ")), "{verdict}");
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(4), ""));
}

/// A repository with one backup that has many blocks, and its folder.
fn large(compression: Compression) -> (tempfile::TempDir, PathBuf) {
    let folder = open_folder();
    let noise = |seed: u32| -> Vec<u8> {
        (0..150_000u32)
            .flat_map(|n| (n ^ seed).wrapping_mul(2_654_435_761).rotate_left(n % 13).to_be_bytes())
            .collect()
    };
    let mut forge = Forge::empty(ID).compression(compression).system("ibdata1", vec![0; 16384]);
    for number in 0..4 {
        forge = forge.file(&format!("db/t{number}.MYD"), noise(number));
    }
    let backup = forge.write(folder.path());
    (folder, backup)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Blocks with their first byte in the stream: (offset, bytes, raw start, raw end).
fn blocks(backup: &Path) -> Vec<(u64, u64, u64, u64)> {
    let mut raw = 0;
    let lines = index_lines(backup).into_iter().map(|mut line| line["block"].take());
    lines
        .filter(Value::is_object)
        .map(|block| {
            let start = raw;
            raw += number(&block["raw"]);
            (number(&block["offset"]), number(&block["bytes"]), start, raw)
        })
        .collect()
}

/// The members of which a part lies in this stretch of the stream, filling not counted.
fn members_in(backup: &Path, start: u64, end: u64) -> Vec<String> {
    let lines = index_lines(backup).into_iter().map(|mut line| line["member"].take());
    lines
        .filter(Value::is_object)
        .filter(|member| {
            let stored = number(&member["stored"]);
            let filling = stored.next_multiple_of(512) - stored;
            number(&member["header_offset"]) < end && number(&member["end_offset"]) - filling > start
        })
        .map(|member| member["path"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_damaged_block_costs_the_files_in_it_and_nothing_else() {
    for compression in [Compression::Zstd, Compression::Gzip, Compression::Bzip2] {
        let (folder, backup) = large(compression);
        assert_eq!(verify(folder.path()).done().lines().count(), 1);
        let archive = backup.join(compression.archive_name());
        let whole = fs::read(&archive).unwrap();
        let blocks = blocks(&backup);
        assert!(blocks.len() > 8, "{}", blocks.len());
        for (number, (offset, bytes, start, end)) in blocks.iter().enumerate().step_by(3) {
            flip(&archive, offset + bytes / 2, 3);
            let answer = verify(folder.path());
            let place = format!(
                ": block {number} at byte {offset} of the archive: its {compression} data is damaged ("
            );
            let found: Vec<&str> = answer
                .stdout
                .lines()
                .filter_map(|line| line.strip_prefix("DAMAGED  ")?.split_once(&place).map(|(file, _)| file))
                .collect();
            assert_eq!(found, members_in(&backup, *start, *end), "{compression}: {}", answer.stdout);
            assert_eq!(answer.stdout.lines().count(), found.len() + 1, "{compression}: {}", answer.stdout);
            assert_eq!(answer.status, Some(4));
            fs::write(&archive, &whole).unwrap();
        }
    }
}

#[test]
fn a_cut_archive_costs_the_files_behind_the_cut() {
    for compression in Compression::ALL {
        let (folder, backup) = large(compression);
        let archive = backup.join(compression.archive_name());
        let whole = fs::read(&archive).unwrap();
        let blocks = blocks(&backup);
        let middle = blocks[blocks.len() / 2];
        for cut in [0, 1, middle.0 - 1, middle.0, middle.0 + 1, whole.len() as u64 - 1] {
            truncate(&archive, cut);
            let lost = blocks.iter().find(|(offset, bytes, ..)| offset + bytes > cut).unwrap();
            let mut wanted = vec![compression.archive_name().to_owned()];
            wanted.extend(members_in(&backup, lost.2, u64::MAX));
            let answer = verify(folder.path());
            let found: Vec<&str> =
                answer.stdout.lines().filter_map(|line| line.strip_prefix("DAMAGED  ")).collect();
            let names: Vec<&str> = found.iter().map(|line| line.split_once(": ").unwrap().0).collect();
            assert_eq!(names[..wanted.len()], wanted, "{compression}, cut at {cut}: {}", answer.stdout);
            let size = format!("{}: it has {cut} bytes, the manifest says {}", wanted[0], whole.len());
            assert_eq!(found[0], size);
            assert!(
                found[1..].iter().all(|line| line.ends_with(&format!("the archive ends at byte {cut}"))),
                "{found:?}"
            );
            assert_eq!(answer.status, Some(4));
            fs::write(&archive, &whole).unwrap();
        }
    }
}

#[test]
fn a_lost_object_is_named() {
    let folder = open_folder();
    for compression in Compression::ALL {
        let name = compression.archive_name();
        let again = || Forge::new(ID).compression(compression).write(folder.path());
        delete(&again().join(name));
        assert_found(folder.path(), &[&format!("{name}: it is missing")]);
        let backup = again();
        delete(&backup.join("index.json.zst"));
        assert_found(folder.path(), &["index.json.zst: it is missing"]);
        let note = format!(
            "Note: {name} has the SHA-256 of the manifest: it is whole, and stock tools can unpack it"
        );
        assert!(verify(folder.path()).stdout.contains(&note));
        delete(&backup.join(name));
        assert_found(folder.path(), &[&format!("{name}: it is missing"), "index.json.zst: it is missing"]);
        delete(&again().join("manifest.json"));
        let message = format!("backup '{ID}' is not complete: it has no manifest, its program has died");
        verify(folder.path()).fails(3, &message);
        fs::remove_dir_all(folder.path().join("c")).unwrap();
    }
}

#[test]
fn something_more_is_damage_too() {
    for compression in Compression::ALL {
        let folder = open_folder();
        let name = compression.archive_name();
        let backup = Forge::new(ID).compression(compression).write(folder.path());
        let length = fs::metadata(backup.join(name)).unwrap().len();
        append(&backup.join(name), b"more");
        assert_found(
            folder.path(),
            &[&format!("{name}: it has {} bytes, the manifest says {length}", length + 4)],
        );
        adopt_archive(&backup);
        let what = format!("manifest.json: it says archive bytes {}, the index says {length}", length + 4);
        assert_found(folder.path(), &[&what]);
    }
}

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
            &format!("manifest.json: it says position {UUID}:417 0, the index says {UUID}:500 0"),
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
            &format!("manifest.json: it says position {UUID}:418 0, the index says {UUID}:417 0"),
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
            &format!("manifest.json: it says gtid '{UUID}:418 0', the archive says '{UUID}:417 0'"),
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
                assert!(words.contains(broken.names), "{case}, {}: {words}", broken.name);
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
