//! What others do to the data directory while a restore is at work: before its first change, and behind it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::cli::records::UUID;
use crate::support::cli::{Answer, FakeServer, Running};
use crate::support::noise;
use crate::{LARGE, World, still};

/// What somebody does to a data directory.
type Act<'a> = Box<dyn Fn() + 'a>;

/// A restore with seconds of work before the first change, and behind it.
fn slow(world: &World) -> Running {
    fs::write(world.node().join("db/big.MYD"), noise(LARGE, 7)).unwrap();
    world.delta("--limit-rate 400k").start()
}

/// Stopped while it reads the archive: what it keeps of that has no name, and is held open.
fn stopped_before(world: &World) -> Running {
    let mut running = slow(world);
    let open = format!("/proc/{}/fd", running.pid());
    let node = world.node().display().to_string();
    let is_kept = |path: &Path| {
        fs::read_link(path).is_ok_and(|file| {
            let file = file.to_string_lossy().into_owned();
            file.starts_with(&node) && file.ends_with(" (deleted)")
        })
    };
    running.wait_for("the reading of the archive", || {
        fs::read_dir(&open).is_ok_and(|names| names.flatten().any(|entry| is_kept(&entry.path())))
    });
    running.signal(Signal::SIGSTOP);
    running
}

/// Stopped behind the first change.
fn stopped_behind(world: &World) -> Running {
    let mut running = slow(world);
    let node = world.node();
    running.wait_for("the first change", || {
        let text = fs::read(node.join("ibdata1")).unwrap_or_default();
        text.starts_with(b"This data directory is being restored") && !node.join("grastate.dat").exists()
    });
    running.signal(Signal::SIGSTOP);
    running
}

fn go_on(running: Running) -> Answer {
    running.signal(Signal::SIGCONT);
    running.finish()
}

/// All that is looked at before everything is compared is looked at once more before anything is changed.
#[test]
fn what_has_come_since_everything_was_compared_is_found_before_the_first_change() {
    let world = World::new();
    let changed = |name: &str| format!("/{name}' has changed since everything was compared");
    let write = |name: &str, content: &str| fs::write(world.node().join(name), content).unwrap();
    let another_tablespace = || {
        fs::copy(world.node().join("ibdata1"), world.node().join("new")).unwrap();
        fs::rename(world.node().join("new"), world.node().join("ibdata1")).unwrap();
    };
    let of_another_cluster = || {
        let state = fs::read_to_string(world.node().join("grastate.dat")).unwrap();
        write("grastate.dat", &state.replace(UUID, &UUID.replace('4', "5")));
    };
    let with_rocks = || {
        fs::create_dir(world.node().join("#rocksdb")).unwrap();
        write("#rocksdb/CURRENT", "x");
    };
    let acts: [(String, Act<'_>); 6] = [
        (changed("undo007"), Box::new(|| write("undo007", "x"))),
        (changed("db/small.MYD"), Box::new(|| write("db/small.MYD", "SMALL"))),
        (changed("db/t.MYD"), Box::new(|| fs::remove_file(world.node().join("db/t.MYD")).unwrap())),
        // By another file of the same content, which nobody has locked.
        (format!("'{}' has changed since", world.node().display()), Box::new(another_tablespace)),
        ("is of another cluster".into(), Box::new(of_another_cluster)),
        ("has the tables of MyRocks".into(), Box::new(with_rocks)),
    ];
    for (text, act) in acts {
        world.reset();
        let running = stopped_before(&world);
        act();
        let before = still(&world.node());
        let answer = go_on(running);
        answer.fails_with(1, &text);
        assert!(!answer.stderr.contains("partly replaced"), "{}", answer.stderr);
        crate::assert_same(&still(&world.node()), &before);
    }
    world.reset();
    let programs = tempfile::tempdir().unwrap();
    let running = stopped_before(&world);
    let before = still(&world.node());
    let server = FakeServer::start("mariadbd", programs.path(), &world.node(), Stdio::null());
    go_on(running).fails_with(1, "is in use by mariadbd (pid ");
    crate::assert_same(&still(&world.node()), &before);
    drop(server);
    world.delta("").run().done();
    world.assert_restored(&[]);
}

#[test]
fn what_was_to_go_and_is_gone_since_is_found_before_the_first_change() {
    let world = World::new();
    fs::write(world.node().join("undo007"), "x").unwrap();
    let running = stopped_before(&world);
    fs::remove_file(world.node().join("undo007")).unwrap();
    let before = still(&world.node());
    go_on(running).fails_with(1, "/undo007' has changed since everything was compared");
    crate::assert_same(&still(&world.node()), &before);
}

/// Galera writes its file before InnoDB ends the server at the text.
#[test]
fn a_server_that_could_not_start_meanwhile_does_no_harm() {
    let world = World::new();
    let running = stopped_behind(&world);
    let state = "# GALERA saved state\nversion: 2.1\nuuid:    00000000-0000-0000-0000-000000000000\nseqno:   -1\n\
                 safe_to_bootstrap: 0\n";
    let files = [("grastate.dat", state), ("galera.cache", "x"), ("gvwstate.dat", "x"), ("notes.txt", "x")];
    for (name, content) in files {
        fs::write(world.node().join(name), content).unwrap();
    }
    let answer = go_on(running);
    assert_eq!(answer.status, Some(0), "{}", answer.stderr);
    for (name, _) in &files[..3] {
        let told = format!("/{name}' has come while the files were replaced, and goes");
        assert!(answer.stderr.contains(&told), "{}", answer.stderr);
    }
    world.assert_restored(&["notes.txt"]);
}

#[test]
fn a_server_that_has_got_a_position_meanwhile_is_told_and_to_do_it_again_is_enough() {
    let world = World::new();
    let state = fs::read(world.node().join("grastate.dat")).unwrap();
    let running = stopped_behind(&world);
    fs::write(world.node().join("grastate.dat"), &state).unwrap();
    let answer = go_on(running);
    answer.fails_with(1, "has come while the files were replaced, with the position 4b1c02c4-");
    let cure =
        "the data directory is partly replaced, and no server starts on it: run the same command again";
    assert!(answer.stderr.contains(cure), "{}", answer.stderr);
    world.delta("").run().done();
    world.assert_restored(&[]);
}

/// A state transfer writes before the engines start, and no text keeps it out.
#[test]
fn what_a_state_transfer_leaves_meanwhile_ends_the_restore() {
    let world = World::new();
    for name in ["sst_in_progress", "wsrep_sst.pid", "shop/db.opt", "shop/t.ibd", "db/new.ibd"] {
        world.reset();
        let running = stopped_behind(&world);
        let place = world.node().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "x").unwrap();
        let answer = go_on(running);
        answer.fails_with(1, "' has come while the files were replaced: a server was started");
        assert!(answer.stderr.contains("run the same command again"), "{}", answer.stderr);
        assert!(place.exists(), "{name}");
        let again = world.delta("").run();
        assert_eq!(again.status, Some(0), "{name}: {}", again.stderr);
    }
}

/// The last look is behind the writing of the position: what comes as soon as that is there is found. Who is too late once tries again.
#[test]
fn what_comes_when_all_is_written_ends_the_restore_before_a_server_can_start_on_it() {
    let world = World::new();
    let state = world.node().join("grastate.dat");
    let other = |text: &str| text.replace(UUID, &UUID.replace('4', "5"));
    for name in ["grastate.dat", "sst_in_progress"] {
        let place = world.node().join(name);
        let is_found = (0..20).any(|_| {
            world.reset();
            let text = other(&fs::read_to_string(&state).unwrap());
            let running = stopped_behind(&world);
            running.signal(Signal::SIGCONT);
            let limit = Instant::now() + Duration::from_secs(60);
            while !state.exists() && Instant::now() < limit {
                std::hint::spin_loop();
            }
            fs::write(&place, &text).unwrap();
            let answer = running.finish();
            answer.status == Some(1)
                && answer.stderr.contains(&format!("/{name}' has come while the files were replaced"))
                && fs::read(world.node().join("ibdata1"))
                    .unwrap()
                    .starts_with(b"This data directory is being restored")
        });
        assert!(is_found, "{name}");
    }
}
