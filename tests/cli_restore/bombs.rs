//! Small objects that unpack to much: what they take is bounded by what is in flight, not by what they say.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::json;
use wsrep_sst_backup::model::Compression;

use super::malice::{MEMORY_KIB, assert_refused};
use crate::restore;
use crate::support::cli::forge::{Forge, ID, adopt_archive, edit_index, edit_manifest, index_lines};
use crate::support::cli::{cli, open_folder};

/// Replaces the index by one that is made of this text behind its first line, so many times.
fn blow_up(backup: &Path, line: &str, times: usize) {
    let first = fs::read(backup.join("index.json.zst")).unwrap();
    let first = zstd::decode_all(first.as_slice()).unwrap();
    let first = first.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let mut object = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    object.write_all(first).unwrap();
    for _ in 0..times {
        object.write_all(line.as_bytes()).unwrap();
    }
    let object = object.finish().unwrap();
    assert!(object.len() < 100 << 10, "{} bytes are no bomb", object.len());
    fs::write(backup.join("index.json.zst"), &object).unwrap();
    let sha256 = wsrep_sst_backup::archive::hex(&<sha2::Sha256 as sha2::Digest>::digest(&object));
    edit_manifest(backup, |manifest| {
        manifest["index"] = json!({"name": "index.json.zst", "bytes": object.len(), "sha256": sha256});
    });
}

#[test]
fn an_index_takes_no_more_memory_than_it_has_bytes_to_show() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let member = "{\"member\":{\"path\":\"d\",\"kind\":\"directory\",\"mode\":448,\"uid\":0,\"gid\":0,\"mtime\":0,\"size\":0,\
                  \"stored\":0,\"header_offset\":0,\"end_offset\":512}}\n";
    let padded = format!("{}{}\n", " ".repeat(1 << 19), member.trim_end());
    for (line, times, text) in [
        (
            "{\"block\":{\"offset\":0,\"bytes\":1,\"raw\":1}}\n",
            8_000_000,
            "block 1 does not follow the one before",
        ),
        (member, 1_000_000, "member 'd' does not follow the one before"),
        (
            &padded.replace("\"path\":\"d\"", "\"path\":\"d\",\"unknown\":[0,0,0]"),
            200,
            "member 'd' does not follow",
        ),
        (&format!("{}\n", " ".repeat((1 << 20) - 2)), 200, "EOF while parsing a value"),
    ] {
        let backup = Forge::new(ID).write(&repository);
        blow_up(&backup, line, times);
        assert_refused(folder.path(), text);
        for command in ["ls latest", "list"] {
            let answer = cli(command).on(&repository).run();
            assert!(answer.peak_kib < MEMORY_KIB, "{command}: {} KiB for {text}", answer.peak_kib);
        }
    }
}

#[test]
fn what_follows_the_last_member_is_not_kept() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let backup = Forge::new(ID).write(&repository);
    // 1 GiB of zeros in blocks that the format allows: 100 KB in the repository.
    let zeros = zstd::bulk::compress(&vec![0; 8 << 20], 1).unwrap();
    let mut archive = fs::read(backup.join("backup.tar.zst")).unwrap();
    edit_index(&backup, |lines| {
        let mut end = lines.pop().unwrap();
        for _ in 0..128 {
            lines.push(json!({"block": {"offset": archive.len(), "bytes": zeros.len(), "raw": 8 << 20}}));
            archive.extend_from_slice(&zeros);
        }
        let blocks = lines.iter().filter(|line| line["block"].is_object());
        end["end"]["raw"] =
            blocks.clone().map(|line| line["block"]["raw"].as_u64().unwrap()).sum::<u64>().into();
        end["end"]["blocks"] = blocks.count().into();
        lines.push(end);
    });
    fs::write(backup.join("backup.tar.zst"), archive).unwrap();
    adopt_archive(&backup);
    let verify = cli("verify latest --threads 8").on(&repository).run();
    assert!(verify.done().contains(" is intact: "), "{}", verify.stdout);
    let restored = restore(&repository, &folder.path().join("data"), "--threads 8");
    restored.done();
    for (command, peak) in [("verify", verify.peak_kib), ("restore", restored.peak_kib)] {
        // Ten blocks of 8 MiB, and the program.
        assert!(peak < MEMORY_KIB + (32 << 10), "{command}: {peak} KiB");
    }
}

#[test]
fn the_data_of_a_member_does_not_pass_for_its_name() {
    let folder = open_folder();
    let name = 128 << 20;
    let forge = Forge::new(ID).compression(Compression::None).file("db/long.MYD", vec![b'x'; name]);
    let backup = forge.write(&folder.path().join("r"));
    let lines = index_lines(&backup);
    let member =
        lines.iter().map(|line| &line["member"]).find(|member| member["path"] == "db/long.MYD").unwrap();
    let at = usize::try_from(member["header_offset"].as_u64().unwrap()).unwrap();
    let mut archive = fs::read(backup.join("backup.tar")).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(name as u64);
    header.set_cksum();
    archive[at..at + 512].copy_from_slice(header.as_bytes());
    fs::write(backup.join("backup.tar"), archive).unwrap();
    adopt_archive(&backup);
    assert_refused(folder.path(), "its tar header is");
}
