//! A storage that fails, whose list and objects do not agree, or whose clock is another than this machine's.

use super::*;
use crate::catalog::MANIFEST;
use crate::storage::Storage;

/// Does not give objects with these ends of their names.
struct Withholding {
    ends: Vec<String>,
    kind: io::ErrorKind,
}

impl Whims for Withholding {
    fn before(&self, operation: Operation, name: &str) -> io::Result<()> {
        if operation == Operation::Open && self.ends.iter().any(|end| name.ends_with(end)) {
            return Err(io::Error::new(self.kind, "503 Slow Down"));
        }
        Ok(())
    }
}

fn silent(repository: &DailyBackups, ends: &[&str], kind: io::ErrorKind) -> Whimsical<Withholding> {
    let ends = ends.iter().map(|end| (*end).to_owned()).collect();
    Whimsical::new(repository.folder.path(), Withholding { ends, kind })
}

#[test]
fn a_storage_that_fails_in_mid_prune_is_a_failure_and_no_hold() {
    for end in ["hold.json", "manifest.json"] {
        let repository = DailyBackups::new([0, 3]);
        repository.status(5, "failed");
        let plan = repository.plan();
        let tally = carry_out(&silent(&repository, &[end], io::ErrorKind::Other), &plan, &|| false);
        let failed = |days: i64| {
            let folder = repository.id(days).to_string();
            tally.failed.iter().any(|text| text.contains(&folder) && text.contains("503 Slow Down"))
        };
        assert_eq!(tally.spared, Vec::<String>::new(), "{end}");
        // A backup's manifest is not read again before it goes.
        assert_eq!((failed(3), failed(5)), (end == "hold.json", true), "{end}: {tally:?}");
        assert!(repository.path(5).exists());
    }
}

#[test]
fn a_manifest_that_the_storage_does_not_give_is_told_as_not_looked_at() {
    let repository = DailyBackups::new([0, 3]);
    let end = format!("{}/{MANIFEST}", repository.id(3));
    let storage = silent(&repository, &[&end], io::ErrorKind::Other);
    let plan = PrunePlan::make(&storage, None, &LAST, repository.now).unwrap();
    assert!(plan.unknown.len() == 1 && plan.unknown[0].contains("503 Slow Down"), "{plan:?}");
    assert!(matches!(plan.clusters[0].backups[0].verdict, RetentionVerdict::Keep(_)));
}

#[test]
fn a_listed_manifest_that_is_not_there_for_who_reads_it_keeps_its_folder() {
    let repository = DailyBackups::new([0, 3]);
    let end = format!("{}/{MANIFEST}", repository.id(3));
    let storage = silent(&repository, &[&end], io::ErrorKind::NotFound);
    let plan = PrunePlan::make(&storage, None, &LAST, repository.now).unwrap();
    assert!(
        plan.unknown.len() == 1 && plan.unknown[0].contains("the list of its folder shows it"),
        "{plan:?}"
    );
    carry_out(&storage, &plan, &|| false);
    assert!(repository.path(3).join("backup.tar").exists());

    // The same where the list shows it only when the folder is to be swept, or still does when it was removed.
    let manifest = repository.path(3).join(MANIFEST);
    let content = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let plan = repository.plan();
    assert!(plan.clusters[0].leftovers[0].goes);
    fs::write(&manifest, content).unwrap();
    let tally = carry_out(&storage, &plan, &|| false);
    assert!(
        tally.failed.len() == 1 && tally.failed[0].contains("the list of its folder shows it"),
        "{tally:?}"
    );
    assert!(repository.path(3).join("backup.tar").exists());
}

#[test]
fn nothing_is_swept_that_is_young_by_the_clock_of_the_storage() {
    let repository = DailyBackups::new([0]);
    repository.put(0, ".backup.tar.1.0.tmp", "young");
    repository.put(0, ".backup.tar.2.0.tmp", "old");
    age(&repository.path(0).join(".backup.tar.2.0.tmp"), 2);
    let running = repository.folder.path().join("c").join(BackupId::new(repository.now, "n2").as_str());
    fs::create_dir(&running).unwrap();
    fs::write(running.join("backup.tar"), "it grows").unwrap();
    fs::write(repository.folder.path().join("freezing.c.alive0"), "node").unwrap();
    repository.status(5, "failed");
    // This machine is three days ahead.
    let ahead = repository.now + SignedDuration::from_hours(72);
    let storage = repository.storage();
    let plan = PrunePlan::make(&storage, None, &LAST, ahead).unwrap();
    assert_eq!(plan.clusters[0].leftovers.iter().filter(|leftover| leftover.goes).count(), 4);
    assert_eq!(plan.signs.len(), 1);
    let tally = carry_out(&storage, &plan, &|| false);
    assert_eq!((tally.leftovers, tally.spared.len(), tally.failed.len()), (2, 2, 0), "{tally:?}");
    assert!(running.join("backup.tar").exists() && repository.path(0).join(".backup.tar.1.0.tmp").exists());
    assert!(!repository.path(5).exists() && !repository.path(0).join(".backup.tar.2.0.tmp").exists());
    let left: Vec<String> = storage.objects("").unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(left, ["freezing.c.alive0"]);
}

#[test]
fn what_has_grown_since_the_plan_was_made_is_not_swept() {
    let repository = DailyBackups::new([0]);
    repository.status(5, "copying");
    repository.put(0, ".backup.tar.2.0.tmp", "old");
    age(&repository.path(0).join(".backup.tar.2.0.tmp"), 2);
    let plan = repository.plan();
    // Both with times of long ago.
    repository.put(5, "backup.tar", "somebody is back");
    fs::write(repository.path(0).join(".backup.tar.2.0.tmp"), "older and longer").unwrap();
    age(&repository.path(0).join(".backup.tar.2.0.tmp"), 2);
    let tally = carry_out(&repository.storage(), &plan, &|| false);
    assert_eq!((tally.leftovers, tally.spared.len()), (0, 2), "{tally:?}");
    assert!(repository.path(5).exists() && repository.path(0).join(".backup.tar.2.0.tmp").exists());
}
