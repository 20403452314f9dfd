//! Every single bit counts: whatever is flipped anywhere is found, and the right file is named.

use std::collections::BTreeSet;

use serde_json::Value;
use wsrep_sst_backup::model::{Compression, Manifest};

use crate::support::cli::forge::{Forge, ID, index_lines};
use crate::support::cli::memory::Memory;
use crate::support::cli::open_folder;

/// A backup of a few blocks in memory, and the lines of its index.
fn backup(compression: Compression) -> (Memory, Vec<Value>) {
    let folder = open_folder();
    let backup = Forge::new(ID).link("db/link", "t.MYD").compression(compression).write(folder.path());
    (Memory::read(&backup), index_lines(&backup))
}

/// The names in the findings.
fn named(memory: &Memory) -> BTreeSet<String> {
    memory.verified().findings.into_iter().map(|finding| finding.file).collect()
}

#[test]
fn every_bit_of_the_archive_counts() {
    for compression in Compression::ALL {
        let (memory, lines) = backup(compression);
        let archive = compression.file_name("backup.tar");
        let archive = archive.as_str();
        assert_eq!(named(&memory), BTreeSet::new(), "{compression}");
        let members: Vec<(u64, u64, &str)> = lines
            .iter()
            .map(|line| &line["member"])
            .filter_map(|member| {
                Some((
                    member["header_offset"].as_u64()?,
                    member["end_offset"].as_u64()?,
                    member["path"].as_str()?,
                ))
            })
            .collect();
        let all: BTreeSet<&str> = members.iter().map(|(_, _, path)| *path).collect();
        // All of the first header, which is small, then every 97th byte.
        let places = (0..512).chain((512..memory.object(archive).len()).step_by(97));
        for (byte, bit) in places.zip((0..8).cycle()) {
            let named = named(&memory.flipped(archive, byte, bit));
            assert!(!named.is_empty(), "{compression}: bit {bit} of byte {byte} is not found");
            let byte = byte as u64;
            let hit = members.iter().find(|(begin, end, _)| (*begin..*end).contains(&byte)).map(|m| m.2);
            for name in named.iter().map(String::as_str) {
                let right = name == archive
                    || if compression == Compression::None { Some(name) == hit } else { all.contains(name) };
                assert!(right, "{compression}: '{name}' is named for bit {bit} of byte {byte}");
            }
        }
    }
}

#[test]
fn every_bit_of_the_index_counts() {
    let (memory, _) = backup(Compression::Zstd);
    for byte in 0..memory.object("index.json.zst").len() {
        let bit = u8::try_from(byte % 8).unwrap();
        let report = memory.flipped("index.json.zst", byte, bit).verified();
        let files: Vec<&str> = report.findings.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!(files, ["index.json.zst"], "bit {bit} of byte {byte}");
        assert!(report.notes[0].starts_with("backup.tar.zst has the SHA-256 of the manifest: it is whole"));
    }
}

#[test]
fn every_cut_of_an_object_is_found() {
    for compression in Compression::ALL {
        let (memory, _) = backup(compression);
        for object in [compression.file_name("backup.tar").as_str(), "index.json.zst"] {
            let whole = memory.object(object);
            let near_the_end = [1025, 1024, 1023, 512, 1].map(|bytes| whole.len().saturating_sub(bytes));
            let places = [0, 1, 511, 512, 513, whole.len() / 2].into_iter().chain(near_the_end);
            for length in places.filter(|length| *length < whole.len()) {
                let report = memory.with(object, whole[..length].to_vec()).verified();
                let first = &report.findings[0];
                let what = format!("it has {length} bytes, the manifest says {}", whole.len());
                assert_eq!((first.file.as_str(), &first.what), (object, &what), "{compression}");
                let again = report.findings[1..].iter().filter(|finding| finding.file == object).count();
                assert!(
                    again == 0 || compression == Compression::None,
                    "{compression}: {:?}",
                    report.findings
                );
            }
        }
    }
}

/// The fields that nothing but the manifest knows: they are told, and nothing is done by them.
const ONLY_TOLD: [&str; 8] = [
    "damaged_pages",
    "finished",
    "flush_ms",
    "frozen_ms",
    "method",
    "server.datadir",
    "tool.version",
    "warnings",
];
/// Those that may be missing: what is not told cannot be wrong.
const MAY_BE_UNKNOWN: [&str; 8] = [
    "donor_gtid",
    "mariadb_gtid.binlog_pos",
    "mariadb_gtid.current_pos",
    "mariadb_gtid.slave_pos",
    "request",
    "server.innodb_page_size",
    "server.version",
    "warnings",
];

/// Names of the fields that differ, and whether they are unknown now.
fn changes(whole: &Manifest, other: &Manifest) -> BTreeSet<(String, bool)> {
    fn leaves(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| leaves(&format!("{prefix}{name}."), value, into));
            }
            value => into.push((prefix.trim_end_matches('.').to_owned(), value.clone())),
        }
    }
    let flat = |manifest: &Manifest| {
        let mut all = Vec::new();
        leaves("", &serde_json::to_value(manifest).unwrap(), &mut all);
        all
    };
    let pairs = flat(whole).into_iter().zip(flat(other));
    pairs.filter(|(a, b)| a != b).map(|((name, _), (_, now))| (name, now.is_null())).collect()
}

#[test]
fn every_bit_of_the_manifest_is_found_or_harmless() {
    let folder = open_folder();
    let forge = Forge::empty(ID).system("ibdata1", vec![0; 16384]).manifest(|manifest| {
        manifest["request"] = "nightly".into();
        manifest["warnings"] = serde_json::json!(["a warning"]);
    });
    let memory = Memory::read(&forge.write(folder.path()));
    let whole = memory.manifest().unwrap();
    let mut harmless = BTreeSet::new();
    for byte in 0..memory.object("manifest.json").len() {
        for bit in 0..8 {
            let flipped = memory.flipped("manifest.json", byte, bit);
            let Ok(manifest) = flipped.manifest() else { continue };
            let changed = changes(&whole, &manifest);
            if changed.is_empty() || !flipped.verified().findings.is_empty() {
                continue;
            }
            for (field, unknown) in changed {
                let told = ONLY_TOLD.contains(&field.as_str());
                assert!(told || unknown && MAY_BE_UNKNOWN.contains(&field.as_str()), "{field}: byte {byte}");
                harmless.insert(field);
            }
        }
    }
    let expected = ONLY_TOLD.iter().chain(&MAY_BE_UNKNOWN).map(|field| (*field).to_owned());
    assert_eq!(harmless, expected.collect(), "the lists are what there is");
}
