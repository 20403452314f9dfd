//! Another round over a copy of the [`model`](super::model), as [`rounds`](super::rounds) does it on a server.

use super::compare::{Comparison, FileFate, Known, LateFile};
use super::model::{Model, ModelCopy};
use super::model_file::{ModelFile, PAGE};
use crate::model::ArchivePath;

/// The files as they are, for a comparison.
pub(super) fn late_files(model: &Model) -> (Vec<LateFile>, Vec<ModelFile>) {
    let late = |(name, file): (&String, &ModelFile)| LateFile {
        path: ArchivePath::new(name),
        is_external: false,
        facts: file.facts(),
        is_tablespace: !file.is_other,
    };
    (model.files.iter().map(late).collect(), model.files.values().cloned().collect())
}

/// The changes are copied once more while the server goes on.
pub(super) fn copy_again(model: &mut Model, copied: &mut Vec<ModelCopy>, pace: u64) {
    let (set, checkpoint) = (model.set.take().unwrap_or_default(), model.checkpoint);
    model.begin();
    for _ in 0..model.dice.roll(4) {
        model.act();
    }
    let (late, opened) = late_files(model);
    let early: Vec<_> = copied.iter().map(|copied| copied.early.clone()).collect();
    let comparison = Comparison { early: &early, known: Known::Named(&set), checkpoint };
    let fates = comparison.fates(&late, &mut |number| Ok::<_, ()>(Some(opened[number].zero()))).unwrap();
    for copied in copied.iter_mut() {
        copied.early.is_lost = true;
    }
    for ((file, opened), fate) in late.iter().zip(&opened).zip(&fates) {
        let Some(number) = fate.early() else { continue };
        if let FileFate::Patched(_) = fate {
            let runs = comparison.runs(number, file, None, &[], 1000);
            for page in runs.iter().flat_map(|(begin, length)| begin / PAGE..(begin + length) / PAGE) {
                let (read, _) = model.read(opened, usize::try_from(page).unwrap(), pace);
                // Behind the early copy zeros are not stored.
                if read != (0, 0) || page * PAGE < early[number].extent.ever {
                    copied[number].pages.push((page, read));
                }
            }
        }
        copied[number].early.is_lost = false;
        copied[number].early.extent.read_again(file.facts.bytes);
    }
    new_files(model, copied, (&late, &fates), pace);
}

/// Those that continue none are copied anew, where nothing that counts has their names.
fn new_files(
    model: &mut Model,
    copied: &mut Vec<ModelCopy>,
    (late, fates): (&[LateFile], &[FileFate]),
    pace: u64,
) {
    for (file, fate) in late.iter().zip(fates) {
        let is_taken = copied.iter().any(|copied| !copied.early.is_lost && copied.early.path == file.path);
        if *fate == FileFate::Whole && !is_taken {
            copied.extend(model.copy_file(&file.path.to_string(), pace));
        }
    }
}
