//! `backup` with a scripted garbd and a repository that tells a donor's story: every answer, every silence.
//!
//! The lines are those of garbd 26.4.23. That they are what garbd says today is proven on real clusters
//! (`cluster_faults`).

#[path = "cli_backup/endings.rs"]
mod endings;
#[path = "cli_backup/members.rs"]
mod members;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::cli::forge::{Forge, ID, put_object, status};
use support::cli::{Cli, cli, open_folder};
use support::wait_until;

const LONG: Duration = Duration::from_secs(60);
const JOINED: &str = "INFO: (a, 'tcp://h') connection established to b tcp://c
INFO: New COMPONENT: primary = yes, bootstrap = no, my_idx = 3, memb_num = 4
INFO: Sending state transfer request: 'backup:x', size: 12";
/// What it says of its own request is about `$name`, which its script knows.
const SELECTED: &str =
    "INFO: Member 3.0 ($name) requested state transfer from 'n1'. Selected 0.0 (n1)(SYNCED) as donor.";
const UNKNOWN: &str = "WARN: Member 3.0 ($name) requested state transfer from 'n9', but it is impossible to select State \
                       Transfer donor: Requested donor is not available";
const LOST: &str = "INFO: (a, 'tcp://h') connection established to b tcp://c
INFO: New COMPONENT: primary = no, bootstrap = no, my_idx = 0, memb_num = 1";
const ALONE: &str = "INFO: view(view_id(NON_PRIM,e8cedea0-b751,1) memb {";

/// A folder with a repository and a garbd that prints `lines` and stays `seconds`.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(lines: &str, seconds: u32) -> Self {
        let stage = Self { folder: open_folder() };
        fs::create_dir(stage.repository()).unwrap();
        stage.script(&format!("cat >&2 <<END\n{lines}\nEND\nsleep {seconds}"));
        stage
    }

    fn script(&self, body: &str) {
        // `exec`: garbd is one process, which a signal ends.
        let body = body.replace("\nsleep", "\nexec sleep");
        let name = "for word; do case $word in --name=*) name=${word#--name=} ;; esac; done";
        let text =
            format!("#!/bin/sh\n{name}\necho \"$@\" >> {}/calls\n{body}\n", self.folder.path().display());
        fs::write(self.garbd(), text).unwrap();
        fs::set_permissions(self.garbd(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn garbd(&self) -> PathBuf {
        self.folder.path().join("garbd")
    }

    /// The arguments of each visit.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn backup(&self, words: &str) -> Cli {
        self.backup_of("127.0.0.1:1", words)
    }

    /// Asks the group that this member belongs to.
    fn backup_of(&self, member: &str, words: &str) -> Cli {
        cli(&format!("backup --cluster c --address gcomm://{member} {words}"))
            .arg("--garbd")
            .arg(self.garbd())
            .env("WSREP_SST_BACKUP_SOCKET", "/nonexistent/socket")
            .on(&self.repository())
    }

    /// The request that garbd was given.
    fn request(&self) -> String {
        assert!(wait_until(LONG, || !self.calls().is_empty()), "garbd was not started");
        let call = self.calls().remove(0);
        call.split("--sst=backup:").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    }

    /// Writes `status.json` of the request's backup.
    fn status(&self, request: &str, state: &str, error: Option<&str>) {
        let mut status = status(ID, state, error);
        status["request"] = request.into();
        // In one step, as the donor does it.
        let name = self.repository().join("c").join(ID).join("status.json");
        put_object(&self.repository(), &format!("c/{ID}/new"), status.to_string());
        fs::rename(self.repository().join("c").join(ID).join("new"), name).unwrap();
    }
}

/// Moves a whole backup into the repository, changed by `edit`, its manifest last.
fn publish(stage: &Stage, request: &str, edit: impl FnOnce(&Path)) {
    let aside = stage.folder.path().join("aside");
    let folder = Forge::new(ID).manifest(|manifest| manifest["request"] = request.into()).write(&aside);
    edit(&folder);
    let target = stage.repository().join("c").join(ID);
    fs::create_dir_all(&target).unwrap();
    for name in ["backup.tar.zst", "index.json.zst", "manifest.json"] {
        fs::rename(folder.join(name), target.join(name)).unwrap();
    }
}

/// Starts a backup and gives its request.
fn begin(stage: &Stage, words: &str) -> (support::cli::Running, String) {
    let running = stage.backup(words).start();
    let request = stage.request();
    (running, request)
}

#[test]
fn garbd_is_called_with_a_new_name_a_free_port_and_the_request() {
    // A node joins just then.
    let other =
        "INFO: Member 1.0 (n7) requested state transfer from '*any*'. Selected 2.0 (n3)(SYNCED) as donor.";
    let stage = Stage::new(&format!("{JOINED}\n{other}\n{SELECTED}"), 0);
    let answer = stage.backup("--donor n1,n2 --no-wait --provider-options evs.suspect_timeout=PT9S").run();
    assert_eq!(answer.status, Some(0), "{answer:?}");
    let request = stage.request();
    let expected = format!(
        "n1 has taken the request; whether a backup comes of it: wsrep_sst_backup backup --follow {request}\n"
    );
    assert_eq!(answer.stdout, expected);
    let call = stage.calls().remove(0);
    assert!(call.starts_with("--address=gcomm://127.0.0.1:1 --group=c --name=backup-"), "{call}");
    assert!(call.contains(" --options=gmcast.listen_addr=tcp://127.0.0.1:"), "{call}");
    assert!(call.ends_with(";pc.weight=0;evs.suspect_timeout=PT9S --donor=n1,n2"), "{call}");
    assert!(request.starts_with("req-20"), "{request}");
}

#[test]
fn a_backup_counts_when_its_manifest_was_read_back() {
    let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 1);
    let (running, request) = begin(&stage, "--json");
    stage.status(&request, "copying", None);
    std::thread::sleep(Duration::from_secs(1));
    publish(&stage, &request, |_| {});
    stage.status(&request, "done", None);
    let answer = running.finish();
    assert_eq!(answer.status, Some(0), "{answer:?}");
    let told: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(told["outcome"], "complete");
    assert_eq!((&told["request"], &told["id"]), (&request.as_str().into(), &ID.into()));
    assert_eq!((&told["donor"], &told["attempts"]), (&"n1".into(), &1.into()));
    assert_eq!((&told["donor_synced"], &told["error"]), (&Value::Null, &Value::Null));
    assert_eq!(told["manifest"]["gtid"]["seqno"], 417);
    // The same again, for whoever has lost sight of it.
    let answer = cli("backup --follow").arg(&request).on(&stage.repository()).run();
    assert!(answer.stdout.starts_with(&format!("Backup {ID} is complete at ")), "{answer:?}");
    assert_eq!(answer.status, Some(0));
}

#[test]
fn a_manifest_without_its_archive_is_no_backup() {
    let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 0);
    let (running, request) = begin(&stage, "");
    publish(&stage, &request, |folder| fs::write(folder.join("backup.tar.zst"), "short").unwrap());
    let answer = running.finish();
    assert_eq!(answer.status, Some(1), "{answer:?}");
    assert!(
        answer.stderr.contains("'backup.tar.zst' is not what it says: it has 5 bytes"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_failure_is_told_with_the_donors_own_reason() {
    let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 0);
    let (running, request) = begin(&stage, "--json");
    stage.status(&request, "failed", Some("cannot write 'x': No space left on device"));
    let answer = running.finish();
    assert_eq!(answer.status, Some(1), "{answer:?}");
    let told: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((&told["outcome"], &told["id"]), (&"failed".into(), &ID.into()));
    assert_eq!(told["error"], "cannot write 'x': No space left on device");
    let last = answer.stderr.lines().last().unwrap();
    assert_eq!(last, "error: no backup was made: cannot write 'x': No space left on device");
}

#[test]
fn nothing_in_the_repository_is_no_backup() {
    let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 0);
    let answer = stage.backup("").run();
    assert_eq!(answer.status, Some(1), "{answer:?}");
    assert!(
        answer.stderr.contains("n1 took the request, and nothing of it is in the repository"),
        "{}",
        answer.stderr
    );
    assert!(answer.stderr.contains("wsrep_sst_backup check"), "{}", answer.stderr);
    // Nobody can ask that node whether it has come to the request.
    assert!(!answer.stderr.contains("no backup was made"), "{}", answer.stderr);
    assert!(answer.stderr.contains("the backup is still to come"), "{}", answer.stderr);
    assert!(answer.stderr.contains("--follow req-"), "{}", answer.stderr);
}

/// Makes the data of a backup that is to be published as old as this.
fn aged(minutes: i64) -> impl FnOnce(&Path) {
    move |folder| {
        let name = folder.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&name).unwrap()).unwrap();
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        manifest["started"] = at.to_string().into();
        manifest["frozen_at"] = at.to_string().into();
        fs::write(name, manifest.to_string()).unwrap();
    }
}

/// Words in the repository that somebody asks.
fn leases(stage: &Stage) -> Vec<String> {
    let names = fs::read_dir(stage.repository()).unwrap().flatten();
    names
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| name.starts_with("asking."))
        .collect()
}

#[test]
fn a_backup_that_is_young_enough_is_not_taken_again() {
    let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 0);
    publish(&stage, "req-1", aged(90));
    let answer = stage.backup("--unless-newer-than 2h").run();
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert_eq!(answer.stdout, format!("Nothing to do: backup {ID} is 1 h 30 min old.\n"));
    let answer = stage.backup("--unless-newer-than 2h --json").run();
    let told: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((&told["outcome"], &told["id"]), (&"recent".into(), &ID.into()));
    assert_eq!((&told["request"], &told["manifest"]["request"]), (&Value::Null, &"req-1".into()));
    assert_eq!((stage.calls().len(), answer.status), (0, Some(0)));

    let mut running = stage.backup("--unless-newer-than 1h").start();
    let request = stage.request();
    // What comes before is nobody's request yet.
    running.wait_said(" is the donor");
    assert_eq!(leases(&stage).len(), 1, "nobody can see that it asks");
    running.signal(Signal::SIGTERM);
    let answer = running.finish();
    assert!(answer.stderr.contains(&format!("--follow {request}")), "{answer:?}");
    assert_eq!((answer.status, leases(&stage)), (Some(1), Vec::new()));
}

#[test]
fn of_several_that_ask_at_once_one_asks_and_all_end_with_its_backup() {
    let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 0);
    let asking: Vec<_> = (0..3).map(|_| stage.backup("--unless-newer-than 20h --json").start()).collect();
    let request = stage.request();
    stage.status(&request, "copying", None);
    std::thread::sleep(Duration::from_secs(3));
    publish(&stage, &request, aged(0));
    stage.status(&request, "done", None);
    let answers: Vec<_> = asking.into_iter().map(support::cli::Running::finish).collect();
    let told = answers.iter().map(|answer| serde_json::from_str(&answer.stdout).unwrap());
    let mut outcomes: Vec<String> =
        told.map(|told: Value| told["outcome"].as_str().unwrap().to_owned()).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["complete", "recent", "recent"], "{answers:?}");
    assert!(answers.iter().all(|answer| answer.status == Some(0)), "{answers:?}");
    assert_eq!((stage.calls().len(), leases(&stage).len()), (1, 0));
    let waited = answers.iter().filter(|answer| answer.stderr.contains(": waiting for its end")).count();
    assert_eq!(waited, 2, "{answers:?}");
}

#[test]
fn a_request_that_nobody_knows_is_not_found() {
    let stage = Stage::new("", 0);
    let answer = cli("backup --follow req-1 --json").on(&stage.repository()).run();
    assert_eq!(answer.status, Some(3), "{answer:?}");
    let told: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((&told["request"], &told["outcome"]), (&"req-1".into(), &"failed".into()));
}

#[test]
fn wrong_words_are_wrong_usage() {
    let stage = Stage::new("", 0);
    for (words, text) in [
        ("--timeout soon", "--timeout: 'soon' is not a duration"),
        ("--unless-newer-than 0", "--unless-newer-than: '0' is no time at all"),
        ("--unless-newer-than 1h --no-wait", "cannot be used with"),
        ("--listen a:b:c:d!", "--listen: "),
        ("--follow a;b", "cannot be used with"),
        ("--members a:x", "--members: 'a:x' is not HOST"),
    ] {
        let answer = stage.backup(words).run();
        assert_eq!(answer.status, Some(2), "{words}: {answer:?}");
        assert!(answer.stderr.contains(text), "{words}: {}", answer.stderr);
    }
    let answer = cli("backup --follow a;b").on(&stage.repository()).run();
    assert_eq!(answer.status, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("'a;b' is no request id"), "{}", answer.stderr);
    let answer = cli("backup").on(&stage.repository()).env("WSREP_SST_BACKUP_SOCKET", "/nonexistent/s").run();
    assert_eq!(answer.status, Some(1));
    assert!(answer.stderr.contains("give --cluster NAME"), "{}", answer.stderr);
}
