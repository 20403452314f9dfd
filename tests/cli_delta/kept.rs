//! What is kept, what is replaced, what goes and what stays.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::json;
use wsrep_sst_backup::archive::WriterOptions;
use wsrep_sst_backup::model::Compression;

use crate::support::cli::cli;
use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::records::edit_index;
use crate::support::noise;
use crate::{LARGE, World, forge, number, restoring, still};

/// Changes a byte and gives the file back the time that it had: neither time nor size tell.
fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn where_nothing_differs_nothing_is_read() {
    let world = World::new();
    let answer = world.delta("--json").run();
    let told = answer.json();
    assert_eq!(told["delta"]["read_bytes"], 0, "{told}");
    assert_eq!((&told["delta"]["changed"]["files"], &told["delta"]["anew"]["files"]), (&0.into(), &0.into()));
    assert_eq!(told["delta"]["kept"], json!({"files": told["files"], "bytes": told["bytes"]}));
    assert_eq!((&told["delta"]["removed"], &told["delta"]["left"]), (&json!([]), &json!([])));
    world.assert_restored(&[]);
    let text = world.delta("").run();
    assert!(text.done().contains("files that were there already"), "{}", text.stdout);
}

#[test]
fn of_a_large_file_only_the_blocks_that_differ_are_read() {
    let world = World::new();
    let block = WriterOptions { compression: Compression::Zstd, level: 1, threads: 32 }.block_bytes() as u64;
    for (at, most) in [(0, 1), (LARGE as u64 / 2, 1), (LARGE as u64 - 1, 1)] {
        world.reset();
        flip(&world.node().join("db/big.MYD"), at);
        let answer = world.delta("--json").run();
        assert_eq!(number(&answer, "/delta/changed/files"), 1, "{at}");
        let changed = number(&answer, "/delta/changed/bytes");
        assert!(changed > 0 && changed <= most * block, "{changed} bytes at {at}");
        assert!(number(&answer, "/delta/read_bytes") < 2 * block, "{}", answer.stdout);
        world.assert_restored(&[]);
    }
}

#[test]
fn all_that_can_differ_is_as_after_a_usual_restore() {
    let world = World::new();
    let (node, folder) = (world.node(), world.folder.path());
    flip(&node.join("db/big.MYD"), 700_000);
    // Two tables of one size have changed their places.
    fs::rename(node.join("db/big.MYD"), node.join("db/x")).unwrap();
    fs::rename(node.join("db/other.MYD"), node.join("db/big.MYD")).unwrap();
    fs::rename(node.join("db/x"), node.join("db/other.MYD")).unwrap();
    fs::write(node.join("db/small.MYD"), "larger than it was").unwrap();
    fs::write(node.join("db/empty.MYD"), "x").unwrap();
    fs::remove_file(node.join("db/t.MYD")).unwrap();
    fs::remove_dir(node.join("empty")).unwrap();
    fs::set_permissions(node.join("db"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(node.join("undo001"), fs::Permissions::from_mode(0o600)).unwrap();
    chown(node.join("undo001"), Some(4711), Some(4712)).unwrap();
    fs::remove_file(node.join("db/link.MYD")).unwrap();
    symlink("/nowhere", node.join("db/link.MYD")).unwrap();
    // A file of the backup is a link here, a directory is a link, and one has a second name elsewhere.
    fs::write(folder.join("precious"), "the last").unwrap();
    fs::remove_file(node.join("tail.bin")).unwrap();
    symlink(folder.join("precious"), node.join("tail.bin")).unwrap();
    fs::hard_link(node.join("aria_log_control"), folder.join("second name")).unwrap();
    let before = fs::read(folder.join("second name")).unwrap();
    fs::write(node.join("aria_log_control"), [8; 52]).unwrap();
    // What the node has besides.
    for name in
        ["undo002", "tc.log", "galera.cache", "gvwstate.dat", "db/new.frm", "db/new.ibd", "db/#sql-x.ibd"]
    {
        fs::write(node.join(name), "x").unwrap();
    }
    fs::create_dir(node.join("gone")).unwrap();
    fs::write(node.join("gone/db.opt"), "x").unwrap();
    // Its rows lie elsewhere, where nobody knows what else there is.
    let far = folder.join("far.ibd");
    fs::write(&far, "rows").unwrap();
    fs::write(node.join("gone/far.isl"), far.to_str().unwrap()).unwrap();
    for name in ["n1.err", "notes.txt", "db/notes.txt"] {
        fs::write(node.join(name), "x").unwrap();
    }
    fs::create_dir(node.join("lost+found")).unwrap();
    // What somebody has copied before the repair: no server gives that name to a database.
    fs::create_dir(node.join("gone.bak")).unwrap();
    fs::write(node.join("gone.bak/db.opt"), "x").unwrap();
    fs::create_dir_all(node.join("copies/of/tables")).unwrap();
    fs::write(node.join("copies/of/tables/t.ibd"), "x").unwrap();
    let answer = world.delta("--json").run();
    let left = ["copies", "db/notes.txt", "gone.bak", "n1.err", "notes.txt"];
    let told = answer.json();
    let mut told_left = left.map(|name| node.join(name)).to_vec();
    told_left.push(far.clone());
    assert_eq!(told["delta"]["left"], json!(told_left));
    assert_eq!(fs::read(&far).unwrap(), b"rows");
    let mut all = left.to_vec();
    all.extend(["gone.bak/db.opt", "lost+found", "copies/of", "copies/of/tables", "copies/of/tables/t.ibd"]);
    world.assert_restored(&all);
    assert_eq!(fs::read(folder.join("precious")).unwrap(), b"the last");
    assert_eq!(fs::read(folder.join("second name")).unwrap(), [8; 52]);
    assert_eq!(before, [7; 52]);
    assert_eq!(fs::metadata(folder.join("second name")).unwrap().nlink(), 1);
}

#[test]
fn holes_are_where_a_usual_restore_has_them() {
    let world = World::new();
    let (holes, plain) = (world.node().join("db/holes.MYD"), world.node().join("db/other.MYD"));
    for (path, content) in [(&holes, fs::read(&holes).unwrap()), (&plain, vec![0; LARGE])] {
        fs::remove_file(path).unwrap();
        File::create(path).unwrap().write_all_at(&content, 0).unwrap();
    }
    // Now the one has none, and the other nothing else.
    File::options().write(true).open(&plain).unwrap().set_len(0).unwrap();
    File::options().write(true).open(&plain).unwrap().set_len(LARGE as u64).unwrap();
    assert!(
        fs::metadata(&holes).unwrap().blocks()
            > fs::metadata(world.wanted().join("db/holes.MYD")).unwrap().blocks()
    );
    let answer = world.delta("--json").run();
    assert_eq!(number(&answer, "/delta/anew/files"), 0, "what has holes is the same file: {}", answer.stdout);
    world.assert_restored(&[]);
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let world = World::new();
    flip(&world.node().join("db/big.MYD"), 5);
    fs::write(world.node().join("undo002"), "x").unwrap();
    fs::write(world.node().join("notes.txt"), "x").unwrap();
    let before = still(&world.node());
    let answer = world.delta("--dry-run").run();
    let text = answer.done();
    for part in [
        "Nothing was changed. With backup",
        "1  files with blocks that differ",
        "node/undo002\n",
        "node/notes.txt\n",
    ] {
        assert!(text.contains(part), "no '{part}': {text}");
    }
    let told = world.delta("--dry-run --json").run().json();
    assert_eq!((&told["dry_run"], &told["delta"]["changed"]["files"]), (&true.into(), &1.into()));
    assert_eq!(still(&world.node()), before);
    // It has told what is done then.
    let done = world.delta("--json").run().json();
    assert_eq!(done["delta"], told["delta"]);
    world.assert_restored(&["notes.txt"]);
}

/// Older programs have written no digests of blocks.
#[test]
fn without_digests_of_blocks_whole_files_are_compared() {
    let world = World::new();
    edit_index(&world.backup, |lines| {
        for block in lines.iter_mut().filter_map(|line| line.get_mut("block")?.as_object_mut()) {
            block.retain(|name, _| !["head", "tail"].contains(&name.as_str()));
        }
    });
    flip(&world.node().join("db/big.MYD"), 700_000);
    let answer = world.delta("--json").run();
    assert_eq!((number(&answer, "/delta/changed/files"), number(&answer, "/delta/anew/files")), (0, 1));
    world.assert_restored(&[]);
}

/// A newer program may write digests that this one does not know: as if there were none.
#[test]
fn with_digests_of_another_name_whole_files_are_compared() {
    let world = World::new();
    edit_index(&world.backup, |lines| {
        let blocks = lines.iter_mut().filter_map(|line| line.get_mut("block"));
        for digest in blocks.flat_map(|block| block.as_object_mut().unwrap().values_mut()) {
            if let Some(digits) = digest.as_str().and_then(|text| text.strip_prefix("b3:")) {
                *digest = format!("b9:{digits}0").into();
            }
        }
    });
    let fresh = world.folder.path().join("fresh");
    restoring(&world.repository(), &fresh, "").run().done();
    crate::assert_same(&still(&fresh), &still(&world.wanted()));
    flip(&world.node().join("db/big.MYD"), 700_000);
    let answer = world.delta("--json").run();
    assert_eq!((number(&answer, "/delta/changed/files"), number(&answer, "/delta/anew/files")), (0, 1));
    world.assert_restored(&[]);
    cli("verify latest").on(&world.repository()).run().done();
}

#[test]
fn every_purpose_and_every_compression() {
    for compression in Compression::ALL {
        let world = World::of(&forge().compression(compression));
        for purpose in ["node", "cluster", "standalone", "replica"] {
            let wanted = world.folder.path().join(format!("as {purpose}"));
            let _ = fs::remove_dir_all(&wanted);
            restoring(&world.repository(), &wanted, &format!("--as {purpose}")).run().done();
            world.reset();
            flip(&world.node().join("db/other.MYD"), 300_000);
            world.delta(&format!("--as {purpose}")).run().done();
            let (mut found, mut wanted) = (still(&world.node()), still(&wanted));
            for tree in [&mut found, &mut wanted] {
                if let Some(script) = tree.get_mut(Path::new("wsrep_sst_backup_replica.sql")) {
                    script.mtime = (0, 0);
                }
            }
            crate::assert_same(&found, &wanted);
        }
    }
}

#[test]
fn files_outside_of_the_data_directory_are_compared_too_and_nothing_else_there_is_touched() {
    let folder = crate::open_folder();
    let undo = folder.path().join("undo");
    let forge =
        Forge::new(ID).external("innodb_undo_directory", &undo, &undo.join("undo002"), noise(LARGE, 3));
    let (repository, node, wanted) =
        (folder.path().join("r"), folder.path().join("node"), folder.path().join("wanted"));
    forge.write(&repository);
    let external = format!("--external {}", undo.display());
    restoring(&repository, &node, &external).run().done();
    let elsewhere = folder.path().join("elsewhere");
    restoring(&repository, &wanted, &format!("--map innodb_undo_directory={}", elsewhere.display()))
        .run()
        .done();
    fs::write(undo.join("notes.txt"), "x").unwrap();
    flip(&undo.join("undo002"), 1_000_000);
    let before = still(&undo);
    // They go only to places that are named.
    let unnamed = restoring(&repository, &node, "--delta").run();
    assert!(unnamed.stderr.contains("They go only to places that you name"), "{}", unnamed.stderr);
    assert_eq!(still(&undo), before);
    let replace = format!("--delta --json {external} --replace {}", undo.display());
    let answer = restoring(&repository, &node, &replace).run();
    assert_eq!(number(&answer, "/delta/changed/files"), 1, "{}", answer.stdout);
    let mut found = still(&undo);
    assert!(found.remove(Path::new("notes.txt")).is_some());
    crate::assert_same(&found, &still(&elsewhere));
    crate::assert_same(&still(&node), &still(&wanted));
}

#[test]
fn what_an_interrupted_restore_has_left_is_gone_on_with() {
    let world = World::new();
    fs::write(
        world.node().join("ibdata1"),
        "This data directory is being restored by wsrep_sst_backup and is not complete.\n\
         If no restore is running, it was interrupted: empty the directory and restore again.\n",
    )
    .unwrap();
    fs::remove_file(world.node().join("grastate.dat")).unwrap();
    fs::write(world.node().join("db/other.MYD"), noise(400_000, 2)).unwrap();
    world.delta("").run().done();
    world.assert_restored(&[]);
    assert!(
        cli("restore latest").on(&world.repository()).to(&world.node()).run().stderr.contains("is not empty")
    );
}
