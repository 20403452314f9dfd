//! Binary logs of a node that are newer than the backup.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::node::{refused, with_files_elsewhere, with_options};
use crate::{World, still};

const LOST: &str = "binary logs that are newer than the backup would be lost";

/// The backup is of a day that may be to come.
fn written_later(log: &Path) {
    let to_come = SystemTime::now() + Duration::from_secs(400 * 86400);
    File::options().write(true).open(log).unwrap().set_modified(to_come).unwrap();
}

#[test]
fn binary_logs_that_are_newer_are_told_and_kept_from_all_but_a_node() {
    let world = World::new();
    let log = world.node().join("mysql-bin.000009");
    fs::write(&log, "rows").unwrap();
    fs::write(world.node().join("mysql-bin.index"), "./mysql-bin.000009\n").unwrap();
    fs::write(world.node().join("master.info"), "x").unwrap();
    written_later(&log);
    for purpose in ["cluster", "standalone", "replica"] {
        let before = still(&world.node());
        let text = "binary logs that are newer than the backup would be lost";
        world.delta(&format!("--as {purpose}")).run().fails_with(1, text);
        crate::assert_same(&still(&world.node()), &before);
    }
    let told = world.delta("--dry-run --json").run().json();
    assert_eq!(told["delta"]["newer_logs"], json!([log]));
    let dry = world.delta("--dry-run").run();
    assert!(dry.done().contains("Note: binary logs that are newer than the backup go: "), "{}", dry.stdout);
    let answer = world.delta("").run();
    assert_eq!(answer.status, Some(0), "{}", answer.stderr);
    for text in ["binary logs that are newer than the backup go: ", "node/master.info"] {
        assert!(answer.stderr.contains(text), "{}", answer.stderr);
    }
    world.assert_restored(&[]);
}

/// They have all their room from the beginning, and no index beside them.
#[test]
fn binary_logs_that_innodb_keeps_are_heeded_as_others() {
    let world = World::of(&crate::forge().file("binlog-000003.ibb", vec![1; 16 << 10]));
    let write = |name: &str| {
        let log = world.node().join(name);
        fs::write(&log, vec![2; 16 << 10]).unwrap();
        written_later(&log);
        log
    };
    for name in ["binlog-000003.ibb", "binlog-000004.ibb"] {
        world.reset();
        let log = write(name);
        let text = format!("would be lost, and what stands in them may be nowhere else: {}.", log.display());
        refused(&world, &world.delta("--as cluster"), &text);
        let told = world.delta("--dry-run --json").run().json();
        assert_eq!(told["delta"]["newer_logs"], json!([log]));
        let answer = world.delta("").run();
        assert_eq!(answer.status, Some(0), "{}", answer.stderr);
        assert!(
            answer.stderr.contains("binary logs that are newer than the backup go: "),
            "{}",
            answer.stderr
        );
        world.assert_restored(&[]);
    }
    // One that was interrupted has perhaps written into it itself.
    write("binlog-000003.ibb");
    crate::interrupted(&world);
    world.delta("--as cluster").run().done();
}

/// What is printed is carried out as it stands: nothing is left that would keep a server from starting (an index without its logs).
#[test]
fn the_command_that_is_printed_moves_the_logs_away_with_all_that_is_beside_them() {
    let world = World::new();
    let node = world.node();
    let names = [
        "n1-bin.000008",
        "n1-bin.000009",
        "n1-bin.000008.idx",
        "n1-bin.000009.idx",
        "n1-bin.state",
        "logs.index",
    ];
    for name in names {
        fs::write(node.join(name), "x").unwrap();
    }
    fs::write(node.join("n1-bin.err"), "x").unwrap();
    fs::write(node.join("logs.index"), "./n1-bin.000008\n./n1-bin.000009\n").unwrap();
    written_later(&node.join("n1-bin.000009"));
    let cure = format!(
        "mkdir {0}.binlogs && mv {0}/logs.index {0}/n1-bin.[0-9]* {0}/n1-bin.state {0}.binlogs/",
        node.display()
    );
    let command = world.delta("--as cluster");
    refused(&world, &command, LOST);
    refused(&world, &command, &format!("Move them away and restore again:  {cure}"));
    assert!(Command::new("sh").args(["-c", &cure]).status().unwrap().success());
    world.delta("--as cluster").run().done();
    for name in names {
        assert!(world.folder.path().join("node.binlogs").join(name).exists(), "{name}");
        assert!(!node.join(name).exists(), "{name}");
    }
    assert!(node.join("n1-bin.err").exists());
}

/// `n2-bin` is no relay log of the name `n2`.
#[test]
fn relay_logs_are_told_from_binary_logs_by_their_whole_name() {
    let world = World::new();
    let options = "relay_log = n2\nlog_bin = n2-bin";
    let put = |base: &str| {
        let log = world.node().join(format!("{base}.000009"));
        fs::write(&log, "rows").unwrap();
        fs::write(world.node().join(format!("{base}.index")), format!("./{base}.000009\n")).unwrap();
        written_later(&log);
    };
    put("n2-bin");
    refused(&world, &with_options(&world, options, "--as cluster"), LOST);
    world.reset();
    put("n2");
    assert_eq!(with_options(&world, options, "--as cluster").run().status, Some(0));
    assert!(!world.node().join("n2.000009").exists());
}

/// Logs were purged by hand, or a restore was interrupted when it had removed those that the index names.
#[test]
fn logs_are_known_by_any_line_of_their_index_or_by_its_name_where_a_restore_goes_on() {
    let world = World::new();
    let log = world.node().join("mysql-bin.000009");
    let put = |index: &str| {
        fs::write(&log, "rows").unwrap();
        fs::write(world.node().join("mysql-bin.index"), index).unwrap();
        written_later(&log);
    };
    put("./mysql-bin.000007\n./mysql-bin.000009\n");
    refused(&world, &world.delta("--as cluster"), LOST);
    assert_eq!(world.delta("").run().status, Some(0));
    world.assert_restored(&[]);
    put("./mysql-bin.000007\n");
    crate::interrupted(&world);
    world.delta("--as cluster").run().fails_with(1, LOST);
    assert!(log.exists());
    assert_eq!(world.delta("").run().status, Some(0));
    world.assert_restored(&[]);
}

#[test]
fn logs_elsewhere_stay_unless_the_backup_has_one_of_their_name() {
    let (world, logs) = with_files_elsewhere("log_bin", &["b.000001", "b.index"]);
    let external = format!("--external {}", logs.display());
    let content = fs::read(logs.join("b.000001")).unwrap();
    let newer = logs.join("b.000002");
    fs::write(&newer, "newer rows").unwrap();
    let index = format!("{}\n{}\n", logs.join("b.000001").display(), newer.display());
    fs::write(logs.join("b.index"), &index).unwrap();
    let delta = |more: &str| world.delta(&format!("{external} --replace {} {more}", logs.display()));
    let told = delta("--dry-run --json").run().json();
    assert_eq!(
        (&told["delta"]["newer_logs"], &told["delta"]["newer_logs_left"]),
        (&json!([]), &json!([newer]))
    );
    let answer = delta("--as cluster").run();
    assert_eq!(answer.status, Some(0), "{}", answer.stderr);
    let text = "binary logs that are newer than the backup stay, but no index names them any more";
    assert!(answer.stderr.contains(text), "{}", answer.stderr);
    assert_eq!(fs::read(&newer).unwrap(), b"newer rows");
    assert_eq!(fs::read(logs.join("b.index")).unwrap(), content);
    // The server has gone on with one that the backup has.
    fs::write(logs.join("b.index"), &index).unwrap();
    fs::write(logs.join("b.000001"), [&content[..], b"newer rows"].concat()).unwrap();
    written_later(&logs.join("b.000001"));
    let cure = format!("mkdir {0}.binlogs && mv {0}/b.[0-9]* {0}/b.index {0}.binlogs/", logs.display());
    let command = delta("--as cluster");
    refused(&world, &command, &format!("nowhere else: {}. Move", logs.join("b.000001").display()));
    refused(&world, &command, &cure);
    assert!(Command::new("sh").args(["-c", &cure]).status().unwrap().success());
    command.run().done();
    assert_eq!(fs::read(logs.join("b.000001")).unwrap(), content);
}
