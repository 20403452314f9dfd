use super::*;
use crate::archive::early_lines::in_line;
use crate::archive::early_world::{StoredWorld, member, path, store};
use crate::model::PageRuns;

type Edit<'a> = &'a dyn Fn(&mut StoredWorld);
type FileContents = BTreeMap<ArchivePath, Vec<u8>>;

fn patch(file: &mut Vec<u8>, runs: &[(u64, u64)], content: &[u8]) {
    let mut at = 0;
    for (offset, length) in runs {
        let (start, length) = (usize::try_from(*offset).unwrap(), usize::try_from(*length).unwrap());
        file.resize(file.len().max(start + length), 0);
        file[start..start + length].copy_from_slice(&content[at..at + length]);
        at += length;
    }
}

fn end_of(stored: &StoredWorld) -> Result<AtEnd, String> {
    at_end(&stored.members, &stored.changes)
}

/// What a restore makes of it.
fn restored(stored: &StoredWorld) -> FileContents {
    let AtEnd { members, patches, .. } = end_of(stored).unwrap();
    let mut files = FileContents::new();
    for file in members.iter().filter(|member| member.kind == MemberKind::File) {
        let place = stored.members.iter().position(|one| one.header_offset == file.header_offset).unwrap();
        let mut content = stored.contents[place].clone();
        content.resize(usize::try_from(file.size).unwrap(), 0);
        for number in patches.get(&file.header_offset).into_iter().flatten() {
            let runs = &stored.members[*number].pages.as_ref().unwrap().runs;
            patch(&mut content, runs, &stored.contents[*number]);
        }
        content.truncate(usize::try_from(file.size).unwrap());
        files.insert(file.path.clone(), content);
    }
    files
}

/// What stock `tar` and the steps of the script make of it.
fn unpacked(stored: &StoredWorld) -> FileContents {
    let steps = steps(&stored.members, &stored.changes).unwrap();
    let mut files = FileContents::new();
    for (line, content) in stored.members.iter().zip(&stored.contents) {
        if line.kind != MemberKind::Directory {
            files.insert(line.path.clone(), content.clone());
        }
    }
    let parked: Vec<Vec<u8>> = steps.moved.iter().map(|(from, _)| files.remove(from).unwrap()).collect();
    for gone in &steps.removed {
        files.remove(gone).unwrap();
    }
    for ((_, to), content) in steps.moved.iter().zip(parked) {
        assert!(files.insert(to.clone(), content).is_none());
    }
    for (pages, file, size) in &steps.pages {
        let line = stored.members.iter().find(|line| line.path == *pages).unwrap();
        assert_eq!(line.size, *size);
        let content = files[pages].clone();
        patch(files.get_mut(file).unwrap(), &line.pages.as_ref().unwrap().runs, &content);
    }
    for (file, size) in &steps.resized {
        files.get_mut(file).unwrap().resize(usize::try_from(*size).unwrap(), 0);
    }
    for (from, to) in steps.placed.iter().chain(&steps.system) {
        let content = files.remove(from).unwrap();
        files.insert(to.clone(), content);
    }
    files.retain(|path, _| !is_reserved(path));
    files
}

#[test]
fn what_was_stored_early_and_again_is_what_was_there_at_the_end() {
    let mut seen = [0; 5];
    for seed in 1..800 {
        let stored = store(seed);
        assert!(restored(&stored) == stored.expected, "restored, seed {seed}");
        assert!(unpacked(&stored) == stored.expected, "unpacked, seed {seed}");
        let found = steps(&stored.members, &stored.changes).unwrap();
        let counts = [
            found.moved.len(),
            found.removed.len(),
            found.pages.len(),
            found.placed.len(),
            found.folders.len(),
        ];
        seen.iter_mut().zip(counts).for_each(|(seen, count)| *seen += usize::from(count > 1));
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}

#[test]
fn an_archive_that_was_stored_at_one_moment_is_what_it_was() {
    let mut stored = StoredWorld::default();
    stored.add(member(&path(b"db"), MemberKind::Directory, 0), Vec::new());
    stored.add(member(&path(b"db/t.ibd"), MemberKind::File, 3), b"abc".to_vec());
    let found = end_of(&stored).unwrap();
    assert!(!found.differs && found.members == stored.members);
}

/// FileContents `a` and `b` and one of the system tablespace with its stand-in, stored early; then pages of `a`.
fn small() -> StoredWorld {
    let mut stored = StoredWorld::default();
    let early = |path: ArchivePath| Member { early: true, ..member(&path, MemberKind::File, 1000) };
    stored.add(early(path(b"a")), vec![1; 1000]);
    stored.add(early(path(b"b")), vec![1; 1000]);
    let place = Some(path(b"ibdata1"));
    let system = Member { place, system_tablespace: true, ..early(path(b".wsrep_sst_backup/system/0")) };
    stored.add(system, vec![2; 1000]);
    stored.add(member(&path(b"ibdata1"), MemberKind::Generated, 4), b"text".to_vec());
    stored.add(pages_of(A, &[(0, 10), (990, 10)]), vec![3; 20]);
    stored
}

/// Where they stand.
const A: u64 = 0;
const B: u64 = 1536;
const SYSTEM: u64 = 3072;
const TEXT: u64 = 4608;

fn pages_of(of: u64, runs: &[(u64, u64)]) -> Member {
    let size = runs.iter().fold(0_u64, |sum, (_, length)| sum.wrapping_add(*length));
    let pages = Some(PageRuns { of, runs: runs.to_vec() });
    Member { pages, ..member(&path(b".wsrep_sst_backup/pages/0"), MemberKind::Pages, size) }
}

fn moved(member: u64, to: &str) -> EarlyChange {
    EarlyChange::Moved { member, to: path(to.as_bytes()) }
}

#[test]
fn an_edited_index_is_refused() {
    end_of(&small()).unwrap();
    let whole = |name: &str| member(&path(name.as_bytes()), MemberKind::File, 1);
    let removed = EarlyChange::Removed;
    let resized = |member: u64, size: u64| EarlyChange::Resized { member, size };
    let edits: [(&str, Edit<'_>); 27] = [
        ("no file that was stored early", &|stored| {
            stored.members[4].pages = pages_of(TEXT, &[(0, 20)]).pages;
        }),
        ("no file that was stored early", &|stored| stored.members[4].pages = pages_of(7, &[(0, 20)]).pages),
        ("no file that was stored early", &|stored| stored.members[0].early = false),
        ("none was stored early there", &|stored| stored.changes.push(removed(TEXT))),
        ("none was stored early there", &|stored| stored.changes.push(moved(8, "c"))),
        ("none was stored early there", &|stored| stored.changes.push(resized(u64::MAX, 1))),
        ("does not count", &|stored| stored.changes.extend([removed(B), moved(B, "c")])),
        ("does not count", &|stored| stored.changes.extend([removed(B), resized(B, 1)])),
        ("does not count", &|stored| {
            stored.add(whole("b"), vec![0]);
            stored.changes.push(moved(B, "c"));
        }),
        ("cannot have been moved", &|stored| stored.changes.push(moved(SYSTEM, "c"))),
        ("cannot have been moved", &|stored| stored.changes.extend([moved(B, "c"), moved(B, "d")])),
        ("was moved, was removed", &|stored| stored.changes.extend([moved(B, "c"), removed(B)])),
        ("'a' occurs twice", &|stored| stored.changes.push(moved(B, "a"))),
        ("'ibdata1' occurs twice", &|stored| stored.changes.push(moved(B, "ibdata1"))),
        ("'c' occurs twice", &|stored| {
            stored.changes.push(moved(B, "c"));
            stored.add(whole("c"), vec![0]);
        }),
        ("no path for it", &|stored| stored.changes.push(moved(B, "../c"))),
        ("no path for it", &|stored| stored.changes.push(moved(B, "/etc/passwd"))),
        ("no path for it", &|stored| stored.changes.push(moved(B, ".wsrep_sst_backup/symlink/x"))),
        ("behind 'a', which is no directory", &|stored| stored.changes.push(moved(B, "a/c"))),
        ("behind 'a', which is no directory", &|stored| stored.add(whole("a/b"), vec![0])),
        ("occurs twice", &|stored| stored.add(pages_of(B, &[(0, 1)]), vec![0])),
        ("as two kinds", &|stored| {
            stored.add(member(&path(b"a"), MemberKind::Directory, 0), Vec::new());
        }),
        ("'c' occurs twice", &|stored| {
            stored.add(whole("c"), vec![0]);
            stored.add(whole("c"), vec![0]);
        }),
        ("a size that cannot be", &|stored| stored.changes.push(resized(B, u64::MAX))),
        ("a size that cannot be", &|stored| stored.changes.extend([resized(A, 1000), resized(A, 1001)])),
        ("has a path of this program", &|stored| {
            stored.add(whole(".wsrep_sst_backup/pages/7"), vec![0]);
        }),
        ("nothing stands in the place of 'ibdata1'", &|stored| stored.members[3].path = path(b"ibdata2")),
    ];
    for (number, (wanted, edit)) in edits.iter().enumerate() {
        let mut stored = small();
        edit(&mut stored);
        match end_of(&stored) {
            Err(error) => assert!(error.contains(wanted), "edit {number}: {error}"),
            Ok(_) => panic!("edit {number} is believed: {wanted}"),
        }
    }
}

#[test]
fn a_line_of_a_page_member_or_of_a_placed_one_is_bounded() {
    let runs = |runs: &[(u64, u64)]| in_line(&pages_of(A, runs));
    assert_eq!(runs(&[(0, 1), (1, 1), (5, 4)]), None);
    let many: Vec<(u64, u64)> = (0..=PageRuns::MOST as u64).map(|number| (number * 2, 1)).collect();
    assert_eq!(runs(&many[1..]), None);
    for wrong in [
        &[][..],
        &[(0, 0)],
        &[(5, 1), (0, 1)],
        &[(0, 2), (1, 1)],
        &[(0, PageRuns::MOST_BYTES + 1)],
        &[(0, PageRuns::MOST_BYTES), (PageRuns::MOST_BYTES, 1)],
        &[(u64::MAX, 1)],
        &[(1 << 63, 1)],
        &many,
    ] {
        assert!(runs(wrong).is_some(), "{wrong:?}");
    }
    let good = pages_of(A, &[(0, 1)]);
    for wrong in [
        Member { size: 2, ..good.clone() },
        Member { path: path(b"pages/0"), ..good.clone() },
        Member { pages: None, ..good.clone() },
        Member { kind: MemberKind::File, ..good.clone() },
        Member { early: true, ..good.clone() },
        Member { early: true, ..member(&path(b"db"), MemberKind::Directory, 0) },
        Member { place: Some(path(b"a")), ..good },
    ] {
        assert!(in_line(&wrong).is_some(), "{wrong:?}");
    }
    let placed = |at: &str, place: &str, kind: MemberKind| {
        let place = Some(path(place.as_bytes()));
        in_line(&Member { place, ..member(&path(at.as_bytes()), kind, 1) })
    };
    assert_eq!(placed(".wsrep_sst_backup/files/1", "db/t.ibd", MemberKind::File), None);
    for (at, place, kind) in [
        (".wsrep_sst_backup/files/1", "../t.ibd", MemberKind::File),
        (".wsrep_sst_backup/files/1", "wsrep_sst_backup.json", MemberKind::File),
        (".wsrep_sst_backup/files/1", "db/t.ibd", MemberKind::Symlink),
        (".wsrep_sst_backup/system/1", "db/t.ibd", MemberKind::File),
        ("db/u.ibd", "db/t.ibd", MemberKind::File),
    ] {
        assert!(placed(at, place, kind).is_some(), "{at} {place} {kind:?}");
    }
}
