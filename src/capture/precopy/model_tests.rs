//! What is made of a copy of the [`model`](super::super::model) is what it has when it stands still.

use std::collections::BTreeMap;

use super::super::model::{Model, ModelCopy};
use super::super::model_file::{PAGE, Page};
use super::super::model_round::{copy_again, late_files};
use super::*;

/// A seed that has failed can be run again: `PRECOPY_SEED`. `PRECOPY_ROUNDS` sets how many are tried.
const ROUNDS: u64 = 400;

/// A page is written into a file, as the script in the archive does it: what lies behind the end makes the file longer.
fn put(content: &mut Vec<Page>, page: u64, read: Page) {
    let page = usize::try_from(page).unwrap();
    content.resize(content.len().max(page + 1), (0, 0));
    content[page] = read;
}

/// What a restore would make of the copy.
fn restored(model: &Model, copied: &[ModelCopy], known: Known<'_>) -> BTreeMap<String, Vec<Page>> {
    let early: Vec<AheadFile> = copied.iter().map(|copied| copied.early.clone()).collect();
    // Seldom all of them have room.
    let most = usize::try_from(model.checkpoint % 5).unwrap() * 2;
    let comparison = Comparison { early: &early, known, checkpoint: model.checkpoint };
    let (late, files) = late_files(model);
    let mut look = |number: usize| Ok::<_, ()>(Some(files[number].zero()));
    let fates = comparison.fates(&late, &mut look).unwrap();
    let told = Outcomes::of(&early, &late, &fates);
    // First the changes of early members, as the index has them.
    let mut members: BTreeMap<ArchivePath, Vec<Page>> = BTreeMap::new();
    for (number, copied) in copied.iter().enumerate() {
        let moved = told.moved.iter().find(|(moved, _)| *moved == number).map(|(_, to)| to);
        if told.removed.contains(&number) {
            continue;
        }
        let mut content = copied.content.clone();
        copied.pages.iter().for_each(|(page, read)| put(&mut content, *page, *read));
        let path = moved.unwrap_or(&copied.early.path).clone();
        let before = members.insert(path.clone(), content);
        let is_replaced =
            late.iter().zip(&fates).any(|(file, fate)| file.path == path && *fate == FileFate::Whole);
        assert!(before.is_none() || is_replaced, "two members have the name {path}");
    }
    for ((file, fate), now) in late.iter().zip(&fates).zip(&files) {
        match fate {
            FileFate::Whole => drop(members.insert(file.path.clone(), now.disk.clone())),
            FileFate::Same(_) => {}
            FileFate::Patched(number) => {
                let searched: RoaringBitmap = (0..)
                    .zip(&now.disk)
                    .filter(|(_, page)| page.1 == 0 || page.1 >= model.checkpoint)
                    .map(|(page, _)| page)
                    .collect();
                let searched = matches!(known, Known::ByLsn).then_some(&searched);
                let content = members.get_mut(&file.path).unwrap();
                for (begin, length) in comparison.runs(*number, file, searched, &[], most) {
                    for page in begin / PAGE..(begin + length) / PAGE {
                        let read = now.disk[usize::try_from(page).unwrap()];
                        // Behind what was stored the file is filled up with zeros.
                        if read != (0, 0) || page * PAGE < early[*number].extent.ever {
                            put(content, page, read);
                        }
                    }
                }
                if let Some((_, bytes)) = told.resized.iter().find(|(resized, _)| resized == number) {
                    content.resize(usize::try_from(bytes / PAGE).unwrap(), (0, 0));
                }
            }
        }
    }
    members.into_iter().map(|(path, content)| (path.to_string(), content)).collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn what_was_copied_from_a_server_that_writes_becomes_what_it_has_when_it_stands_still() {
    let seed = number("PRECOPY_SEED");
    let (mut whole, mut patched) = (0_u64, 0_u64);
    for round in 0..number("PRECOPY_ROUNDS").unwrap_or(ROUNDS) {
        let seed = seed.unwrap_or(round.wrapping_mul(7919) + 1);
        let mut model = Model::new(seed);
        model.begin();
        let pace = model.dice.roll(4);
        let mut copied = model.copy(pace);
        for _ in 0..model.dice.roll(3) {
            for _ in 0..model.dice.roll(40) {
                model.act();
            }
            copy_again(&mut model, &mut copied, pace);
        }
        for _ in 0..model.dice.roll(40) {
            model.act();
        }
        model.flush();
        let set = model.set.clone().unwrap();
        let wanted: BTreeMap<String, Vec<Page>> =
            model.files.iter().map(|(name, file)| (name.clone(), file.disk.clone())).collect();
        for known in [Known::Named(&set), Known::ByLsn] {
            let restored = restored(&model, &copied, known);
            assert_eq!(restored, wanted, "PRECOPY_SEED={seed} {}", matches!(known, Known::ByLsn));
        }
        whole += wanted.len() as u64;
        patched += set.len();
    }
    assert!(whole > 100 || seed.is_some() && patched > 0, "nothing was tried");
}

#[test]
fn a_tablespace_with_another_owner_or_other_permissions_is_stored_as_a_whole() {
    let mut model = Model::new(1);
    model.begin();
    let copied = model.copy(0);
    model.flush();
    let early: Vec<AheadFile> = copied.iter().map(|copied| copied.early.clone()).collect();
    let (path, file) = model.files.iter().find(|(_, file)| !file.is_other).unwrap();
    let comparison = Comparison { early: &early, known: Known::ByLsn, checkpoint: model.checkpoint };
    let fate = |change: &dyn Fn(&mut FileFacts)| {
        let mut facts = file.facts();
        change(&mut facts);
        let late = LateFile { path: ArchivePath::new(path), is_external: false, facts, is_tablespace: true };
        comparison.fates(&[late], &mut |_| Ok::<_, ()>(Some(file.zero()))).unwrap().remove(0)
    };
    assert!(matches!(fate(&|_| {}), FileFate::Patched(_)));
    assert_eq!(fate(&|facts| facts.mode = 0o100_600), FileFate::Whole);
    assert_eq!(fate(&|facts| facts.owner.0 = 0), FileFate::Whole);
    assert_eq!(fate(&|facts| facts.owner.1 = 0), FileFate::Whole);
}
