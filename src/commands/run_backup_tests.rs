use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::*;
use crate::job::JobError;
use crate::storage::StorageError;

/// A run on node `n1` of cluster `c`, with a file for its metrics or none.
fn run(file: Option<PathBuf>) -> BackupRun {
    let metrics = Arc::new(Metrics::new(file, "c", "n1", Timestamp::now()));
    BackupRun::new(true, None, OptionFiles::default(), DefaultsArgs::default(), metrics)
}

#[test]
fn a_run_without_the_backup_that_was_wanted_is_told_wherever_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.prom");
    let told = |run: &BackupRun, outcome: Result<(), CommandError>| {
        let _ = fs::remove_file(&file);
        run.tell_metrics(&outcome);
        fs::read_to_string(&file).unwrap_or_default()
    };
    let new = || run(Some(file.clone()));
    let failure = "wsrep_sst_backup_last_run_success{cluster=\"c\",node=\"n1\"} 0\n";
    let unreadable = "wsrep_sst_backup_repository_readable{cluster=\"c\"} 0\n";
    // There was no need for one.
    assert_eq!(told(&new(), Ok(())), "");
    let refused = told(&new(), Err(CommandError::Refused("a donor stands still".into())));
    assert!(refused.contains(failure) && !refused.contains("repository_readable"), "{refused}");
    let never = told(&new(), Err(SelfBackupError::NotBegun.into()));
    assert!(never.contains(failure) && !never.contains("repository_readable"), "{never}");
    let claim = |kind: io::ErrorKind| {
        let cause = StorageError::new("create", "/mnt/r/c", kind.into());
        Err(SelfBackupError::Job(JobError::Storage(cause)).into())
    };
    let gone = told(&new(), claim(io::ErrorKind::Other));
    assert!(gone.contains(failure) && gone.contains(unreadable), "{gone}");
    let full = told(&new(), claim(io::ErrorKind::StorageFull));
    assert!(full.contains(failure) && !full.contains("repository_readable"), "{full}");
    // What has a folder knows more, and has told it.
    let known = new();
    known.metrics.record(1, Some(801), None);
    assert_eq!(told(&known, claim(io::ErrorKind::Other)), "");
    // It is there, whatever else has failed.
    let mut done = new();
    done.made = Some(made());
    assert_eq!(told(&done, Err(CommandError::Failed("node 'n1' is not Synced yet".into()))), "");
}

fn made() -> SelfMade {
    let document = json!({
        "format": 2, "content": "xbstream", "id": "20261117T000000Z_n1", "cluster": "c", "node": "n1",
        "method": "mariadb-backup", "started": "2026-11-17T00:00:00Z", "frozen_at": "2026-11-17T00:00:00Z",
        "finished": "2026-11-17T00:00:00Z", "flush_ms": 0, "frozen_ms": 0, "mariadb_gtid": {},
        "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
        "archive": {"name": "backup.xb", "bytes": 1, "sha256": "", "compression": "none"},
        "index": {"name": "index.json.zst", "bytes": 1, "sha256": ""},
        "damaged_pages": 0, "tool": {"version": "0"}
    });
    let manifest = Manifest::parse(document.to_string().as_bytes()).unwrap();
    SelfMade { folder: "c".into(), manifest: Box::new(manifest) }
}

#[test]
fn a_backup_and_a_node_that_did_not_come_back_are_both_told() {
    let mut run = run(None);
    let failed = || Err(CommandError::Failed("node 'n1' is let in again, and not Synced yet".into()));
    assert_eq!(run.as_json(&failed())["outcome"], "failed");
    assert_eq!(run.as_json(&Err(CommandError::Refused("no".into())))["outcome"], "refused");
    run.made = Some(made());
    run.came_back(Duration::from_secs(60), Some("node 'n1' is let in again, and not Synced yet".into()));
    let told = run.as_json(&failed());
    assert_eq!((&told["outcome"], &told["id"]), (&json!("complete"), &json!("20261117T000000Z_n1")));
    assert_eq!(told["donor_synced"], false);
    assert!(told["error"].as_str().unwrap().contains("not Synced yet"), "{told:#}");
    let error = run.with_backup(failed()).unwrap_err();
    assert_eq!(error.exit_status(), 1);
    assert_eq!(
        error.to_string(),
        "backup 20261117T000000Z_n1 is complete, but node 'n1' is let in again, and not Synced yet"
    );
    assert!(run.with_backup(Ok(())).is_ok());
}
