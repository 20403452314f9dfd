use std::io::Cursor;

use super::super::{
    APPLY_MEMBER, ArchiveSummary, Finished, IDENTITY_MEMBER, Index, SUMS_MEMBER, StreamReader, read_member,
};
use super::*;
use crate::archive::ReadAgain;
use crate::archive::testing::{InMemory, member};
use crate::archive::{BlockReader, ReaderOptions, WriterOptions};
use crate::model::{Compression, Content, FilesState, IndexHeader};

type TestWriter = ArchiveWriter<Vec<u8>, Vec<u8>>;

fn writer() -> TestWriter {
    let header = IndexHeader {
        format: 2,
        id: "20261120T113452Z_n1".parse().unwrap(),
        content: Content::Datadir,
        files_state: FilesState::Clean,
        gtid: None,
        compression: Compression::None,
    };
    let options = WriterOptions { compression: Compression::None, level: 1, threads: 2 };
    let mut writer = ArchiveWriter::create(Vec::new(), Vec::new(), header, options, &[]).unwrap();
    writer.append_generated(member(IDENTITY_MEMBER), b"{}").unwrap();
    writer
}

fn early(writer: &mut TestWriter, path: &str, bytes: &[u8]) -> EarlyMember {
    let mut source = InMemory::that_changes(bytes);
    writer.append_early(member(path), bytes.len() as u64, None, &mut source).unwrap()
}

fn late(writer: &mut TestWriter, path: &str, bytes: &[u8]) {
    let mut source = InMemory::that_changes(bytes);
    writer.append_file(member(path), bytes.len() as u64, None, &mut source).unwrap();
}

fn end(mut writer: TestWriter) -> (Vec<u8>, Index, ArchiveSummary) {
    writer.append_sums(member(SUMS_MEMBER)).unwrap();
    writer.position(Some("4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:6 0".parse().unwrap())).unwrap();
    let Finished { archive, index, summary } = writer.finish().unwrap();
    let index = Index::read(&index[..], &summary.index_sha256, None).unwrap();
    (archive, index, summary)
}

/// A tablespace with these pages, of the format `full_crc32`; the first one counts them.
fn tablespace(pages: u32) -> Vec<u8> {
    let mut file = Vec::new();
    for number in 0..pages {
        let mut page = vec![7; (16 << 10) - 4];
        page[4..8].copy_from_slice(&number.to_be_bytes());
        page[34..38].copy_from_slice(&5_u32.to_be_bytes());
        if number == 0 {
            page[8..].fill(0);
            (page[25], page[37], page[41]) = (8, 5, 5);
            page[38 + 8..38 + 12].copy_from_slice(&pages.to_be_bytes());
            page[38 + 12..38 + 16].copy_from_slice(&pages.to_be_bytes());
            page[38 + 16 + 3] = 0x15;
        }
        let sum = crc32c::crc32c(&page);
        page.extend_from_slice(&sum.to_be_bytes());
        file.append(&mut page);
    }
    file
}

const PAGE: usize = 16 << 10;

fn range<'a>(run: &Segment, bytes: &'a [u8]) -> &'a [u8] {
    let at = usize::try_from(run.offset).unwrap();
    &bytes[at..at + usize::try_from(run.len).unwrap()]
}

fn run(first: usize, pages: usize) -> Segment {
    Segment { offset: (first * PAGE) as u64, len: (pages * PAGE) as u64 }
}

#[test]
fn torn_pages_are_named_and_are_no_damage_once_they_are_read_again() {
    let good = tablespace(12);
    let mut torn = good.clone();
    torn[3 * PAGE + 77] ^= 1;
    torn[9 * PAGE + 77] ^= 1;
    for (again, damaged) in [(vec![run(3, 1), run(9, 1)], 0), (vec![run(3, 1)], 1)] {
        let mut writer = writer();
        let file = early(&mut writer, "d/t.ibd", &torn);
        let at = vec![3 * PAGE as u64, 9 * PAGE as u64];
        assert_eq!(file.again, ReadAgain::Pages { page_size: PAGE as u64, at });
        let bytes: Vec<u8> = again.iter().flat_map(|run| range(run, &good).to_vec()).collect();
        writer.append_pages(&member(""), file.offset, &again, &mut &bytes[..]).unwrap();
        let (archive, index, summary) = end(writer);
        assert_eq!(
            (summary.damaged_pages, summary.files, summary.data_bytes),
            (damaged, 1, 12 * PAGE as u64)
        );
        let pages = index.stream_members().iter().find(|member| member.kind == MemberKind::Pages).unwrap();
        assert_eq!(pages.path.to_string(), ".wsrep_sst_backup/pages/0");
        let runs = again.iter().map(|run| (run.offset, run.len)).collect();
        assert_eq!(pages.pages, Some(PageRuns { of: file.offset, runs }));
        let options = ReaderOptions {
            compression: Compression::None,
            threads: 1,
            keys: None,
            borders: None,
            is_damage: |_| false,
        };
        let blocks = BlockReader::open(Cursor::new(archive), index.plan(), &options).unwrap();
        let mut stored = Vec::new();
        let mut stream = StreamReader::new(blocks);
        read_member(&mut stream, pages, |content| content.read_to_end(&mut stored)).unwrap().unwrap();
        assert_eq!(stored, bytes);
    }
}

#[test]
fn damage_under_the_freeze_is_damage_whatever_the_early_copy_was() {
    let good = tablespace(12);
    let mut bad = good.clone();
    bad[5 * PAGE + 77] ^= 1;
    let mut writer = writer();
    let file = early(&mut writer, "d/t.ibd", &good);
    let mut again = &bad[4 * PAGE..7 * PAGE];
    writer.append_pages(&member(""), file.offset, &[run(4, 3)], &mut again).unwrap();
    let (_, _, summary) = end(writer);
    assert_eq!(summary.damaged_pages, 1);
    assert_eq!(summary.lost[0].1, "1 InnoDB page has a wrong checksum (page 5)");
}

#[test]
fn what_is_replaced_removed_or_renamed_counts_as_it_is_at_the_end() {
    let (good, mut bad) = (tablespace(4), tablespace(4));
    bad[2 * PAGE + 77] ^= 1;
    let mut writer = writer();
    early(&mut writer, "d/replaced.ibd", &bad);
    let removed = early(&mut writer, "d/removed.ibd", &bad);
    let moved = early(&mut writer, "d/moved.ibd", &bad);
    let cut = early(&mut writer, "d/cut.ibd", &bad);
    late(&mut writer, "d/replaced.ibd", b"");
    writer.change(EarlyChange::Removed(removed.offset)).unwrap();
    let to = ArchivePath::new("d/renamed.ibd");
    writer.change(EarlyChange::Moved { member: moved.offset, to }).unwrap();
    writer.append_pages(&member(""), cut.offset, &[run(0, 1)], &mut &tablespace(2)[..PAGE]).unwrap();
    writer.change(EarlyChange::Resized { member: cut.offset, size: 2 * PAGE as u64 }).unwrap();
    assert!(writer.change(EarlyChange::Moved { member: removed.offset, to: ArchivePath::new("x") }).is_err());
    let again = writer.append_pages(&member(""), removed.offset, &[run(0, 1)], &mut &good[..PAGE]);
    assert!(again.unwrap_err().to_string().contains("no file that counts"));
    let (_, index, summary) = end(writer);
    assert_eq!((summary.files, summary.data_bytes), (3, 6 * PAGE as u64));
    let lost: Vec<String> = summary.lost.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(lost, ["d/renamed.ibd"], "{summary:?}");
    assert_eq!(index.changes.len(), 3);
    assert_eq!(index.header.gtid.unwrap().seqno, 6);
}

#[test]
fn the_runs_of_a_member_are_few_and_small_and_no_page_is_cut() {
    let most = usize::try_from(PageRuns::MOST_BYTES).unwrap() / PAGE;
    assert_eq!(portions(&[], 16384), Vec::<Vec<Segment>>::new());
    let one = portions(&[run(5, most * 2 + 1)], 16384);
    assert_eq!(one, [vec![run(5, most)], vec![run(5 + most, most)], vec![run(5 + 2 * most, 1)]]);
    let many: Vec<Segment> = (0..10_000).map(|page| Segment { offset: page * 2048, len: 1024 }).collect();
    let portions = portions(&many, 1024);
    assert_eq!(portions.iter().map(Vec::len).collect::<Vec<_>>(), [4096, 4096, 1808]);
    assert_eq!(portions.concat(), many);
}

type LateStep = fn(&mut TestWriter);

#[test]
fn an_archive_that_no_reader_takes_is_not_ended() {
    let link = |writer: &mut TestWriter| {
        writer.append_symlink(member("d"), ArchivePath::new("/elsewhere")).unwrap();
    };
    let steps: [(&str, bool, LateStep); 6] = [
        ("d/t.ibd", true, link),
        ("d/t.ibd", true, |writer| late(writer, "d", b"a file")),
        ("d/t.ibd", false, |writer| late(writer, "d", b"a file")),
        ("d", true, |writer| late(writer, "d/t.frm", b"a folder")),
        ("d/deep/t.ibd", true, |writer| late(writer, "d", b"a file")),
        ("d", true, |writer| {
            writer.append_directory(member("d")).unwrap();
            late(writer, "d/t.frm", b"a folder");
        }),
    ];
    for (number, (path, is_removed, step)) in steps.into_iter().enumerate() {
        let written = || {
            let mut writer = writer();
            let file = early(&mut writer, path, &tablespace(2));
            late(&mut writer, "e/other.frm", b"definition");
            step(&mut writer);
            if is_removed {
                writer.change(EarlyChange::Removed(file.offset)).unwrap();
            }
            writer
        };
        let refused = written().append_apply(member(APPLY_MEMBER)).unwrap_err().to_string();
        assert!(refused.ends_with("; take the backup again"), "{number}: {refused}");
        let Finished { index, summary, .. } = written().finish().unwrap();
        let unread = Index::read(&index[..], &summary.index_sha256, None).unwrap_err().to_string();
        let why = unread.strip_prefix("the index is damaged: ").unwrap();
        assert!(refused.contains(why), "{number}: {refused}: {why}");
    }
}

#[test]
fn what_is_moved_to_the_path_of_another_file_is_refused_and_what_lies_beside_it_is_not() {
    for (to, is_refused) in [("d/u.frm", true), ("d/u.frm/t.ibd", true), ("d/v.ibd", false)] {
        let mut writer = writer();
        let file = early(&mut writer, "d/t.ibd", &tablespace(2));
        late(&mut writer, "d/u.frm", b"definition");
        writer.change(EarlyChange::Moved { member: file.offset, to: ArchivePath::new(to) }).unwrap();
        let outcome = writer.append_apply(member(APPLY_MEMBER));
        assert_eq!(outcome.is_err(), is_refused, "{to}: {outcome:?}");
        if !is_refused {
            end(writer);
        }
    }
}
