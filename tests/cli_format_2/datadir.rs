//! Files of real servers: copied ahead while they changed, so that pages, names and removals come behind them; and clones of a server that has
//! crashed at its position.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::cli::open_folder;
use super::support::cli::records::index_lines;
use super::support::scripted_mysqld::{Backup, shell};
use super::support::trees::assert_same_files;
use super::{
    Case, Stored, copied_to_folders_and_buckets, held_and_pruned, listed_shown_and_verified,
    restore_finds_the_one_of_a_time,
};

const PRECOPY: Case = Case { name: "precopy", cluster: "fixture_cluster", counts: "116 files" };
const SNAPSHOT: Case = Case { name: "snapshot", cluster: "fixture_cluster", counts: "112 files" };

impl Stored {
    /// What stock tools make of it, behind the check of its sums.
    fn unpack(&self, to: &Path) -> PathBuf {
        Backup::open(&self.object("")).unpack(to)
    }

    fn restore(&self, line: &str, to: &Path) -> String {
        self.cli(&format!("restore latest {line}")).to(to).run().done().to_owned()
    }

    /// The paths of its files, as `ls` has them.
    fn listed(&self) -> Vec<String> {
        let listed = self.run("ls latest --json").json();
        let path = |file: &Value| file["path"].as_str().unwrap().to_owned();
        listed["files"].as_array().unwrap().iter().map(path).collect()
    }
}

fn holds(file: &Path, text: &str) -> bool {
    fs::read(file).unwrap().windows(text.len()).any(|found| found == text.as_bytes())
}

#[test]
fn a_node_that_was_copied_ahead_goes_through_every_command() {
    let stored = PRECOPY.copy();
    let (gtid, written) = (PRECOPY.expected("gtid"), PRECOPY.expected("written"));
    let lines = index_lines(&stored.object(""));
    let has = |is: &dyn Fn(&Value) -> bool| lines.iter().any(is);
    for change in ["removed", "moved"] {
        assert!(has(&|line| !line["change"][change].is_null()), "no {change}: nothing is proved");
    }
    assert!(has(&|line| line["member"]["kind"] == "pages"), "no pages: nothing is proved");

    let shown = stored.run("show latest");
    for line in ["method precopy, format 2", &gtid] {
        assert!(shown.done().contains(line), "{line}: {}", shown.stdout);
    }
    listed_shown_and_verified(&stored);
    copied_to_folders_and_buckets(&stored);
    held_and_pruned(&stored);
    let listed = stored.listed();
    for (name, is_there) in [("t", true), ("new_name", true), ("old_name", false), ("gone", false)] {
        assert_eq!(listed.contains(&format!("d/{name}.ibd")), is_there, "{name}: {listed:?}");
    }

    let place = open_folder();
    let whole = place.path().join("whole");
    stored.restore("--any-server", &whole);
    assert!(
        holds(&whole.join("d/t.ibd"), &written)
            && holds(&whole.join("grastate.dat"), gtid.split(':').next().unwrap())
    );
    let by_hand = stored.unpack(&place.path().join("by hand"));
    shell(&by_hand, "sh .wsrep_sst_backup/apply");
    assert_same_files(&by_hand, &whole);
    let only = place.path().join("only");
    stored.restore("--only d.t --only d.new_name", &only);
    for table in ["t", "new_name"] {
        let name = format!("d/{table}.ibd");
        assert_eq!(fs::read(only.join(&name)).unwrap(), fs::read(whole.join(&name)).unwrap(), "{name}");
    }
    for gone in ["d.gone", "d.old_name"] {
        let answer = stored.cli(&format!("restore latest --only {gone}")).to(&place.path().join(gone)).run();
        assert_ne!(answer.status, Some(0), "{answer:?}");
    }
    restore_finds_the_one_of_a_time(
        &stored,
        "restore --only d.gone --to /nonexistent/d",
        2,
        "holds no file of such a table",
    );
}

#[test]
fn clones_of_a_crashed_node_go_through_every_command() {
    let stored = SNAPSHOT.copy();
    let gtid = SNAPSHOT.expected("gtid");
    assert_eq!(stored.manifest()["files_state"], "crashed");
    let shown = stored.run("show latest");
    for line in ["method snapshot, format 2", &gtid] {
        assert!(shown.done().contains(line), "{line}: {}", shown.stdout);
    }
    listed_shown_and_verified(&stored);
    copied_to_folders_and_buckets(&stored);
    held_and_pruned(&stored);
    let listed = stored.listed();
    for name in ["ibdata1", "ib_logfile0", "d/t.ibd"] {
        assert!(listed.iter().any(|path| path == name), "{name}: {listed:?}");
    }
    let place = open_folder();
    let whole = place.path().join("whole");
    let said = stored.restore("--any-server", &whole);
    assert!(said.contains("--wsrep-recover") && said.contains(&gtid), "{said}");
    assert_same_files(&stored.unpack(&place.path().join("by hand")), &whole);
    let refused = "restore --only d.t --to /nonexistent/d";
    restore_finds_the_one_of_a_time(&stored, refused, 2, "restore it as a whole");
}
