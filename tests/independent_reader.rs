//! `tests/fixtures/reader.py` over the fixtures: what a reader finds that knows `doc/format.md` and nothing else.
//!
//! Where it and the library differ, the document, the library or the reader is wrong.

#[path = "support/damage.rs"]
mod damage;
#[path = "support/expected.rs"]
mod expected;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use damage::{BROKEN, CASES, Fixture, ID, Outcome, copy_fixture};
use expected::Expected;
use serde_json::Value;
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::hex;

/// Exit status and output of the reader.
fn reader<const N: usize>(arguments: [&OsStr; N]) -> (Option<i32>, String) {
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reader.py"))
        .args(arguments)
        .output()
        .expect("cannot run python3");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn read(command: &str, fixture: &Fixture) -> (Option<i32>, String) {
    reader([command.as_ref(), fixture.backup().as_ref()])
}

/// The lines, each a JSON value.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[ignore = "needs python3 and zstd"]
fn it_lists_and_verifies_every_fixture() {
    for case in CASES {
        let (fixture, expected) = (copy_fixture(case), Expected::read(case));
        let (status, text) = reader(["list".as_ref(), fixture.repository().as_ref()]);
        let found = json_lines(&text);
        assert_eq!((status, found.len()), (Some(0), 1), "{case}: {text}");
        assert_eq!((&found[0]["id"], &found[0]["gtid"]["seqno"]), (&ID.into(), &expected.seqno.into()));
        let whole = format!("intact: {} files\n", expected.files);
        assert_eq!(read("verify", &fixture), (Some(0), whole), "{case}");
    }
}

#[test]
#[ignore = "needs python3 and zstd"]
fn it_finds_the_members_that_the_generator_made() {
    for case in CASES {
        let (status, text) = read("members", &copy_fixture(case));
        assert_eq!(status, Some(0), "{case}: {text}");
        let (found, expected) = (json_lines(&text), Expected::read(case));
        assert_eq!(found.len(), expected.members.len(), "{case}");
        for (found, wanted) in found.iter().zip(&expected.members) {
            let name = wanted.path();
            let same = |field: &str, value: Value| {
                assert_eq!(found[field], value, "{case}, {}: {field}", name.display());
            };
            same("name", hex(name.as_os_str().as_bytes()).into());
            same("kind", wanted.kind.as_str().into());
            same("mode", wanted.mode().into());
            if let Some(sha256) = &wanted.sha256 {
                same("sha256", sha256.as_str().into());
                same("size", wanted.size.into());
            }
            // The document: a file that ends in a hole has a last segment of length 0.
            let mut segments = wanted.segments.clone();
            if let (Some(segments), Some(size)) = (&mut segments, wanted.size)
                && segments.last().is_none_or(|(offset, length)| offset + length < size)
            {
                segments.push((size, 0));
            }
            same("segments", serde_json::to_value(segments).unwrap());
            same("target", wanted.target.as_deref().into());
            let origin = |field: &str| found["origin"][field].as_str().map(str::to_owned);
            let wanted = wanted.origin.clone().map(|o| (o.variable, o.root, o.path));
            assert_eq!(
                origin("variable").zip(origin("root")).zip(origin("path")).map(|((a, b), c)| (a, b, c)),
                wanted
            );
        }
    }
}

/// The blocks (offset, length) that a member has no part in.
fn foreign_blocks(fixture: &Fixture, path: &str) -> Vec<(u64, u64)> {
    let lines = fixture.index_lines();
    let number = |value: &Value| value.as_u64().unwrap();
    let member = &lines.iter().find(|line| line["member"]["path"] == path).unwrap()["member"];
    let (begin, end) = (number(&member["header_offset"]), number(&member["end_offset"]));
    let mut raw = 0;
    let mut foreign = Vec::new();
    for block in lines.iter().map(|line| &line["block"]).filter(|block| block.is_object()) {
        let next = raw + number(&block["raw"]);
        if next <= begin || raw >= end {
            foreign.push((number(&block["offset"]), number(&block["bytes"])));
        }
        raw = next;
    }
    foreign
}

#[test]
#[ignore = "needs python3 and zstd"]
fn it_takes_out_one_file_and_reads_nothing_else() {
    for case in CASES {
        let expected = Expected::read(case);
        for (path, bytes) in [
            ("db/page_compressed.ibd", &b"db/page_compressed.ibd"[..]),
            ("db/ends_in_hole.ibd", b"db/ends_in_hole.ibd"),
            ("db/caf%E9 not utf-8 %FF.frm", b"db/caf\xe9 not utf-8 \xff.frm"),
            ("grastate.dat", b"grastate.dat"),
        ] {
            let fixture = copy_fixture(case);
            let foreign = foreign_blocks(&fixture, path);
            assert!(!foreign.is_empty(), "{case}: every block holds a part of {path}");
            let mut archive = fs::read(fixture.archive()).unwrap();
            for (offset, length) in &foreign {
                let begin = usize::try_from(*offset).unwrap();
                archive[begin..][..usize::try_from(*length).unwrap()].fill(0xFF);
            }
            fs::write(fixture.archive(), &archive).unwrap();

            let out = fixture.repository().join("out");
            let (status, text) =
                reader(["extract".as_ref(), fixture.backup().as_ref(), path.as_ref(), out.as_ref()]);
            assert_eq!(status, Some(0), "{case}, {path}: {text}");
            let read = json_lines(&text)[0]["read"].as_u64().unwrap();
            assert_eq!(read, archive.len() as u64 - foreign.iter().map(|block| block.1).sum::<u64>());
            let digest = hex(&Sha256::digest(fs::read(&out).unwrap()));
            let name = OsStr::from_bytes(bytes);
            let wanted = expected.members.iter().find(|member| member.path() == name).unwrap();
            assert_eq!(Some(digest), wanted.sha256, "{case}, {path}");
        }
    }
}

#[test]
#[ignore = "needs python3 and zstd"]
fn it_sees_every_broken_repository() {
    for case in ["zstd", "none"] {
        for broken in BROKEN {
            let fixture = broken.of(case);
            if broken.outcome == Outcome::NoBackup {
                let listed = reader(["list".as_ref(), fixture.repository().as_ref()]);
                assert_eq!(listed, (Some(0), String::new()), "{case}, {}", broken.name);
                continue;
            }
            let (status, text) = read("verify", &fixture);
            assert_eq!(status, Some(1), "{case}, {}: {text}", broken.name);
            assert!(!text.contains("intact"), "{case}, {}: {text}", broken.name);
        }
    }
}

/// Pages over files that were stored while they changed, names that were exchanged, files that are gone, cut or grown.
#[test]
#[ignore = "needs python3 and zstd"]
fn it_makes_the_files_at_the_end_of_what_was_stored_early() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-2/early");
    let from = fixture.join("repository/c/20261120T113452Z_n1");
    let (status, text) = reader(["files".as_ref(), from.as_ref()]);
    assert_eq!(status, Some(0), "{text}");
    let found: BTreeMap<String, String> = json_lines(&text)
        .iter()
        .map(|file| (file["name"].as_str().unwrap().into(), file["sha256"].as_str().unwrap().into()))
        .collect();
    // As `sha256sum` writes it: a line with an escaped name begins with a backslash.
    let expected: BTreeMap<String, String> = fs::read_to_string(fixture.join("expected.sha256"))
        .unwrap()
        .lines()
        .map(|line| {
            let (digest, name) = line.trim_start_matches('\\').split_once("  ./").unwrap();
            (hex(name.replace("\\n", "\n").as_bytes()), digest.to_owned())
        })
        .collect();
    assert_eq!(found, expected);
    let whole = format!("intact: {} files\n", expected.len());
    assert_eq!(reader(["verify".as_ref(), from.as_ref()]), (Some(0), whole));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (status, text) = reader(["extract".as_ref(), from.as_ref(), "db/two.ibd".as_ref(), out.as_ref()]);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(hex(&Sha256::digest(fs::read(&out).unwrap())), expected[&hex(b"db/two.ibd")]);
}
