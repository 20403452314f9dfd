use super::*;
use crate::catalog::{Attempt, Evidence, ObjectDamage};
use crate::check::Level;
use crate::model::{
    ArchiveObject, BackupState, Compression, IndexObject, MariadbGtid, ServerIdentity, Status, ToolIdentity,
    WsrepGtid,
};

pub(in crate::check) const UUID: &str = "64f8fd84-e4fc-11f1-a7f7-8a19f99d6a1a";
const NOW: &str = "2026-11-20T12:00:00Z";
/// A backup at seqno 100.
pub(in crate::check) fn manifest(id: &str) -> Manifest {
    let id: BackupId = id.parse().unwrap();
    let began = id.started().unwrap();
    Manifest {
        format: 1,
        content: crate::model::Content::Datadir,
        dump: None,
        cluster: "c".into(),
        node: "n1".into(),
        request: None,
        method: "freeze".into(),
        method_reason: None,
        started: began,
        frozen_at: began,
        finished: began,
        flush_ms: 1,
        frozen_ms: 2,
        paused_ms: None,
        gtid: Some(WsrepGtid { uuid: UUID.into(), seqno: 100, domain_id: None }),
        donor_gtid: None,
        mariadb_gtid: MariadbGtid::default(),
        innodb_lsn: None,
        replication: None,
        server: ServerIdentity::default(),
        data_bytes: 100,
        files: 1,
        archive: ArchiveObject {
            name: "a".into(),
            bytes: 30,
            sha256: String::new(),
            compression: Compression::Zstd,
            encryption: None,
            recipients: Vec::new(),
        },
        index: IndexObject { name: "i".into(), bytes: 1, sha256: String::new() },
        damaged_pages: 0,
        missing_pages: 0,
        live_redo: None,
        files_state: crate::model::FilesState::Clean,
        warnings: vec![],
        more_warnings: 0,
        tool: ToolIdentity { version: "0".into() },
        id,
    }
}

fn record(manifest: Manifest) -> Record {
    let (id, evidence) = (manifest.id.clone(), Evidence::default());
    Record { cluster: "c".into(), id, manifest: Ok(manifest), evidence }
}

fn attempt(id: &str, state: Option<BackupState>, updated: &str) -> Attempt {
    let id: BackupId = id.parse().unwrap();
    let status = state.map(|state| Status {
        id: id.clone(),
        cluster: "c".into(),
        node: "n1".into(),
        request: None,
        state,
        started: updated.parse().unwrap(),
        updated: updated.parse().unwrap(),
        pid: 1,
        bytes_done: 0,
        bytes_total: None,
        frozen_ms: None,
        gtid: None,
        error: (state == BackupState::Failed).then(|| "WHY".into()),
        beat_s: None,
    });
    Attempt { cluster: "c".into(), id, status }
}

fn told(catalog: &Catalog, max_age: Option<u64>) -> Vec<(Level, String)> {
    told_in(None, catalog, max_age)
}

fn told_in(history: Option<&str>, catalog: &Catalog, max_age: Option<u64>) -> Vec<(Level, String)> {
    let max_age = max_age.map(|hours| Duration::from_secs(hours * 3600));
    let findings = judge(
        catalog,
        &Terms {
            location: "/r",
            cluster: Some("c"),
            history,
            max_age,
            now: NOW.parse().unwrap(),
            command: "garbd",
        },
    );
    assert!(findings.iter().all(|f| f.cure.is_some() == (f.level != Level::Ok)), "{findings:?}");
    findings.into_iter().map(|f| (f.level, format!("{} | {}", f.text, f.cure.unwrap_or_default()))).collect()
}
#[test]
fn the_age_of_the_newest_decides() {
    let catalog = |ids: &[&str]| Catalog {
        records: ids.iter().map(|id| record(manifest(id))).collect(),
        ..Catalog::default()
    };
    let fresh = &["20261119T000000Z_n1", "20261120T060000Z_n2"][..];
    for (ids, max_age, level, text) in [
        (fresh, None, Level::Ok, "20261120T060000Z_n2, 6 h 00 min old, at 64f8fd84"),
        (fresh, Some(6), Level::Ok, "20261120T060000Z_n2"),
        (fresh, Some(5), Level::Error, "older than 5 h 00 min (--max-age)"),
        (&["20261118T000000Z_n1"], None, Level::Warning, "2 days old"),
        (&["20261118T000000Z_n1"], Some(240), Level::Ok, "2 days old"),
        (&[], None, Level::Warning, "there is no backup of cluster 'c' in /r"),
        (&[], Some(24), Level::Error, "there is no backup"),
    ] {
        let told = told(&catalog(ids), max_age);
        assert!(told.len() == 1 && told[0].0 == level && told[0].1.contains(text), "{told:?}");
    }
}

#[test]
fn what_something_speaks_against_is_no_protection() {
    let good = || record(manifest("20261118T000000Z_n1"));
    let damaged = |id: &str| {
        let mut record = record(manifest(id));
        record.evidence.damage = Some(ObjectDamage { object: "a".into(), what: "it is missing".into() });
        record
    };
    let of = |records: Vec<Record>, max_age| told(&Catalog { records, ..Catalog::default() }, max_age);
    // The age is that of the last good one, whatever came after it.
    for (newest, words) in [
        (damaged("20261120T110000Z_n1"), "DAMAGED: a: it is missing"),
        (record(manifest("20261130T000000Z_n1")), "FROM THE FUTURE (2026-11-30 00:00:00 UTC)"),
        (
            {
                let mut ahead = record(manifest("20261120T110000Z_n1"));
                ahead.evidence.written = Some("2026-11-17T11:00:00Z".parse().unwrap());
                ahead
            },
            "WRONG CLOCK: it says 2026-11-20 11:00:00 UTC, and the repository has had it since 2026-11-17 11:00:00 UTC",
        ),
    ] {
        let told = of(vec![good(), newest], Some(26));
        let texts: Vec<&str> = told.iter().map(|(_, text)| text.as_str()).collect();
        assert!(told.iter().all(|(level, _)| *level == Level::Error) && told.len() == 2, "{told:?}");
        assert!(texts[0].contains("the newest is 20261118T000000Z_n1, 2 days old"), "{told:?}");
        assert!(texts[1].contains(words), "{told:?}");
    }
    // Behind a good one it is worth a word; alone it is no backup.
    let older = of(vec![damaged("20261117T000000Z_n1"), record(manifest("20261120T110000Z_n1"))], Some(26));
    assert_eq!(older.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [Level::Ok, Level::Warning]);
    let alone = of(vec![damaged("20261120T110000Z_n1")], Some(26));
    assert!(
        alone[0].1.contains("there is no backup of cluster 'c' that can be relied on in /r"),
        "{alone:?}"
    );
    assert_eq!((alone.len(), alone[1].0), (2, Level::Error));
    let many = (10..20).map(|hour| damaged(&format!("20261118T{hour}0000Z_n1"))).collect();
    assert!(of(many, None).last().unwrap().1.contains("none to rely on: 5"));
}

#[test]
fn what_is_wrong_with_single_backups_is_told() {
    let mut damaged = manifest("20261120T060000Z_n1");
    damaged.damaged_pages = 3;
    let broken = |id: &str| Record {
        cluster: "c".into(),
        id: id.parse().unwrap(),
        manifest: Err(CatalogError::Misplaced {
            id: id.into(),
            found: "20200101T000000Z_x".parse().unwrap(),
        }),
        evidence: Evidence::default(),
    };
    let catalog = Catalog {
        records: vec![broken("20261119T000000Z_n1"), record(damaged), broken("20261120T070000Z_n1")],
        ..Catalog::default()
    };
    let denied = |id: &str| {
        let cause = std::io::Error::from(ErrorKind::PermissionDenied);
        let manifest = Err(crate::storage::StorageError::new("open", id, cause).into());
        Record { cluster: "c".into(), id: id.parse().unwrap(), manifest, evidence: Evidence::default() }
    };
    let hidden = Catalog { records: vec![denied("20261119T000000Z_n1")], ..Catalog::default() };
    for (max_age, level) in [(None, Level::Warning), (Some(1), Level::Error)] {
        let told = told(&hidden, max_age);
        assert!(told.len() == 1 && told[0].0 == level && told[0].1.contains("may not read: 1"), "{told:?}");
    }
    let told = told(&catalog, None);
    let levels: Vec<Level> = told.iter().map(|(level, _)| *level).collect();
    assert_eq!(levels, [Level::Ok, Level::Error, Level::Warning, Level::Error], "{told:?}");
    assert!(told[1].1.contains("3 InnoDB pages") && told[1].1.contains("on 'n1'"));
    assert!(told[3].1.contains("/r/c/20261120T070000Z_n1"), "{told:?}");
}

#[test]
fn runs_that_are_no_backup_are_told_apart() {
    let records = || vec![record(manifest("20261120T060000Z_n1"))];
    let of =
        |attempts| told(&Catalog { records: records(), attempts, ..Catalog::default() }, None).split_off(1);
    // Before the newest backup: history.
    assert_eq!(
        of(vec![attempt("20261120T050000Z_n1", Some(BackupState::Failed), "2026-11-20T05:00:01Z")]),
        []
    );
    let failed = of(vec![attempt("20261120T070000Z_n1", Some(BackupState::Failed), "2026-11-20T07:00:01Z")]);
    assert!(
        failed.len() == 1 && failed[0].0 == Level::Error && failed[0].1.contains("failed: WHY"),
        "{failed:?}"
    );
    let dead = of(vec![
        attempt("20261120T010000Z_n1", None, NOW),
        attempt("20261120T110000Z_n1", Some(BackupState::Copying), "2026-11-20T11:00:02Z"),
    ]);
    let removed = of(vec![attempt("20261120T070000Z_n1", Some(BackupState::Done), "2026-11-20T07:00:02Z")]);
    assert!(removed.len() == 1 && removed[0].0 == Level::Warning, "{removed:?}");
    assert_eq!((dead[0].0, dead[1].0, dead.len()), (Level::Error, Level::Warning, 2), "{dead:?}");
    // A program that was only stopped, or whose clock is another, goes on: nothing is said that removes its folder now.
    assert!(
        dead[0].1.contains("its program has been silent for 59 min 58 s, and has probably died"),
        "{dead:?}"
    );
    assert!(
        dead[1].1.contains("2 folders")
            && dead[1].1.contains("20261120T010000Z_n1 has been silent for 11 h")
            && dead[1].1.contains("20261120T110000Z_n1 has been silent for 59 min 58 s")
            && dead[1].1.contains("wsrep_sst_backup prune removes it when it is a day old")
            && !dead[1].1.contains("rm "),
        "{dead:?}"
    );
    assert!(removed[0].1.contains("20261120T070000Z_n1 is what a removed backup has left"), "{removed:?}");
    let many = of((10..20).map(|minute| attempt(&format!("20261120T05{minute}00Z_n1"), None, NOW)).collect());
    assert!(
        many.len() == 1 && many[0].1.contains("10 folders") && many[0].1.contains("last ones"),
        "{many:?}"
    );
    assert!(many[0].1.contains("T051900Z") && !many[0].1.contains("T051400Z"), "{many:?}");
}

/// History of the members; histories and ids of the backups; what is told.
type BackupsCase<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)], &'a [(Level, &'a str)]);

#[test]
fn a_backup_of_another_history_is_no_backup_of_this_cluster() {
    const OTHER: &str = "00000000-e4fc-11f1-a7f7-8a19f99d6a1b";
    let of = |uuid: &str, id: &str| {
        let mut manifest = manifest(id);
        manifest.gtid.as_mut().unwrap().uuid = uuid.into();
        record(manifest)
    };
    let (night, noon) = ("20261120T010000Z_n1", "20261120T110000Z_n1");
    let (old, older) = ("20261118T010000Z_n1", "20261117T010000Z_n1");
    let cases: [BackupsCase<'_>; 7] = [
        (Some(UUID), &[(UUID, night), (UUID, noon)], &[(Level::Ok, "the newest is 20261120T110000Z_n1")]),
        (
            Some(UUID),
            &[(UUID, old), (OTHER, noon)],
            &[
                (Level::Error, "the newest is 20261118T010000Z_n1, 2 days old"),
                (Level::Error, "the newest backups are of another history than this cluster's (64f8fd84-"),
            ],
        ),
        (
            Some(UUID),
            &[(OTHER, noon)],
            &[
                (Level::Error, "there is no backup of cluster 'c' of the history 64f8fd84-"),
                (Level::Error, "20261120T110000Z_n1, taken 2026-11-20 11:00:00 UTC"),
            ],
        ),
        (
            Some(UUID),
            &[(UUID, old), (OTHER, night), (UUID, noon)],
            &[
                (Level::Ok, "the newest is 20261120T110000Z_n1"),
                (Level::Warning, "mixed with its own: 00000000-e4fc"),
            ],
        ),
        (
            Some(UUID),
            &[(OTHER, older), (UUID, night), (UUID, noon)],
            &[
                (Level::Ok, "the newest is 20261120T110000Z_n1"),
                (Level::Ok, "what an earlier history has left stays until it is forgotten: 00000000-e4fc"),
            ],
        ),
        (
            None,
            &[(OTHER, older), (UUID, noon)],
            &[
                (Level::Ok, "the newest is 20261120T110000Z_n1"),
                (
                    Level::Warning,
                    "backups of 2 histories are in the folder of cluster 'c', and no member says which",
                ),
            ],
        ),
        (None, &[(UUID, noon)], &[(Level::Ok, "the newest is 20261120T110000Z_n1")]),
    ];
    for (history, backups, wanted) in cases {
        let records = backups.iter().map(|(uuid, id)| of(uuid, id)).collect();
        let told = told_in(history, &Catalog { records, ..Catalog::default() }, Some(26));
        assert_eq!(told.len(), wanted.len(), "{told:?}");
        for ((level, text), (wanted_level, words)) in told.iter().zip(wanted) {
            assert!(level == wanted_level && text.contains(words), "{words}: {told:?}");
        }
    }
}

#[test]
fn one_that_is_further_and_older_is_told() {
    let mut first = manifest("20261119T010000Z_n1");
    first.gtid.as_mut().unwrap().seqno = 500;
    let records = || vec![record(first.clone()), record(manifest("20261120T010000Z_n1"))];
    let mut all = records();
    // The storage confirms both times: to it the cluster went back.
    for record in &mut all {
        record.evidence.written = record.id.started();
    }
    let told = told(&Catalog { records: all, ..Catalog::default() }, Some(26));
    assert!(told.len() == 2 && told[1].0 == Level::Warning, "{told:?}");
    assert!(
        told[1].1.contains("20261119T010000Z_n1 is older than 20261120T010000Z_n1 by its time, and further"),
        "{told:?}"
    );
}

#[path = "backups_lines_tests.rs"]
mod lines;
#[path = "backups_silence_tests.rs"]
mod silence;
