//! The archive as a whole: written, read back by us and by the stock tools.

mod at_once;
mod damage;
mod parts;

use std::io::{self, Cursor, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::testing::{InMemory, member};
use super::*;
use crate::model::{ArchivePath, Block, Compression, Content, FilesState, IndexHeader, Member, MemberKind};
use crate::seal::{Identities, Recipient};

/// 1 MiB that compresses somewhat.
fn noise(seed: u32) -> Vec<u8> {
    (0..1u32 << 18)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 9).to_le_bytes())
        .collect()
}

fn options(compression: Compression) -> WriterOptions {
    WriterOptions { compression, level: 1, threads: 16 }
}

struct WrittenArchive {
    archive: Vec<u8>,
    index: Index,
    archive_sha256: String,
}

/// Files of 0 to 1 MiB, a sparse one with many segments that ends in a hole, long names, a link.
fn write_sample(compression: Compression) -> WrittenArchive {
    write_sealed(compression, &[], None)
}

/// The same, sealed for somebody who has the keys.
fn write_sealed(
    compression: Compression,
    recipients: &[Recipient],
    keys: Option<&Identities>,
) -> WrittenArchive {
    let header = IndexHeader {
        format: 1,
        id: "20261120T113452Z_n1".parse().unwrap(),
        content: Content::Datadir,
        files_state: FilesState::Clean,
        gtid: Some("4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:6 0".parse().unwrap()),
        compression,
    };
    let mut writer =
        ArchiveWriter::create(Vec::new(), Vec::new(), header, options(compression), recipients).unwrap();
    writer.append_generated(member(IDENTITY_MEMBER), b"{}").unwrap();
    writer.append_directory(member("db")).unwrap();
    writer.append_file(member("db/empty"), 0, None, &mut InMemory::new(&[])).unwrap();
    for seed in 0..3 {
        let name = format!("db/t{seed}.MYD");
        writer.append_file(member(&name), 1 << 20, None, &mut InMemory::new(&noise(seed))).unwrap();
    }
    let long = format!("db/{}.frm", "n".repeat(150));
    writer.append_file(member(&long), 3, None, &mut InMemory::new(b"abc")).unwrap();
    let segments: Vec<Segment> = (0..60).map(|n| Segment { offset: 4096 + n * 16384, len: 4096 }).collect();
    let data: Vec<u8> = (0..60u8).flat_map(|n| vec![n + 1; 4096]).collect();
    writer.append_file(member("db/sparse.ibd"), 1 << 20, Some(&segments), &mut InMemory::new(&data)).unwrap();
    // Data segments that do not fill their tar blocks: no file system of today has such holes.
    let odd = [Segment { offset: 100, len: 700 }, Segment { offset: 5000, len: 10 }];
    writer.append_file(member("db/odd.MYD"), 6000, Some(&odd), &mut InMemory::new(&[b'o'; 710])).unwrap();
    writer.append_symlink(member("link"), ArchivePath::new("/elsewhere")).unwrap();
    writer.append_file(member("shrunk.CSV"), 1000, None, &mut InMemory::new(&[b'x'; 10])).unwrap();
    writer.append_file(member("grown.CSV"), 10, None, &mut InMemory::that_changes(&[b'x'; 1000])).unwrap();
    writer.append_sums(member(SUMS_MEMBER)).unwrap();
    let Finished { archive, index, summary } = writer.finish().unwrap();
    assert_eq!(summary.files, 9);
    assert_eq!(summary.archive_bytes, archive.len() as u64);
    let index = Index::read(&index[..], &summary.index_sha256, keys).unwrap();
    WrittenArchive { archive, index, archive_sha256: summary.archive_sha256 }
}

fn stream(archive: Vec<u8>, index: &Index) -> StreamReader {
    unsealed(archive, index, index.plan(), None)
}

fn unsealed(archive: Vec<u8>, index: &Index, plan: ReadPlan, keys: Option<Arc<Identities>>) -> StreamReader {
    let options = ReaderOptions {
        compression: index.header.compression,
        threads: 3,
        keys,
        borders: None,
        is_damage: |_| false,
    };
    StreamReader::new(BlockReader::open(Cursor::new(archive), plan, &options).unwrap())
}

/// Names and reasons of the members that cannot be read.
fn damaged_members(archive: Vec<u8>, index: &Index) -> Vec<(String, String)> {
    damaged_in(&mut stream(archive, index), &index.members)
}

fn damaged_in<'a>(
    stream: &mut StreamReader,
    members: impl IntoIterator<Item = &'a Member>,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for member in members {
        let outcome = read_member(stream, member, |content| {
            use sha2::Digest;
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            Ok((bytes.len() as u64, hex(&sha2::Sha256::digest(&bytes))))
        });
        match outcome.unwrap() {
            Ok((size, sha)) if member.sha256.as_ref().is_none_or(|wanted| *wanted == sha) => {
                assert_eq!(size, member.size);
            }
            Ok(_) => found.push((member.path.to_string(), "sha".into())),
            Err(MemberDamage(what)) => found.push((member.path.to_string(), what)),
        }
    }
    found
}

#[test]
fn what_is_written_is_read_back() {
    for compression in Compression::ALL {
        let written = write_sample(compression);
        assert!(written.index.blocks.len() > 5, "several blocks");
        assert_eq!(damaged_members(written.archive.clone(), &written.index), [], "{compression}");
        let (digest, damage) = stream(written.archive, &written.index).finish().unwrap();
        assert_eq!((digest.unwrap().sha256, damage), (written.archive_sha256, vec![]));
    }
}

/// A key pair of age.
fn key_pair() -> (Recipient, Arc<Identities>) {
    use age::secrecy::ExposeSecret;
    let key = age::x25519::Identity::generate();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, key.to_string().expose_secret()).unwrap();
    let keys = Identities::read(&file, &|_| None).unwrap();
    (Recipient::read(&key.to_public().to_string()).unwrap().remove(0), Arc::new(keys))
}

#[test]
fn what_is_sealed_is_read_back() {
    let (recipient, keys) = key_pair();
    for compression in Compression::ALL {
        let written = write_sealed(compression, std::slice::from_ref(&recipient), Some(&keys));
        let (index, archive) = (&written.index, &written.archive);
        let mut all = unsealed(archive.clone(), index, index.plan(), Some(Arc::clone(&keys)));
        assert_eq!(damaged_in(&mut all, &index.members), [], "{compression}");
        let (digest, damage) = all.finish().unwrap();
        assert_eq!(digest.unwrap().sha256, written.archive_sha256, "{compression}");
        assert_eq!((damage, hex_of(archive)), (vec![], written.archive_sha256));
    }
}

#[test]
fn some_members_are_had_without_the_others() {
    let (recipient, keys) = key_pair();
    for (recipients, keys) in [(vec![], None), (vec![recipient], Some(keys))] {
        let written = write_sealed(Compression::Gzip, &recipients, keys.as_deref());
        let index = &written.index;
        for wanted in [&["db/t1.MYD", "link"][..], &["db/t0.MYD"], &["SHA256SUMS"], &["db"], &[]] {
            let wanted = |member: &Member| wanted.iter().any(|path| member.path.to_string() == *path);
            let plan = index.plan_for(wanted);
            assert!(
                plan.blocks.len() < index.blocks.len(),
                "{} of {}",
                plan.blocks.len(),
                index.blocks.len()
            );
            let mut stream = unsealed(written.archive.clone(), index, plan, keys.clone());
            assert_eq!(damaged_in(&mut stream, index.members.iter().filter(|m| wanted(m))), []);
        }
        let mut stream = unsealed(written.archive.clone(), index, index.plan_for(|_| false), keys.clone());
        assert_eq!(
            damaged_in(&mut stream, &index.members[..1]).len(),
            1,
            "what was not asked for is not there"
        );
    }
}

#[test]
fn the_stock_tools_read_it() {
    for (compression, tool) in [
        (Compression::Zstd, "zstd"),
        (Compression::Gzip, "gzip"),
        (Compression::Bzip2, "bzip2"),
        (Compression::None, "cat"),
    ] {
        let written = write_sample(compression);
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("backup");
        std::fs::write(&object, &written.archive).unwrap();
        let flags: &[&str] = if tool == "cat" { &[] } else { &["-dc"] };
        let mut tool = Command::new(tool)
            .args(flags)
            .stdin(std::fs::File::open(&object).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let target = folder.path().join("out");
        std::fs::create_dir(&target).unwrap();
        let tar = Command::new("tar")
            .arg("-x")
            .arg("--no-same-owner")
            .arg("-C")
            .arg(&target)
            .stdin(tool.stdout.take().unwrap())
            .status()
            .unwrap();
        assert!(tar.success() && tool.wait().unwrap().success(), "{compression}");
        let sums = Command::new("sha256sum")
            .args(["-c", "--quiet", SUMS_MEMBER])
            .current_dir(&target)
            .output()
            .unwrap();
        assert!(sums.status.success(), "{compression}: {sums:?}");
        assert_eq!(std::fs::read(target.join("db/t1.MYD")).unwrap(), noise(1));
        assert_eq!(std::fs::read_link(target.join("link")).unwrap().to_str(), Some("/elsewhere"));
    }
}

#[test]
fn a_file_that_shrinks_or_grows_is_marked_and_the_archive_stays_whole() {
    let written = write_sample(Compression::Zstd);
    let changed: Vec<String> = written
        .index
        .members
        .iter()
        .filter(|member| member.changed)
        .map(|member| member.path.to_string())
        .collect();
    assert_eq!(changed, ["shrunk.CSV", "grown.CSV"]);
}

fn hex_of(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(bytes))
}

/// Many threads on few cores: a thread may rest at any point while the others run on. Whatever order
/// they come in, the oldest block must always be able to go on.
#[test]
fn more_threads_than_cores_never_wait_for_each_other() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let header = write_sample(Compression::None).index.header;
        for threads in [2, 3, 8, 32] {
            let options = WriterOptions { compression: Compression::Zstd, level: 1, threads };
            let mut writer =
                ArchiveWriter::create(io::sink(), io::sink(), header.clone(), options, &[]).unwrap();
            for number in 0..20 {
                let size = 24 << 20;
                let name = format!("t{number}");
                writer.append_file(member(&name), size, None, &mut Zeros(size)).unwrap();
            }
            writer.finish().unwrap();
        }
        done.send(()).unwrap();
    });
    let outcome = finished.recv_timeout(std::time::Duration::from_secs(120));
    assert!(outcome.is_ok(), "the writer hangs");
}

struct Zeros(u64);

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.0).unwrap().min(buffer.len());
        buffer[..count].fill(0);
        self.0 -= count as u64;
        Ok(count)
    }
}

impl FileContent for Zeros {
    fn changed(&mut self) -> bool {
        false
    }
}
