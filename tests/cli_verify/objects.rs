//! Damage of whole objects: cut, lost, flipped, longer than they were.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wsrep_sst_backup::model::Compression;

use crate::support::cli::forge::{
    Forge, ID, adopt_archive, change_digest, edit_index, edit_manifest, index_lines,
};
use crate::support::cli::{Answer, cli, open_folder};
use crate::support::damage::{append, delete, flip, truncate};

pub(crate) fn verify(repository: &Path) -> Answer {
    cli("verify").arg(ID).on(repository).run()
}

/// Exit status 4, and exactly these lines of findings.
#[track_caller]
pub(crate) fn assert_found(repository: &Path, findings: &[&str]) {
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
pub(crate) fn large(compression: Compression) -> (tempfile::TempDir, PathBuf) {
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
pub(crate) fn blocks(backup: &Path) -> Vec<(u64, u64, u64, u64)> {
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
pub(crate) fn members_in(backup: &Path, start: u64, end: u64) -> Vec<String> {
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
        let archive = backup.join(compression.file_name("backup.tar"));
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
        let archive = backup.join(compression.file_name("backup.tar"));
        let whole = fs::read(&archive).unwrap();
        let blocks = blocks(&backup);
        let middle = blocks[blocks.len() / 2];
        for cut in [0, 1, middle.0 - 1, middle.0, middle.0 + 1, whole.len() as u64 - 1] {
            truncate(&archive, cut);
            let lost = blocks.iter().find(|(offset, bytes, ..)| offset + bytes > cut).unwrap();
            let mut wanted = vec![compression.file_name("backup.tar")];
            wanted.extend(members_in(&backup, lost.2, u64::MAX));
            let answer = cli("verify --json").arg(ID).on(folder.path()).run();
            let told: Value = serde_json::from_str(&answer.stdout).unwrap();
            let findings = told["report"]["findings"].as_array().unwrap();
            let all = |field| findings.iter().map(move |finding| finding[field].as_str().unwrap());
            let names: Vec<&str> = all("file").collect();
            assert_eq!(names[..wanted.len()], wanted, "{compression}, cut at {cut}: {}", answer.stdout);
            let size = format!("it has {cut} bytes, the manifest says {}", whole.len());
            assert_eq!(all("what").next().unwrap(), size);
            let end = format!("the archive ends at byte {cut}");
            assert!(all("what").skip(1).all(|what| what.ends_with(&end)), "{}", answer.stdout);
            assert_eq!(answer.status, Some(4));
            // For people one cause of many is one line.
            let page = verify(folder.path());
            let lines: Vec<&str> =
                page.stdout.lines().filter_map(|line| line.strip_prefix("DAMAGED  ")).collect();
            let behind = findings.len() - 1;
            if behind > 3 {
                let line = format!("{behind} files: {end}; {}, {}, {} and ", names[1], names[2], names[3]);
                let rest = format!("{line}{} more (--json names them all)", behind - 3);
                assert_eq!(lines, [format!("{}: {size}", names[0]), rest], "{}", page.stdout);
            } else {
                assert_eq!(lines.len(), findings.len(), "{}", page.stdout);
            }
            assert!(
                page.stdout.contains(&format!("is DAMAGED: {} finding", findings.len())),
                "{}",
                page.stdout
            );
            fs::write(&archive, &whole).unwrap();
        }
    }
}

#[test]
fn damage_behind_the_last_member_is_told_beside_other_findings() {
    let folder = open_folder();
    let backup = Forge::new(ID).write(folder.path());
    // The end of the tar as a block of its own.
    let members = index_lines(&backup).into_iter().filter_map(|line| line["member"]["end_offset"].as_u64());
    let end = members.max().unwrap();
    let archive = backup.join("backup.tar.zst");
    let stream = zstd::decode_all(fs::read(&archive).unwrap().as_slice()).unwrap();
    let (data, tail) = stream.split_at(usize::try_from(end).unwrap());
    let frames = [data, tail].map(|part| zstd::bulk::compress(part, 1).unwrap());
    fs::write(&archive, frames.concat()).unwrap();
    edit_index(&backup, |lines| {
        let at = lines.iter().position(|line| line["block"].is_object()).unwrap();
        let first = frames[0].len();
        let block =
            |offset, bytes, raw| serde_json::json!({"block": {"offset": offset, "bytes": bytes, "raw": raw}});
        lines[at] = block(0, first, data.len());
        lines.insert(at + 1, block(first, frames[1].len(), tail.len()));
        lines.last_mut().unwrap()["end"]["blocks"] = 2.into();
    });
    adopt_archive(&backup);
    verify(folder.path()).done();
    edit_manifest(&backup, |manifest| manifest["node"] = "n2".into());
    let first = frames[0].len() as u64;
    flip(&archive, first, 0);
    assert_found(
        folder.path(),
        &[
            "manifest.json: it says node 'n2', the archive says 'n1'",
            &format!(
                "backup.tar.zst: block 1 at byte {first} of the archive: its zstd data is damaged (Unknown frame descriptor)"
            ),
        ],
    );
}

#[test]
fn a_lost_object_is_named() {
    let folder = open_folder();
    for compression in Compression::ALL {
        let name = compression.file_name("backup.tar");
        let name = name.as_str();
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
        let name = compression.file_name("backup.tar");
        let name = name.as_str();
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

/// `restore --delta` goes by them, and a whole restore would not show that one is wrong.
#[test]
fn a_digest_of_a_part_that_is_wrong_is_named_with_its_file() {
    for (end, name) in [("head", "db/t1.MYD"), ("tail", "db/t2.MYD")] {
        let (folder, backup) = large(Compression::Zstd);
        cli("verify latest").on(folder.path()).run().done();
        let begin = |lines: &[Value]| {
            let member = lines.iter().map(|line| &line["member"]).find(|member| member["path"] == name);
            number(&member.unwrap()["header_offset"])
        };
        edit_index(&backup, |lines| {
            let begin = begin(lines);
            let mut raw = 0;
            let blocks = lines.iter_mut().filter_map(|line| line.get_mut("block"));
            let mut after = blocks.filter(|block| {
                raw += number(&block["raw"]);
                raw > begin && block[end].is_string()
            });
            // The block in which it begins has its tail, and the next one a head of it.
            let block = if end == "tail" { after.next() } else { after.nth(1) };
            change_digest(&mut block.unwrap()[end]);
        });
        let answer = verify(folder.path());
        let found: Vec<&str> =
            answer.stdout.lines().filter_map(|line| line.strip_prefix("DAMAGED  ")).collect();
        assert_eq!((answer.status, found.len()), (Some(4), 1), "{answer:?}");
        let text = format!("{name}: the index has a wrong digest of its bytes ");
        assert!(
            found[0].starts_with(&text) && found[0].contains("which are what was backed up"),
            "{found:?}"
        );
        // What is damaged itself is told once.
        let archive = backup.join("backup.tar.zst");
        let place =
            blocks(&backup).into_iter().find(|(.., end)| *end > begin(&index_lines(&backup))).unwrap();
        flip(&archive, place.0 + place.1 / 2, 0);
        let answer = verify(folder.path());
        assert!(!answer.stdout.contains(&format!("{name}: the index has")), "{}", answer.stdout);
    }
}

#[test]
fn a_file_with_several_digests_that_are_wrong_is_named_once() {
    let (folder, backup) = large(Compression::Zstd);
    let name = "db/t1.MYD";
    edit_index(&backup, |lines| {
        let member = lines.iter().map(|line| &line["member"]).find(|member| member["path"] == name).unwrap();
        let (begin, end) = (number(&member["header_offset"]), number(&member["end_offset"]));
        let mut raw = 0;
        let blocks = lines.iter_mut().filter_map(|line| line.get_mut("block"));
        // The parts of this file alone: it begins in one block, goes on in others, and ends in one.
        let mut changed = 0;
        for block in blocks {
            let from = raw;
            raw += number(&block["raw"]);
            if block["tail"].is_string() && from <= begin && begin < raw {
                change_digest(&mut block["tail"]);
                changed += 1;
            }
            if block["head"].is_string() && begin < from && from < end {
                change_digest(&mut block["head"]);
                changed += 1;
            }
        }
        assert!(changed > 2, "{changed}");
    });
    let answer = verify(folder.path());
    let found: Vec<&str> = answer.stdout.lines().filter_map(|line| line.strip_prefix("DAMAGED  ")).collect();
    assert_eq!((answer.status, found.len()), (Some(4), 1), "{answer:?}");
    assert!(
        found[0].starts_with(name) && found[0].contains(" more of its parts, which are what"),
        "{found:?}"
    );
}
