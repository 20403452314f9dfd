//! A delta restore that does not come to its end, whatever it was about to do: no server starts on what it leaves, and to do it again
//! brings it to its end.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::tree::{Tree, assert_same};
use crate::support::cli::{Answer, SmallDisk};
use crate::support::noise;
use crate::{LARGE, World, copy, forge, restoring, still};
use wsrep_sst_backup::model::Compression;

/// What begins the text in place of the system tablespace.
const MARK: &[u8] =
    b"This data directory is being restored by wsrep_sst_backup restore --delta and is not complete.\n";
/// All by which the program changes a file system.
const CHANGES: [&str; 14] = [
    "linkat",
    "renameat",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "ftruncate",
    "fallocate",
    "pwrite64",
    "fchmod",
    "fchown",
    "fchownat",
    "utimensat",
    "fsync",
    "syncfs",
];

/// A node whose files differ in every way in which the program treats them.
fn damaged(world: &World) {
    let node = world.node();
    world.reset();
    for (name, at) in
        [("db/big.MYD", 10), ("db/big.MYD", 600_000), ("ibdata1", 100), ("db/other.MYD", 1_299_999)]
    {
        File::options().write(true).open(node.join(name)).unwrap().write_all_at(&[0xa5], at).unwrap();
    }
    File::options().write(true).open(node.join("db/other.MYD")).unwrap().set_len(900_000).unwrap();
    fs::remove_file(node.join("db/t.MYD")).unwrap();
    fs::write(node.join("db/holes.MYD"), "none").unwrap();
    fs::remove_dir(node.join("empty")).unwrap();
    fs::write(node.join("undo002"), "x").unwrap();
    fs::create_dir(node.join("gone")).unwrap();
    fs::write(node.join("gone/t.frm"), "x").unwrap();
    fs::write(node.join("gone/t.ibd"), "x").unwrap();
    fs::write(node.join("aria_log_control"), [8; 52]).unwrap();
}

/// Whether no server starts on it: the text stands in for the system tablespace, and there is no position.
fn is_guarded(node: &Path) -> bool {
    fs::read(node.join("ibdata1")).unwrap().starts_with(MARK) && !node.join("grastate.dat").exists()
}

/// Carries `inject` out at the first, second, … of each of these calls, until there are no more; how many there were.
fn at_each(inject: &str) -> u32 {
    let world = World::new();
    let template = world.folder.path().join("template");
    damaged(&world);
    copy(&world.node(), &template);
    let before = still(&template);
    let (mut guarded, mut steps) = (0, 0);
    // strace counts each call by itself.
    for call in CHANGES {
        for step in 1.. {
            copy(&template, &world.node());
            let ran = injected(&world, call, &format!("{inject}:when={step}"));
            if ran.status == Some(0) {
                world.assert_restored(&[]);
                break;
            }
            steps += 1;
            guarded += u32::from(is_guarded(&world.node()));
            let said = ran.stderr;
            assert_no_half(&world, &before, &format!("{call} {step}: {said}"));
            if is_guarded(&world.node()) && !said.is_empty() {
                let cure = "no server starts on it: run the same command again";
                assert!(said.contains(cure), "{call} {step}: {said}");
            }
            world.delta("").run().done();
            world.assert_restored(&[]);
        }
    }
    assert!(guarded > 30, "{guarded} of {steps}");
    steps
}

/// The restore, with this done to one of its calls.
fn injected(world: &World, call: &str, what: &str) -> Answer {
    world.delta("").strace(&format!("-o /dev/null -e trace={call} -e inject={call}:{what}")).run()
}

/// What a restore that was stopped has left is the old state, the new one, or none that a server starts on.
fn assert_no_half(world: &World, before: &Tree, moment: &str) {
    let mut now = still(&world.node());
    now.retain(|path, _| !path.to_string_lossy().starts_with("ibdata1.wsrep_sst_backup-"));
    // The old one is locked till the end.
    if now.remove(Path::new("aria_log_control.wsrep_sst_backup-restoring")).is_some() {
        now.remove(Path::new("aria_log_control"));
    }
    if is_guarded(&world.node()) {
        return;
    }
    if fs::read(world.node().join("ibdata1")).unwrap().starts_with(MARK) {
        // Nothing but the text is there yet, or it is all that is still there: a position is right in both.
        now.remove(Path::new("ibdata1"));
        let is_all_of = |tree: &Tree| now.iter().all(|(path, entry)| tree.get(path) == Some(entry));
        assert!(is_all_of(before) || is_all_of(&still(&world.wanted())), "{moment}");
    } else if now != *before {
        println!("{moment}");
        assert_same(&now, &still(&world.wanted()));
    }
}

#[test]
#[ignore = "needs strace"]
fn killed_before_each_change_it_is_no_server_and_goes_on() {
    println!("{} steps", at_each("signal=SIGKILL"));
}

#[test]
#[ignore = "needs strace"]
fn where_each_change_fails_for_want_of_room_it_is_no_server_and_goes_on() {
    println!("{} steps", at_each("error=ENOSPC"));
}

#[test]
fn a_disk_that_is_full_is_told_and_more_room_is_enough() {
    let world = World::new();
    let disk = world.folder.path().join("disk");
    let _disk = SmallDisk::mount(&disk, 4);
    let node = disk.join("node");
    copy(&world.wanted(), &node);
    // It has its size, and nothing in it: what it takes is seen when it is written.
    let table = node.join("db/other.MYD");
    File::create(&table).unwrap().set_len(LARGE as u64).unwrap();
    let before = still(&node);
    let filler = disk.join("filler");
    assert!(fs::write(&filler, vec![7; 8 << 20]).is_err());
    // Room for what is small.
    let filled = fs::metadata(&filler).unwrap().len();
    File::options().write(true).open(&filler).unwrap().set_len(filled - (128 << 10)).unwrap();
    let answer = restoring(&world.repository(), &node, "--delta").run();
    answer.fails_with(1, "MiB there; nothing was written");
    assert_same(&still(&node), &before);
    // What goes makes room for it, and goes before where it is needed.
    let extra = node.join("undo007");
    fs::rename(&filler, &extra).unwrap();
    restoring(&world.repository(), &node, "--delta").run().done();
    assert_same(&still(&node), &still(&world.wanted()));
}

#[test]
fn damage_of_the_archive_is_found_before_it_is_written() {
    let world = World::of(&forge().compression(Compression::None));
    let archive = world.backup.join("backup.tar");
    let whole = fs::read(&archive).unwrap();
    let big = noise(LARGE, 1);
    let place = whole.windows(64).position(|found| *found == big[600_000..600_064]).unwrap();
    damaged(&world);
    let before = still(&world.node());
    let mut flipped = whole.clone();
    flipped[place] ^= 1;
    fs::write(&archive, flipped).unwrap();
    let answer = world.delta("").run();
    answer.fails_with(4, "is damaged: db/big.MYD: the BLAKE3 of its bytes from ");
    assert!(!answer.stderr.contains("partly replaced"), "{}", answer.stderr);
    assert_same(&still(&world.node()), &before);
    // A small file, which is compared as a whole.
    damaged(&world);
    fs::write(world.node().join("db/small.MYD"), "other").unwrap();
    let before = still(&world.node());
    let small = whole.windows(5).position(|found| found == b"small").unwrap();
    let small =
        whole[small + 5..].windows(5).position(|found| found == b"small").map_or(small, |at| small + 5 + at);
    let mut flipped = whole.clone();
    flipped[small] ^= 1;
    fs::write(&archive, flipped).unwrap();
    world.delta("").run().fails_with(4, "is damaged");
    assert_same(&still(&world.node()), &before);
    // One that is cut off is seen before anything is touched.
    damaged(&world);
    let before = still(&world.node());
    fs::write(&archive, &whole[..whole.len() - 1]).unwrap();
    world.delta("").run().fails_with(4, "backup.tar");
    assert_eq!(still(&world.node()), before);
    fs::write(&archive, whole).unwrap();
    world.delta("").run().done();
    world.assert_restored(&[]);
}

#[test]
fn a_system_tablespace_elsewhere_is_guarded_there() {
    let folder = crate::open_folder();
    let home = folder.path().join("home");
    let forge = Forge::empty(ID)
        .file("aria_log_control", [7; 52])
        .directory("mysql")
        .file("mysql/t.MYD", noise(LARGE, 4))
        .external("innodb_data_home_dir", &home, &home.join("ibdata1"), noise(LARGE, 5))
        .with(|member| member.system_tablespace = true);
    let (repository, node) = (folder.path().join("r"), folder.path().join("node"));
    forge.write(&repository);
    let external = format!("--external {}", home.display());
    restoring(&repository, &node, &external).run().done();
    let wanted = (still(&node), still(&home));
    let change = |path: &Path, at: u64| {
        File::options().write(true).open(path).unwrap().write_all_at(&[0x5a, 0xa5], at).unwrap();
    };
    change(&home.join("ibdata1"), 400_000);
    change(&node.join("mysql/t.MYD"), 400_000);
    let external = format!("{external} --replace {}", home.display());
    restoring(&repository, &node, &format!("--delta {external}")).run().done();
    assert_same(&still(&node), &wanted.0);
    assert_same(&still(&home), &wanted.1);
}
