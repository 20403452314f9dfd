//! What damage costs: flipped bits, cut archives, full disks, an index that lies.

use std::io;

use super::*;

#[test]
fn a_broken_seal_costs_the_files_of_its_blocks_only() {
    let (recipient, keys) = key_pair();
    let written = write_sealed(Compression::Zstd, &[recipient], Some(&keys));
    let index = &written.index;
    let (third, fifth) = (index.blocks[2], index.blocks[4]);
    let mut archive = written.archive.clone();
    // The header of age and what sealing adds move everything by less than a chunk.
    let at = |block: &Block| usize::try_from(block.offset + block.bytes / 2 + 400).unwrap();
    archive[at(&third)] ^= 1;
    archive[at(&fifth)] ^= 1;
    let mut stream = unsealed(archive, index, index.plan(), Some(keys));
    let found = damaged_in(&mut stream, &index.members);
    let (digest, damage) = stream.finish().unwrap();
    assert_eq!(digest, None, "something was passed over");
    let blocks: Vec<usize> = damage.iter().map(|damage| damage.block).collect();
    // A chunk of 64 KiB may reach into the blocks beside it.
    assert!(blocks.contains(&2) && blocks.contains(&4) && blocks.len() <= 6, "{damage:?}");
    assert!(damage.iter().all(|damage| damage.reason.contains("encryption shows that it was changed")));
    assert!(!found.is_empty() && found.len() < index.members.len() / 2, "{found:?}");
}

#[test]
fn a_flipped_bit_costs_the_files_of_its_block_only() {
    for compression in [Compression::Zstd, Compression::Gzip, Compression::Bzip2, Compression::None] {
        let mut written = write_sample(compression);
        let t1 =
            written.index.members.iter().find(|m| m.path == ArchivePath::new("db/t1.MYD")).unwrap().clone();
        let middle = t1.header_offset.midpoint(t1.end_offset);
        let mut raw = 0;
        let block = *written
            .index
            .blocks
            .iter()
            .find(|block| {
                raw += block.raw;
                raw > middle
            })
            .unwrap();
        let at = usize::try_from(block.offset + block.bytes / 2).unwrap();
        written.archive[at] ^= 1;
        let found = damaged_members(written.archive, &written.index);
        assert_eq!(found.len(), 1, "{compression}: {found:?}");
        assert_eq!(found[0].0, "db/t1.MYD", "{compression}");
        if compression != Compression::None {
            assert!(found[0].1.contains(&format!("at byte {}", block.offset)), "{compression}: {found:?}");
        }
    }
}

#[test]
fn a_truncated_archive_costs_the_files_behind_the_cut() {
    let mut written = write_sample(Compression::Zstd);
    let cut = written.index.blocks[2].offset + 10;
    written.archive.truncate(usize::try_from(cut).unwrap());
    let raw_kept: u64 = written.index.blocks[..2].iter().map(|block| block.raw).sum();
    let expected: Vec<String> = written
        .index
        .members
        .iter()
        .filter(|member| member.end_offset > raw_kept)
        .map(|member| member.path.to_string())
        .collect();
    let found: Vec<String> =
        damaged_members(written.archive, &written.index).into_iter().map(|f| f.0).collect();
    assert_eq!(found, expected);
}

/// An object of which the disk does not give some bytes.
struct BadDisk {
    object: Cursor<Vec<u8>>,
    bad: u64,
}

impl Read for BadDisk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bad.checked_sub(self.object.position()).unwrap_or(u64::MAX);
        if left == 0 {
            return Err(io::Error::from_raw_os_error(5));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.object.read(&mut buffer[..most])
    }
}

impl io::Seek for BadDisk {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.object.seek(to)
    }
}

#[test]
fn what_cannot_be_read_is_damage_of_its_block_for_who_goes_on_and_the_end_for_who_does_not() {
    let (recipient, keys) = key_pair();
    for (written, keys) in [
        (write_sample(Compression::None), None),
        (write_sample(Compression::Zstd), None),
        (write_sealed(Compression::Zstd, &[recipient], Some(&keys)), Some(keys)),
    ] {
        let blocks = &written.index.blocks;
        let last = written.archive.len() as u64 - 1;
        for (bad, number) in [
            (if keys.is_some() { 400 } else { 0 }, 0),
            (blocks[2].offset + blocks[2].bytes / 2 + if keys.is_some() { 400 } else { 0 }, 2),
            (last, blocks.len() - 1),
        ] {
            let read = |is_damage| {
                let object = BadDisk { object: Cursor::new(written.archive.clone()), bad };
                let compression = written.index.header.compression;
                let options =
                    ReaderOptions { compression, threads: 3, keys: keys.clone(), borders: None, is_damage };
                StreamReader::new(BlockReader::open(object, written.index.plan(), &options).unwrap())
            };
            let (digest, damage) = read(|error| error.raw_os_error() == Some(5)).finish().unwrap();
            assert_eq!(digest, None, "something was passed over");
            // A chunk of a seal, 64 KiB, may reach into the blocks beside it.
            assert!(
                damage.iter().any(|damage| damage.block == number) && damage.len() <= 4,
                "{bad}: {damage:?}"
            );
            assert!(damage.len() == 1 || keys.is_some(), "{bad}: {damage:?}");
            for damage in damage {
                assert_eq!(
                    (damage.reason.as_str(), damage.unread_at),
                    ("it cannot be read: Input/output error (os error 5)", Some(bad))
                );
            }
            assert_eq!(read(|_| false).finish().unwrap_err().raw_os_error(), Some(5));
        }
    }
}

struct Failing(usize);

impl io::Write for Failing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        self.0 -= 1;
        Ok(buffer.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_at_any_write_is_its_own_error() {
    let header = write_sample(Compression::None).index.header;
    for writes in 0..12 {
        let outcome = (|| {
            let mut writer = ArchiveWriter::create(
                Failing(writes),
                Vec::new(),
                header.clone(),
                options(Compression::None),
                &[],
            )?;
            for seed in 0..6 {
                let name = format!("t{seed}");
                writer.append_file(member(&name), 1 << 20, None, &mut InMemory::new(&noise(seed)))?;
            }
            writer.finish().map(|_| ())
        })();
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("No space left on device"), "after {writes}: {error}");
    }
}

#[test]
fn an_index_that_lies_is_refused() {
    let written = write_sample(Compression::Zstd);
    let header = written.index.header.clone();
    let text = |lines: &[crate::model::IndexLine]| {
        let mut writer = IndexWriter::create(Vec::new(), header.clone(), &[]).unwrap();
        for line in lines {
            writer.append(line).unwrap();
        }
        writer.finish().unwrap()
    };
    let (bytes, _, sha) = text(&[]);
    assert!(Index::read(&bytes[..], &sha, None).is_ok());
    assert!(matches!(Index::read(&bytes[..], "00", None), Err(IndexError::Damaged(_))));
    assert!(matches!(
        Index::read(&bytes[..bytes.len() - 9], &hex_of(&bytes[..bytes.len() - 9]), None),
        Err(IndexError::Damaged(_))
    ));
    for (lines, what) in [
        (r#"{"block":{"offset":0,"bytes":1,"raw":1}}"#, "first line is not its header"),
        (&format!("{0}\n{0}", json(&header)), "a second header"),
        (&format!("{}\n{END}\n{END}", json(&header)), "goes on behind its end line"),
        (
            &format!("{}\n{{\"other\":{{}}}}\n{END}", json(&header)),
            "a value is not what it must be, which is one of",
        ),
    ] {
        let object = zstd::encode_all(lines.as_bytes(), 1).unwrap();
        let error = Index::read(&object[..], &hex_of(&object), None).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let mut escaping = written.index.members[0].clone();
    escaping.path = ArchivePath::new("../../etc/passwd");
    escaping.kind = MemberKind::File;
    let block = Block { offset: 0, bytes: 1, raw: 1 << 20 };
    let (bytes, _, sha) =
        text(&[crate::model::IndexLine::Block(block.into()), crate::model::IndexLine::Member(escaping)]);
    let error = Index::read(&bytes[..], &sha, None).unwrap_err().to_string();
    assert!(error.contains("unsafe path"), "{error}");
}

const END: &str = r#"{"end":{"members":0,"blocks":0,"raw":0}}"#;

fn json(header: &IndexHeader) -> String {
    serde_json::to_string(&crate::model::IndexLine::Index(header.clone())).unwrap()
}
