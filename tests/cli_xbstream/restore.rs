//! A restore whose programs do what they should not, or that is stopped while one of them runs. They are shell scripts here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{Cli, cli, open_folder};
use crate::support::wait_until;
use crate::{Copy, expected};

/// What unpacks, and what prepares, where all goes well.
const UNPACKS: &str = "cat > /dev/null; echo files > ibdata1; echo old > xtrabackup_galera_info; mkdir d; echo rows > d/t.ibd; others";
const PREPARES: &str =
    "echo $GTID > xtrabackup_galera_info; prepared; echo '[00] 2026-11-27 06:42:17 completed OK!' >&2";
/// How long anything may take on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// A backup, a place for its data directory, and the two programs.
struct Stage {
    copy: Copy,
    place: TempDir,
}

impl Stage {
    fn new(unpacks: &str, prepares: &str) -> Self {
        let stage = Self { copy: Copy::new(), place: open_folder() };
        fs::create_dir(stage.path("bin")).unwrap();
        // They run as the owner of the data.
        fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o777)).unwrap();
        let (here, gtid) = (stage.path("").display().to_string(), expected()["gtid"].clone());
        // As many files and bytes as are in the stream, and what says that they are prepared.
        let others =
            "others() { mkdir pad; seq 4 $FILES | (cd pad; xargs touch); truncate -s $BYTES pad/4; }";
        let prepared = "prepared() { echo 'backup_type = log-applied' > xtrabackup_checkpoints; }";
        let manifest = stage.copy.run("show latest --json").json();
        let (files, bytes) = (&manifest["files"], &manifest["data_bytes"]);
        let head = format!(
            "#!/bin/sh\nHERE={here}\nGTID={gtid}\nFILES={files}\nBYTES={bytes}\nset -e\n{others}\n{prepared}\n"
        );
        let version = "case \"$*\" in *--version*) echo 'mariadb-backup based on MariaDB server 10.11.4-MariaDB (x86_64)'; exit 0;; esac\n";
        stage.program("mbstream", &format!("{head}{unpacks}\n"));
        stage.program("mariadb-backup", &format!("{head}{version}{prepares}\n"));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn restore(&self, more: &str) -> Cli {
        cli(&format!("restore latest --any-server {more}"))
            .on(self.copy.folder.path())
            .to(&self.path("target"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The script that waits for its end, as soon as it does.
    fn waits(&self) -> PathBuf {
        let pid = || self.text("pid").trim().parse::<u32>().ok();
        assert!(wait_until(LONG, || pid().is_some()), "no script waits");
        Path::new("/proc").join(pid().unwrap().to_string())
    }
}

#[test]
fn what_the_programs_do_wrong_leaves_nothing() {
    let other =
        format!("echo {}:6 > xtrabackup_galera_info; prepared; echo 'completed OK!' >&2", "1".repeat(8));
    let lost = format!("{UNPACKS}; rm d/t.ibd");
    for (unpacks, prepares, message) in [
        (
            "cat > /dev/null; echo 'no space' >&2; exit 3",
            PREPARES,
            "mbstream' has failed (exit status: 3): no space",
        ),
        ("exit 0", PREPARES, "mbstream' has failed (it has not read its whole input)"),
        ("kill -9 $$", PREPARES, "mbstream' has failed (signal: 9 (SIGKILL))"),
        (
            UNPACKS,
            "echo 'log is corrupt' >&2; exit 1",
            "mariadb-backup' has failed (exit status: 1): log is corrupt",
        ),
        (UNPACKS, "echo $GTID > xtrabackup_galera_info", "it has ended without its 'completed OK!'"),
        (
            UNPACKS,
            "echo $GTID > xtrabackup_galera_info; echo 'completed OK!' >&2",
            "it has not written down that the files are prepared",
        ),
        (
            UNPACKS,
            "prepared; echo 'completed OK!' >&2",
            "prepared, its files stand at 'nothing', the manifest says ",
        ),
        (UNPACKS, &other, "prepared, its files stand at '11111111:6', the manifest says "),
        ("cat > /dev/null; others; touch 1 2 3", PREPARES, "ibdata1', without which no server starts"),
        (&lost, PREPARES, "it has ended with success, and of the "),
        (
            &format!("{UNPACKS}; rm pad/5; echo ../../elsewhere/t > d/t.ren"),
            PREPARES,
            "'d/t.ren' in it leads to '../../elsewhere/t', outside",
        ),
        (
            &format!("{UNPACKS}; rm pad/5; echo /elsewhere/t.ibd > d/t.isl"),
            PREPARES,
            "'d/t.isl' in it leads to '/elsewhere/t.ibd', outside",
        ),
        (&format!("{UNPACKS}; rm pad/5; ln -s /elsewhere d/l"), PREPARES, "'d/l' in it is no regular file"),
        (
            &format!("{UNPACKS}; rm pad/5; echo innodb_undo_directory=/elsewhere > backup-my.cnf"),
            PREPARES,
            "'backup-my.cnf' in it leads to '/elsewhere', outside",
        ),
    ] {
        let stage = Stage::new(unpacks, prepares);
        let answer = stage.restore("").run();
        assert!(answer.stderr.contains(message), "{unpacks} {prepares}: {}", answer.stderr);
        assert!(matches!(answer.status, Some(1 | 4)), "{unpacks} {prepares}: {answer:?}");
        assert!(!stage.path("target").exists(), "{unpacks} {prepares}");
    }
    let stage = Stage::new(UNPACKS, PREPARES);
    fs::remove_file(stage.path("bin/mbstream")).unwrap();
    let answer = stage.restore("").run();
    assert!(
        answer.stderr.contains("it comes with mariadb-backup and unpacks the stream"),
        "{}",
        answer.stderr
    );
    assert_eq!((answer.status, stage.path("target").exists()), (Some(1), false));
}

#[test]
fn each_purpose_gets_its_state() {
    for (more, state) in [
        ("", Some("safe_to_bootstrap: 0")),
        ("--as cluster", Some("safe_to_bootstrap: 1")),
        ("--as standalone", None),
        ("--as replica", None),
    ] {
        let stage = Stage::new(UNPACKS, PREPARES);
        let said = stage.restore(more).run();
        said.done();
        let found = fs::read_to_string(stage.path("target/grastate.dat")).ok();
        assert_eq!(found.is_some(), state.is_some(), "{more}: {found:?}");
        if let (Some(found), Some(state)) = (found, state) {
            let seqno = expected()["gtid"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
            assert!(found.contains(state) && found.contains(&format!("seqno:   {seqno}\n")), "{found}");
        }
        if more == "--as replica" {
            let script = stage.text("target/wsrep_sst_backup_replica.sql");
            assert!(script.contains("gtid_slave_pos = '0-1-4'"), "{script}");
        }
        assert_eq!(stage.text("target/d/t.ibd"), "rows\n");
        assert!(!stage.path("target/xtrabackup_galera_info").exists());
    }
}

#[test]
fn stopped_while_a_program_runs_it_takes_that_along_and_leaves_no_server() {
    const WAITS: &str = "echo $$ > $HERE/pid; exec sleep 1000";
    let deaf = format!("trap '' TERM; {WAITS}");
    let prepared = format!("{PREPARES}; {WAITS}");
    for (unpacks, prepares) in [(deaf.as_str(), PREPARES), (UNPACKS, WAITS), (UNPACKS, prepared.as_str())] {
        for signal in [Signal::SIGKILL, Signal::SIGTERM] {
            let stage = Stage::new(unpacks, prepares);
            let running = stage.restore("").start();
            let script = stage.waits();
            running.signal(signal);
            let answer = running.finish();
            assert!(wait_until(LONG, || !script.exists()), "{unpacks} {prepares}: the script lives on");
            if signal == Signal::SIGTERM {
                assert!(
                    answer.stderr.contains("interrupted; what had been restored is removed"),
                    "{}",
                    answer.stderr
                );
                assert_eq!((answer.status, stage.path("target").exists()), (Some(1), false));
                continue;
            }
            assert_eq!(answer.status, None);
            assert!(!stage.path("target/grastate.dat").exists(), "nothing that a node could join with");
            assert!(stage.text("target/ibdata1").starts_with("This data directory is being restored"));
            let again = stage.restore("").run();
            assert!(again.stderr.contains("holds a restore that was interrupted"), "{}", again.stderr);
            assert_eq!(again.status, Some(1));
        }
    }
}

/// What a manifest says of the owner is what whoever can write to the repository says.
#[test]
fn a_stream_whose_files_belong_to_root_is_given_to_no_program_of_root() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for (uid, gid, group, is_refused) in
        [(0, 0, "root", true), (4711, 0, "root", true), (65_534, 0, "root", false)]
    {
        let stage = Stage::new(&format!("id > $HERE/who; env >> $HERE/who; {UNPACKS}"), PREPARES);
        let path =
            stage.copy.folder.path().join("fixture_cluster").join(&stage.copy.id).join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        manifest["server"]["owner"] = serde_json::json!({"uid": uid, "gid": gid, "group": group});
        fs::write(&path, manifest.to_string()).unwrap();
        let answer = stage.restore("").env("SECRET", "x").run();
        assert_eq!(answer.status, Some(i32::from(is_refused)), "{answer:?}");
        let who = stage.text("who");
        if is_refused {
            assert!(answer.stderr.contains("is not run as root") && who.is_empty(), "{answer:?} {who}");
        } else {
            assert!(who.contains("uid=65534") && !who.contains("gid=0") && !who.contains("SECRET"), "{who}");
        }
    }
}
