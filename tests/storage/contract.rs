//! What every storage promises, asked of each of them in the same words.
#![allow(unreachable_pub, dead_code, reason = "every test binary uses another part")]

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use wsrep_sst_backup::storage::{ObjectInfo, Storage, Unfinished};

use crate::support::noise;

fn wait_until(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The content of an object.
pub fn content(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    storage.open(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn infos(storage: &dyn Storage, folder: &str) -> Vec<(String, u64)> {
    let info = |ObjectInfo { name, bytes, .. }| (name, bytes);
    storage.objects(folder).unwrap().into_iter().map(info).collect()
}

/// Everything that is promised to one who is alone.
pub fn holds_alone(storage: &dyn Storage) {
    nothing_is_there_at_first(storage);
    a_folder_is_claimed_once(storage);
    an_object_appears_at_its_commit(storage);
    an_object_is_replaced_in_one_step(storage);
    a_list_tells_when_objects_were_written(storage);
    large_objects_come_back_as_they_were(storage);
    any_part_of_an_object_can_be_read(storage);
    a_large_object_that_is_dropped_was_never_there(storage);
    a_folder_goes_when_it_is_empty(storage);
    an_object_may_stand_at_the_root(storage);
}

/// What is left of a writer that was killed is found where it is, and goes alone.
pub fn what_a_killed_writer_leaves_is_found_and_goes(storage: &dyn Storage) {
    let whole = |count: usize, found: &[Unfinished]| {
        found.len() == count && found.iter().all(|it| it.bytes >= 16 << 20)
    };
    for (folder, count) in [("c/left", 2), ("c/left-too", 1), ("d/left", 1)] {
        assert!(storage.claim(folder).unwrap());
        storage.put(&format!("{folder}/large"), b"whole").unwrap();
        for _ in 0..count {
            let mut object = storage.create(&format!("{folder}/large")).unwrap();
            object.write_all(&noise(20 << 20, 5)).unwrap();
            // Nobody takes it back.
            std::mem::forget(object);
        }
        let arrived = || whole(count, &storage.unfinished(folder).unwrap());
        assert!(wait_until(Duration::from_secs(20), arrived), "{:?}", storage.unfinished(folder));
        assert_eq!(infos(storage, folder), [("large".into(), 5)]);
    }
    assert_eq!(storage.unfinished("none").unwrap(), []);
    assert_eq!(storage.unfinished("c").unwrap(), [], "those of folders in it are not its own");
    if let Some(below) = storage.unfinished_below("c").unwrap() {
        let folders: Vec<&str> = below.iter().map(|(folder, _)| folder.as_str()).collect();
        assert_eq!(folders, ["c/left", "c/left", "c/left-too"]);
        let found: Vec<Unfinished> = below.into_iter().map(|(_, unfinished)| unfinished).collect();
        assert_eq!(found[..2], storage.unfinished("c/left").unwrap());
        assert_eq!(storage.unfinished_below("").unwrap().unwrap().len(), 4);
        assert_eq!(storage.unfinished_below("c/lef").unwrap().unwrap(), []);
    }
    let found = storage.unfinished("c/left").unwrap();
    storage.discard("c/left", &found[0]).unwrap();
    storage.discard("c/left", &found[0]).unwrap();
    assert_eq!(storage.unfinished("c/left").unwrap(), found[1..]);
    assert_eq!(content(storage, "c/left/large"), b"whole");
    for folder in ["c/left", "c/left-too", "d/left"] {
        for unfinished in storage.unfinished(folder).unwrap() {
            storage.discard(folder, &unfinished).unwrap();
        }
        assert_eq!(storage.unfinished(folder).unwrap(), []);
        assert_eq!(content(storage, &format!("{folder}/large")), b"whole");
        storage.remove(&format!("{folder}/large")).unwrap();
        storage.remove_folder(folder).unwrap();
    }
    assert!(storage.unfinished_below("").unwrap().is_none_or(|found| found.is_empty()));
}

fn nothing_is_there_at_first(storage: &dyn Storage) {
    assert_eq!(storage.folders("").unwrap(), Vec::<String>::new());
    assert_eq!(storage.folders("none").unwrap(), Vec::<String>::new());
    assert_eq!(storage.objects("none/at all").unwrap(), []);
    let error = storage.open("none/x").err().unwrap();
    assert!(error.is_not_found() && error.to_string().contains("none/x"), "{error}");
    assert!(storage.read_small("none/x", 10).unwrap_err().is_not_found());
    assert!(storage.create("none/x").err().unwrap().is_not_found(), "its folder is not there");
    storage.remove("none/x").unwrap();
}

fn a_folder_is_claimed_once(storage: &dyn Storage) {
    assert!(storage.claim("c/two").unwrap());
    assert!(!storage.claim("c/two").unwrap());
    assert!(storage.claim("c/one").unwrap());
    assert!(storage.claim("d/one").unwrap());
    storage.probe().unwrap();
    assert_eq!(storage.folders("").unwrap(), ["c", "d"]);
    assert_eq!(storage.folders("c").unwrap(), ["one", "two"]);
    assert_eq!(storage.folders("c/one").unwrap(), Vec::<String>::new());
    assert_eq!(storage.objects("c/one").unwrap(), []);
    assert!(!storage.claim("c/one").unwrap(), "also where it is empty");
}

fn an_object_appears_at_its_commit(storage: &dyn Storage) {
    let mut object = storage.create("c/one/x.json").unwrap();
    object.write_all(b"half").unwrap();
    object.flush().unwrap();
    assert_eq!(storage.objects("c/one").unwrap(), []);
    assert!(storage.open("c/one/x.json").err().unwrap().is_not_found());
    drop(object);
    assert_eq!(storage.objects("c/one").unwrap(), []);
    let mut object = storage.create("c/one/x.json").unwrap();
    object.write_all(b"the ").unwrap();
    object.write_all(b"whole").unwrap();
    object.commit().unwrap();
    storage.create("c/one/empty").unwrap().commit().unwrap();
    assert_eq!(infos(storage, "c/one"), [("empty".into(), 0), ("x.json".into(), 9)]);
    assert_eq!(storage.objects("c").unwrap(), [], "those of folders in it are not its own");
    assert_eq!(content(storage, "c/one/x.json"), b"the whole");
    assert_eq!(content(storage, "c/one/empty"), b"");
}

fn an_object_is_replaced_in_one_step(storage: &dyn Storage) {
    storage.put("c/one/x.json", b"again").unwrap();
    assert_eq!(storage.read_small("c/one/x.json", 5).unwrap(), b"again");
    assert!(storage.read_small("c/one/x.json", 4).unwrap_err().to_string().contains("larger than 4"));
    let mut newer = storage.create("c/one/x.json").unwrap();
    newer.write_all(b"newer").unwrap();
    assert_eq!(storage.read_small("c/one/x.json", 5).unwrap(), b"again");
    drop(newer);
    assert_eq!(storage.read_small("c/one/x.json", 5).unwrap(), b"again");
    storage.remove("c/one/x.json").unwrap();
    storage.remove("c/one/x.json").unwrap();
    assert!(storage.open("c/one/x.json").err().unwrap().is_not_found());
    assert_eq!(infos(storage, "c/one"), [("empty".into(), 0)]);
}

/// Listed objects tell when they were written, by the storage's clock, which here is that of this machine. One that is
/// replaced is written anew.
fn a_list_tells_when_objects_were_written(storage: &dyn Storage) {
    let second = SignedDuration::from_secs(2);
    let begun = Timestamp::now() - second;
    let written = || {
        let found = storage.objects("c/one").unwrap().into_iter().find(|object| object.name == "timed");
        found.unwrap().modified.unwrap()
    };
    storage.put("c/one/timed", b"one").unwrap();
    let first = written();
    assert!(first >= begun && first <= Timestamp::now() + second, "{begun} {first}");
    storage.put("c/one/timed", b"two").unwrap();
    assert!(written() >= first);
    assert_eq!(storage.size("c/one/timed").unwrap(), Some(3));
    storage.remove("c/one/timed").unwrap();
    assert!(storage.size("c/one/timed").unwrap_err().is_not_found());
}

/// Sizes around those of the first parts of an upload.
fn large_objects_come_back_as_they_were(storage: &dyn Storage) {
    for bytes in [(8 << 20) - 1, 8 << 20, (8 << 20) + 1, (24 << 20) + 5] {
        let expected = noise(bytes, 7);
        let mut object = storage.create_large("c/two/large", bytes as u64).unwrap();
        for piece in expected.chunks(1_000_003) {
            object.write_all(piece).unwrap();
        }
        object.commit().unwrap();
        assert_eq!(infos(storage, "c/two"), [("large".into(), bytes as u64)]);
        assert!(content(storage, "c/two/large") == expected, "{bytes} bytes came back as others");
    }
    storage.put("c/two/large", b"small").unwrap();
    assert_eq!(content(storage, "c/two/large"), b"small");
    storage.remove("c/two/large").unwrap();
}

fn any_part_of_an_object_can_be_read(storage: &dyn Storage) {
    let expected = noise((9 << 20) + 77, 5);
    let mut object = storage.create_large("c/two/parts", expected.len() as u64).unwrap();
    object.write_all(&expected).unwrap();
    object.commit().unwrap();
    let mut object = storage.open("c/two/parts").unwrap();
    let size = expected.len() as u64;
    for (offset, bytes) in [
        (8 << 20, 100),
        (0, 10),
        (10, 5),
        (15, 3 << 20),
        (size - 9, 9),
        (5 << 20, 1),
        ((5 << 20) + 3, 4 << 20),
    ] {
        assert_eq!(object.seek(SeekFrom::Start(offset)).unwrap(), offset);
        let mut found = vec![0; bytes];
        object.read_exact(&mut found).unwrap();
        let offset = usize::try_from(offset).unwrap();
        assert!(found == expected[offset..offset + bytes], "{bytes} bytes at {offset}");
    }
    assert_eq!(object.stream_position().unwrap(), (9 << 20) + 3);
    assert_eq!(object.seek(SeekFrom::End(-2)).unwrap(), size - 2);
    assert_eq!(object.seek(SeekFrom::Current(-1)).unwrap(), size - 3);
    let mut rest = Vec::new();
    object.read_to_end(&mut rest).unwrap();
    assert!(rest == expected[expected.len() - 3..]);
    assert_eq!(object.seek(SeekFrom::Start(size + 5)).unwrap(), size + 5);
    assert_eq!(object.read(&mut [0; 9]).unwrap(), 0);
    assert!(object.seek(SeekFrom::Current(i64::MIN)).is_err());
    storage.remove("c/two/parts").unwrap();
}

fn a_large_object_that_is_dropped_was_never_there(storage: &dyn Storage) {
    let mut object = storage.create("c/two/dropped").unwrap();
    object.write_all(&noise(20 << 20, 3)).unwrap();
    assert_eq!(storage.objects("c/two").unwrap(), []);
    drop(object);
    assert_eq!(storage.objects("c/two").unwrap(), []);
    assert!(storage.open("c/two/dropped").err().unwrap().is_not_found());
}

fn a_folder_goes_when_it_is_empty(storage: &dyn Storage) {
    assert!(storage.claim("c/gone").unwrap());
    storage.put("c/gone/x", b"x").unwrap();
    assert!(storage.last_written("c/gone").unwrap().is_none_or(|time| time.as_second() > 1_700_000_000));
    assert!(storage.remove_folder("c/gone").unwrap_err().to_string().contains("c/gone"));
    assert_eq!(content(storage, "c/gone/x"), b"x");
    storage.remove("c/gone/x").unwrap();
    storage.remove_folder("c/gone").unwrap();
    storage.remove_folder("c/gone").unwrap();
    assert_eq!(storage.folders("c").unwrap(), ["one", "two"]);
    assert!(storage.claim("c/gone").unwrap(), "it can be claimed anew");
    storage.remove_folder("c/gone").unwrap();
}

/// More than one answer of a server holds (1,000 for S3).
pub fn long_lists_are_whole(storage: &dyn Storage) {
    let name = |number: usize| format!("n{number:05}");
    assert!(storage.claim("many/objects").unwrap());
    let names: Vec<String> = (0..1_010).map(name).collect();
    for name in &names {
        storage.put(&format!("many/objects/{name}"), b"x").unwrap();
    }
    let found: Vec<String> = infos(storage, "many/objects").into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, names);
    for name in &names {
        assert!(storage.claim(&format!("folders/{name}")).unwrap());
    }
    assert_eq!(storage.folders("folders").unwrap(), names);
}

/// Of several donors that ask for a folder at the same time one gets it.
pub fn one_of_many_gets_a_folder(storage: &Arc<dyn Storage>) {
    for round in 0..20 {
        let barrier = Arc::new(Barrier::new(4));
        let ask = |_| {
            let (storage, barrier) = (Arc::clone(storage), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                storage.claim(&format!("race/{round}")).unwrap()
            })
        };
        let asking: Vec<_> = (0..4).map(ask).collect();
        let got = asking.into_iter().map(|thread| thread.join().unwrap()).filter(|got| *got);
        assert_eq!(got.count(), 1, "round {round}");
    }
}

/// That is where nodes tell each other that they ask for a backup.
fn an_object_may_stand_at_the_root(storage: &dyn Storage) {
    let folders = storage.folders("").unwrap();
    assert_eq!(infos(storage, ""), []);
    storage.put("asking.c.012345", b"db1").unwrap();
    storage.put("asking.c.012345", b"db1.").unwrap();
    assert_eq!(infos(storage, ""), [("asking.c.012345".to_owned(), 4)]);
    assert_eq!(storage.folders("").unwrap(), folders);
    storage.remove("asking.c.012345").unwrap();
    assert_eq!(infos(storage, ""), []);
}
