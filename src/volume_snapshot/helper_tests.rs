use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::JoinHandle;
use std::time::Instant;

use super::*;
use crate::config::CommandWords;
use crate::volume_snapshot::note::SnapshotNote;

/// A helper in a thread, with commands that are scripts, and its other side.
struct HelperScene {
    folder: tempfile::TempDir,
}

const LONG: Duration = Duration::from_secs(30);

impl HelperScene {
    fn new(take: &str, release: &str) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in [("take", take), ("release", release)] {
            let path = scene.at(name);
            let text = text.replace("FOLDER", &scene.folder.path().display().to_string());
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, asker: Option<u32>) -> (SnapshotWire, JoinHandle<io::Result<()>>) {
        let words = |name: &str| CommandWords::parse(&self.at(name).display().to_string()).unwrap();
        let commands = SnapshotCommands {
            take: words("take"),
            release: words("release"),
            limit: LONG,
            socket: PathBuf::new(),
        };
        let orders = HelperOrders { commands: Ok(commands), notes: self.at("notes"), asker };
        let (own, other) = UnixStream::pair().unwrap();
        (SnapshotWire::new(own).unwrap(), std::thread::spawn(move || serve(other, &orders)))
    }

    /// What is heard until the connection ends, when this was said.
    fn hear_all(&self, lines: &[&str], asker: Option<u32>) -> Vec<String> {
        let (mut wire, thread) = self.start(asker);
        say_all(&mut wire, lines);
        let is_last = |line: &str| ["taken", "failed"].iter().any(|word| line.starts_with(word));
        let mut heard = Vec::new();
        if lines.len() == 1 {
            wire.close();
        }
        while let Incoming::Line(line) = hear(&mut wire) {
            if is_last(&line) {
                wire.close();
            }
            heard.push(line);
        }
        thread.join().unwrap().unwrap();
        heard
    }
}

fn hear(wire: &mut SnapshotWire) -> Incoming {
    let begun = Instant::now();
    wire.hear(&mut || begun.elapsed() < LONG).unwrap()
}

fn say_all(wire: &mut SnapshotWire, lines: &[&str]) {
    for line in lines {
        wire.say(line).unwrap();
    }
}

fn expect(wire: &mut SnapshotWire, line: &str) {
    assert_eq!(hear(wire), Incoming::Line(line.into()));
}

const ASKED: [&str; 5] = ["datadir /d", "take n", "socket /s", "directory /d", ""];

#[test]
fn the_connection_is_the_lease() {
    let scene = HelperScene::new(
        "printf '/d\\t/snap\\n'; echo \"$SNAPSHOT_NAME\" >FOLDER/there",
        "rm -f FOLDER/there",
    );
    let (mut wire, thread) = scene.start(None);
    say_all(&mut wire, &ASKED);
    for line in ["ready", "mount /d\t/snap", "taken"] {
        expect(&mut wire, line);
    }
    assert_eq!(fs::read_to_string(scene.at("there")).unwrap(), "n\n");
    // A second one of the same data directory is not taken meanwhile.
    let second = scene.hear_all(&ASKED, None);
    assert_eq!(second, ["failed another backup of '/d' has a snapshot of it now"]);
    drop(wire);
    thread.join().unwrap().unwrap();
    assert!(!scene.at("there").exists(), "it was not given back");
    assert_eq!(fs::read_dir(scene.at("notes")).unwrap().count(), 0);
}

#[test]
fn what_has_failed_is_given_back_too() {
    let scene = HelperScene::new("echo half >FOLDER/there; echo no room >&2; exit 5", "rm -f FOLDER/there");
    let heard = scene.hear_all(&[&ASKED[..], &["release n"]].concat(), None);
    assert_eq!(heard[0], "ready");
    assert!(heard.contains(&"log snapshot-command: no room".into()), "{heard:?}");
    assert_eq!(heard[2..], ["failed snapshot-command has failed: exit status 5", "released"]);
    assert!(!scene.at("there").exists());
}

#[test]
fn a_command_ends_when_nobody_waits_for_it() {
    let scene = HelperScene::new("echo >FOLDER/there; exec sleep 600", "rm -f FOLDER/there");
    let (mut wire, thread) = scene.start(None);
    say_all(&mut wire, &ASKED);
    expect(&mut wire, "ready");
    let begun = Instant::now();
    while !scene.at("there").exists() {
        assert!(begun.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(5));
    }
    wire.close();
    thread.join().unwrap().unwrap();
    assert!(begun.elapsed() < LONG && !scene.at("there").exists());
}

#[test]
fn one_that_cannot_be_given_back_is_named_and_the_next_one_tries_again() {
    let scene = HelperScene::new("printf '/d\\t/snap\\n'", "test -e FOLDER/may");
    let heard = scene.hear_all(&ASKED, None);
    assert!(
        heard
            .last()
            .unwrap()
            .starts_with("kept the snapshot 'n' may be left: snapshot-release-command has failed")
    );
    let again = scene.hear_all(&ASKED, None);
    let why = "failed the snapshot 'n' of an earlier backup cannot be removed: snapshot-release-command has failed: exit status 1";
    assert_eq!(again, [why]);
    fs::write(scene.at("may"), "").unwrap();
    let asked_only = scene.hear_all(&ASKED[..1], None);
    assert_eq!(asked_only, ["left n", "ready"]);
    assert_eq!(scene.hear_all(&ASKED[..1], None), ["ready"]);
}

#[test]
fn what_a_killed_helper_has_left_goes_first() {
    let scene = HelperScene::new("printf '/d\\t/snap\\n'", "echo \"$SNAPSHOT_NAME\" >>FOLDER/gone");
    let left = SnapshotRequest {
        name: "earlier".into(),
        datadir: "/d".into(),
        socket: None,
        directories: vec!["/d".into()],
    };
    drop(SnapshotNote::write(&scene.at("notes"), &left).unwrap());
    let heard = scene.hear_all(&ASKED, None);
    assert_eq!(heard, ["left earlier", "ready", "mount /d\t/snap", "taken", "released"]);
    assert_eq!(fs::read_to_string(scene.at("gone")).unwrap(), "earlier\nn\n");
}

#[test]
fn what_is_asked_for_is_looked_at() {
    let scene = HelperScene::new("echo >FOLDER/there", "true");
    let other = Some(nix::unistd::geteuid().as_raw() + 1);
    for (lines, asker, wanted) in [
        (&["datadir d"][..], None, "failed the first line is not 'datadir', an absolute path"),
        (&["hello"], None, "failed the first line is not"),
        (&["datadir /d", "take ../x", "directory /d", ""], None, "failed the name of the snapshot has"),
        (&["datadir /d", "take n", ""], None, "failed 0 directories"),
        (&["datadir /d", "take n", "rm /d", ""], None, "failed a line of the request is not understood"),
        (&["datadir /tmp", "take n", "directory /tmp", ""], other, "failed '/tmp' is no directory of user"),
    ] {
        let heard = scene.hear_all(lines, asker);
        assert!(heard.last().unwrap().starts_with(wanted), "{lines:?}: {heard:?}");
    }
    assert!(!scene.at("there").exists());
}
