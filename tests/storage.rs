//! Every storage keeps the same promises.

#[path = "storage/contract.rs"]
mod contract;
#[path = "storage/memory.rs"]
mod memory;
mod support;

use std::sync::Arc;

use contract::{
    holds_alone, long_lists_are_whole, one_of_many_gets_a_folder,
    what_a_killed_writer_leaves_is_found_and_goes,
};
use memory::Memory;
use wsrep_sst_backup::storage::{LocalStorage, Storage, Watched};

fn keeps_all_promises(storage: &Arc<dyn Storage>) {
    holds_alone(storage.as_ref());
    long_lists_are_whole(storage.as_ref());
    one_of_many_gets_a_folder(storage);
}

#[test]
fn a_directory_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(folder.path().join("repository")));
    keeps_all_promises(&storage);
    what_a_killed_writer_leaves_is_found_and_goes(storage.as_ref());
    let missing = LocalStorage::new(folder.path().join("none"));
    assert!(missing.probe().unwrap_err().to_string().contains("cannot read the repository"));
}

#[test]
fn memory_keeps_them() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::default());
    keeps_all_promises(&storage);
}

#[test]
fn a_storage_that_is_watched_keeps_them() {
    let watched = Watched::new(Arc::new(Memory::default()));
    let activity = watched.activity();
    keeps_all_promises(&(Arc::new(watched) as Arc<dyn Storage>));
    assert_eq!(activity.oldest(), None);
}
