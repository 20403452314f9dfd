//! A restore that does not come to its end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use nix::sys::signal::Signal;
use wsrep_sst_backup::model::Compression;
use wsrep_sst_backup::restore::{
    AllowedDirectory, Control, Purpose, RestoreRequest, restore as restore_from,
};
use wsrep_sst_backup::throttle::Limiter;

use crate::support::ScriptedMysqld;
use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::memory::Memory;
use crate::support::cli::tree::{Tree, paths, tree};
use crate::support::cli::{Running, SmallDisk, open_folder};
use crate::{restore, restoring};

/// A backup with a large table, files in the data directory and outside of it.
fn slow() -> ScriptedMysqld {
    slow_with(12)
}

/// The same with a table of so many MiB.
fn slow_with(mib: usize) -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    server.make_slow(mib);
    server.write_outside("space/db/far.ibd", vec![1; 65536]);
    server.write("aaa/far.isl", server.path("space/db/far.ibd").to_str().unwrap());
    // Files outside of the data directory come behind those in it: the slow one is the last.
    fs::create_dir(server.path("linked")).unwrap();
    fs::rename(server.datadir().join("db/noise.MYD"), server.path("linked/noise.MYD")).unwrap();
    symlink(server.path("linked"), server.datadir().join("abc")).unwrap();
    server.asks().run().assert_backed_up(&server);
    fs::remove_dir_all(server.path("space")).unwrap();
    server
}

/// Where its files outside of the data directory go: one of them back to where it was.
fn to_mapped(server: &ScriptedMysqld) -> String {
    format!("--map symlink={} --external {}", server.path("mapped").display(), server.path("space").display())
}

/// Starts a restore with one thread and waits until it is in the middle of this table.
fn midway(server: &ScriptedMysqld, target: &Path, more: &str, table: &Path) -> Running {
    let mut running = restoring(&server.repository(), target, &format!("--threads 1 {more}")).start();
    running.wait_for("the middle of a table", || fs::metadata(table).is_ok_and(|data| data.len() > 1 << 20));
    running
}

fn text(path: PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Also where the directory was not there when the first one began, and for files of tables without a server.
#[test]
fn of_two_at_once_the_second_is_refused_by_name_and_the_first_comes_to_its_end() {
    // Longer than the others take to be refused, on a busy machine, too.
    let server = slow_with(48);
    let map = to_mapped(&server);
    let first = midway(&server, &server.path("new"), &map, &server.path("mapped/noise.MYD"));
    let why =
        format!("another restore (pid {}) is writing into '{}'", first.pid(), server.path("new").display());
    for more in [map.as_str(), "--only db.t"] {
        restore(&server.repository(), &server.path("new"), more).fails_with(1, &why);
    }
    first.finish().done();
    assert_eq!(fs::metadata(server.path("mapped/noise.MYD")).unwrap().len(), 48 << 20);
}

#[test]
fn a_signal_takes_everything_back() {
    // It is still under way when the signal comes, on a busy machine, too.
    let server = slow_with(48);
    let target = server.path("new");
    let map = to_mapped(&server);
    let table = server.path("mapped/noise.MYD");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let before = paths(&tree(&server.path("")));
        let running = midway(&server, &target, &map, &table);
        assert!(target.join("ibdata1").is_file() && target.join("db/t.ibd").is_file());
        running.signal(signal);
        running.finish().fails(1, "interrupted; what had been restored is removed");
        assert_eq!(paths(&tree(&server.path(""))), before);
    }
    restore(&server.repository(), &target, &map).done();
    assert_eq!(fs::metadata(table).unwrap().len(), 48 << 20);
}

#[test]
fn what_a_killed_restore_leaves_is_no_server_and_says_so() {
    let server = slow();
    let target = server.path("new");
    let map = to_mapped(&server);
    let table = server.path("mapped/noise.MYD");
    let running = midway(&server, &target, &map, &table);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish().status, None);
    // InnoDB takes a first file that is shorter than a page for no tablespace; and whoever looks is told.
    let placeholder = text(target.join("ibdata1"));
    assert_eq!(
        placeholder,
        "This data directory is being restored by wsrep_sst_backup and is not complete.\n\
         If no restore is running, it was interrupted: empty the directory and restore again.\n"
    );
    assert!(!target.join("grastate.dat").exists(), "nothing that a node could join with");
    let place = target.display();
    let hint = format!(
        "'{place}' holds a restore that was interrupted, or one that runs ('{place}/ibdata1' stands for it); it cannot \
         be started. If none runs, empty the directory and restore again"
    );
    for stage in ["in the middle", "at its beginning", "behind the system tablespace"] {
        match stage {
            "at its beginning" => {
                for name in paths(&tree(&target)).iter().rev().filter(|name| *name != "ibdata1") {
                    let path = target.join(name);
                    fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
                }
            }
            "behind the system tablespace" => {
                fs::write(target.join("ibdata1.wsrep_sst_backup-restoring"), vec![0; 65536]).unwrap();
                fs::remove_file(target.join("ibdata1")).unwrap();
            }
            _ => {}
        }
        let before = tree(&target);
        restore(&server.repository(), &target, &map).fails(1, &hint);
        assert_eq!(tree(&target), before, "{stage}");
    }
    fs::remove_dir_all(&target).unwrap();
    fs::remove_dir_all(server.path("mapped")).unwrap();
    restore(&server.repository(), &target, &map).done();
}

#[test]
fn a_system_tablespace_elsewhere_is_guarded_there() {
    let server = ScriptedMysqld::new();
    server.make_slow(12);
    fs::create_dir(server.path("home")).unwrap();
    fs::rename(server.datadir().join("ibdata1"), server.path("home/ibdata1")).unwrap();
    server.configure("mariadb", &format!("innodb_data_home_dir={}", server.path("home").display()));
    server.asks().run().assert_backed_up(&server);
    fs::remove_dir_all(server.path("home")).unwrap();
    let target = server.path("new");
    let external = format!("--external {}", server.path("home").display());
    let running = midway(&server, &target, &external, &target.join("db/noise.MYD"));
    assert!(text(server.path("home/ibdata1")).starts_with("This data directory is being restored"));
    running.signal(Signal::SIGKILL);
    running.finish();
    fs::remove_dir_all(&target).unwrap();
    let home = server.path("home/ibdata1");
    restore(&server.repository(), &target, &external).fails(
        1,
        &format!(
            "'{}' holds a restore that was interrupted, or one that runs ('{}' stands for it); it cannot be started. If \
             none runs, empty the directory, and the directories outside of it, and restore again",
            target.display(),
            home.display()
        ),
    );
    fs::remove_file(&home).unwrap();
    restore(&server.repository(), &target, &external).done();
    assert_eq!(fs::metadata(home).unwrap().len(), 128 << 10);
}

#[test]
fn a_disk_that_fills_up_meanwhile_is_left_as_it_was() {
    let server = slow();
    let disk = server.path("disk");
    let _disk = SmallDisk::mount(&disk, 24);
    let map = format!(
        "--map symlink={} --map data_directory={}",
        disk.join("links").display(),
        disk.join("far").display()
    );
    let target = disk.join("data");
    let table = disk.join("links/noise.MYD");
    let running = midway(&server, &target, &map, &table);
    // Somebody else takes what is left.
    let filler = disk.join("filler");
    assert!(fs::write(&filler, vec![7; 32 << 20]).is_err());
    let answer = running.finish();
    answer.fails(
        1,
        &format!(
            "cannot write '{}': No space left on device (os error 28); what had been restored is removed",
            table.display()
        ),
    );
    assert_eq!(paths(&tree(&disk)), ["filler"]);
    fs::remove_file(filler).unwrap();
    restore(&server.repository(), &target, &map).done();
    assert_ne!(tree(&target), Tree::new());
}

#[test]
fn an_archive_that_is_cut_meanwhile_is_found_damaged() {
    // Fewer MiB than that are read ahead.
    let server = slow_with(48);
    let target = server.path("new");
    let archive = server.backup().folder.join("backup.tar.bz2");
    let map = to_mapped(&server);
    let running = midway(&server, &target, &map, &server.path("mapped/noise.MYD"));
    fs::File::options().write(true).open(&archive).unwrap().set_len(1).unwrap();
    running.finish().fails_with(4, " is damaged: ");
    assert!(!target.exists() && !server.path("mapped").exists() && !server.path("space").exists());
}

#[test]
fn a_bad_sector_anywhere_takes_everything_back() {
    let folder = open_folder();
    let (target, undo) = (folder.path().join("data"), folder.path().join("undo"));
    let forge = Forge::new(ID).compression(Compression::None);
    let forge = forge.external("innodb_undo_directory", &undo, &undo.join("undo002"), "x");
    let memory = Memory::read(&forge.write(&folder.path().join("r")));
    let external = vec![AllowedDirectory(folder.path().to_owned())];
    let request = RestoreRequest {
        target,
        purpose: Purpose::Node,
        wsrep_home: None,
        maps: Vec::new(),
        external,
        init_file: None,
        threads: 1,
        only: None,
    };
    let limiter = Limiter::unlimited();
    let control = Control { progress: &|_| {}, interrupted: &AtomicBool::new(false), limiter: &limiter };
    let before = paths(&tree(folder.path()));
    let length = memory.object("backup.tar").len() as u64;
    for bytes in (0..=length).step_by(5000).chain([length - 1, length]) {
        let error = restore_from(&memory.failing("backup.tar", bytes).source(), &request, &control);
        let error = error.unwrap_err().to_string();
        let message = format!("cannot read 'memory/c/{ID}/backup.tar': Input/output error (os error 5)");
        assert!(error.starts_with(&message), "behind {bytes} bytes: {error}");
        assert_eq!(paths(&tree(folder.path())), before, "behind {bytes} bytes");
    }
    restore_from(&memory.source(), &request, &control).unwrap();
}
