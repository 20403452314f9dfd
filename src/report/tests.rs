#[path = "page_text_tests.rs"]
mod page_text;

use jiff::{SignedDuration, Timestamp};

use self::page_text::text_of;
use super::attention::{Urgency, points};
use super::*;
use crate::catalog::{AttemptState, Doubt, Drilled, Verified};
use crate::model::{
    ArchiveObject, BackupId, BackupState, Compression, Content, DrillRecord, FilesState, IndexObject,
    Manifest, MariadbGtid, ServerIdentity, ToolIdentity, Verification, VerifyOutcome, WsrepGtid,
};

const NOW: &str = "2026-11-25T02:00:00Z";
fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn tool() -> ToolIdentity {
    ToolIdentity { version: "0.1.0".into() }
}

fn manifest(hours: i64, node: &str) -> Manifest {
    Manifest {
        format: 1,
        content: Content::Datadir,
        dump: None,
        id: BackupId::new(ago(hours), node),
        cluster: "c".into(),
        node: node.into(),
        request: None,
        method: "freeze".into(),
        method_reason: None,
        started: ago(hours),
        frozen_at: ago(hours),
        finished: ago(hours) + SignedDuration::from_secs(90),
        flush_ms: 12,
        frozen_ms: 801,
        paused_ms: None,
        gtid: Some(WsrepGtid {
            uuid: "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f".into(),
            seqno: 417,
            domain_id: None,
        }),
        donor_gtid: None,
        mariadb_gtid: MariadbGtid::default(),
        innodb_lsn: None,
        replication: None,
        server: ServerIdentity::default(),
        data_bytes: 147_849_216,
        files: 357,
        archive: ArchiveObject {
            name: "backup.tar.zst".into(),
            bytes: 55_574_528,
            sha256: "71".repeat(32),
            compression: Compression::Zstd,
            encryption: None,
            recipients: Vec::new(),
        },
        index: IndexObject { name: "index.json.zst".into(), bytes: 23_563, sha256: "49".repeat(32) },
        damaged_pages: 0,
        missing_pages: 0,
        live_redo: None,
        files_state: FilesState::Clean,
        warnings: Vec::new(),
        more_warnings: 0,
        tool: tool(),
    }
}

fn backup(hours: i64) -> Backup {
    let manifest = manifest(hours, "n1");
    Backup {
        id: manifest.id.clone(),
        manifest: Ok(manifest),
        held: None,
        verified: None,
        drilled: None,
        doubt: None,
        fate: None,
    }
}

fn verified(hours: i64, finding: Option<&str>) -> Verified {
    Verified::By(Verification {
        verified: ago(hours),
        by: "root@db1".into(),
        command: "verify".into(),
        outcome: if finding.is_some() { VerifyOutcome::Damaged } else { VerifyOutcome::Intact },
        findings: u64::from(finding.is_some()),
        first_finding: finding.map(str::to_owned),
        files: 1,
        bytes: 1,
        pages_checked: 1,
        pages_skipped: 0,
        took_ms: 1,
        tool: tool(),
    })
}

/// A drill so many days ago, and the step that was not passed.
fn drill(days: i64, failed_at: &str) -> DrillRecord {
    let (at, outcome) = (ago(days * 24), if failed_at == "null" { "proved" } else { "failed" });
    let text = format!(
        r#"{{"drilled": "{at}", "by": "root@db1", "outcome": "{outcome}", "failed_at": {failed_at}, "reason": "it does not start",
            "server": "s", "tables": {{"all": 2, "checked": 1}}, "rows": 3, "queries": 0, "restore_ms": 1, "start_ms": 1, "check_ms": 1,
            "took_ms": 4, "tool": {{"version": "v"}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn run(hours: i64, standing: AttemptState) -> AttemptRow {
    AttemptRow { id: BackupId::new(ago(hours), "n1"), standing, status: None, fate: None }
}

fn cluster(backups: Vec<Backup>, runs: Vec<AttemptRow>) -> Cluster {
    Cluster { folder: "c".into(), backups, runs }
}

fn report(clusters: Vec<Cluster>) -> ReportData {
    ReportData { repository: "/repo".into(), now: now(), version: "0.1.0", clusters, unknown: Vec::new() }
}

#[test]
fn all_is_well_where_nothing_is_wrong() {
    let mut newest = backup(7);
    newest.verified = Some(verified(2, None));
    let good = cluster(vec![backup(55), backup(31), newest], vec![run(60, AttemptState::Failed(None))]);
    assert_eq!(points(&good, now()), []);
    let html = report(vec![good]).html();
    let text = text_of(&html);
    for words in
        ["all is well", "7 h 00 min old", "intact", "3 backups", "2 h 00 min ago", "53.0 MiB", "801 ms"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(html.matches("<figure").count(), 3);
    assert!(html.contains("default-src &#39;none&#39;") && html.contains("width=device-width"));
}

#[test]
fn a_drill_that_failed_or_was_long_ago_is_told() {
    for (days, failed, wanted) in [
        (35, "null", ""),
        (36, "null", "Warning: The last drill was 36 days ago."),
        (1, "\"start\"", "at the step 'start': it does not start."),
    ] {
        let mut drilled = backup(1);
        drilled.verified = Some(verified(1, None));
        drilled.drilled = Some(Drilled::By(drill(days, failed)));
        let told = points(&cluster(vec![drilled], vec![]), now());
        let told: Vec<String> =
            told.iter().map(|point| format!("{:?}: {}", point.level, point.text)).collect();
        assert!(told.is_empty() == wanted.is_empty() && told.concat().ends_with(wanted), "{told:?}");
    }
}

#[test]
fn each_fault_is_told_with_its_weight() {
    let told = |cluster: &Cluster| -> Vec<(Urgency, String)> {
        points(cluster, now()).into_iter().map(|point| (point.level, point.text)).collect()
    };
    let one = |cluster: &Cluster| {
        let mut told = told(cluster);
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    };
    let sound = |hours: i64| {
        let mut backup = backup(hours);
        backup.verified = Some(verified(1, None));
        backup
    };
    assert_eq!(one(&cluster(vec![], vec![])).0, Urgency::Bad);
    assert_eq!(
        one(&cluster(vec![sound(37)], vec![])),
        (Urgency::Bad, "The newest backup is 37 h old.".into())
    );
    assert_eq!(told(&cluster(vec![sound(36)], vec![])), []);
    assert_eq!(
        one(&cluster(vec![backup(1)], vec![])),
        (Urgency::Warning, "No backup that is kept was ever verified.".into())
    );
    let mut late = backup(1);
    late.verified = Some(verified(8 * 24 + 1, None));
    assert_eq!(
        one(&cluster(vec![late], vec![])),
        (Urgency::Warning, "The last verification was 8 days ago.".into())
    );
    let mut broken = backup(50);
    broken.verified = Some(verified(3, Some("db/t.ibd: its checksum is wrong")));
    let (level, text) = one(&cluster(vec![broken, sound(1)], vec![]));
    assert!(
        level == Urgency::Bad && text.ends_with(" is damaged: db/t.ibd: its checksum is wrong."),
        "{text}"
    );
    let mut pages = sound(1);
    pages.manifest.as_mut().unwrap().damaged_pages = 2;
    let (level, text) = one(&cluster(vec![pages], vec![]));
    assert!(level == Urgency::Bad && text.starts_with("Of the newest backup 2 InnoDB pages "), "{text}");
    // One that nobody can read stands in the way only where it is the newest.
    let unusable = |hours: i64| Backup { manifest: Err("no JSON".into()), ..backup(hours) };
    assert_eq!(one(&cluster(vec![sound(2), unusable(1)], vec![])).0, Urgency::Bad);
    assert_eq!(one(&cluster(vec![unusable(3), sound(2)], vec![])).0, Urgency::Warning);
    // A run that has failed before the newest backup is history.
    for (hours, count) in [(3, 0), (1, 1)] {
        for standing in [AttemptState::Failed(Some("a reason".into())), AttemptState::Dead(None)] {
            let told = told(&cluster(vec![sound(2)], vec![run(hours, standing)]));
            assert_eq!(told.len(), count, "{told:?}");
        }
    }
    for standing in [AttemptState::Running(BackupState::Copying), AttemptState::Removed] {
        assert_eq!(told(&cluster(vec![sound(2)], vec![run(1, standing)])), []);
    }
    let mut unknown = sound(1);
    unknown.doubt = Some(Doubt::Future(now() + SignedDuration::from_hours(9)));
    let (level, text) = one(&cluster(vec![sound(2), unknown], vec![]));
    assert!(level == Urgency::Bad && text.contains(": FROM THE FUTURE ("), "{text}");
    // The age is that of one that can be relied on.
    let mut lost = sound(1);
    lost.doubt = Some(Doubt::Damaged("backup.tar.zst: it is missing".into()));
    let told_of_it = told(&cluster(vec![sound(40), lost], vec![]));
    assert_eq!(told_of_it.len(), 2, "{told_of_it:?}");
    assert!(told_of_it[0].1.contains("is 40 h old") && told_of_it[1].1.ends_with("it is missing."));
    // What 'latest' passes over: another history, and a position that is further.
    let mut other = sound(50);
    other.manifest.as_mut().unwrap().gtid.as_mut().unwrap().uuid =
        "00000000-2f3a-11ef-9a3c-0a1b2c3d4e5f".into();
    let (level, text) = one(&cluster(vec![other, sound(1)], vec![]));
    assert!(level == Urgency::Warning && text.starts_with("Backups of 2 histories (state UUIDs) "), "{text}");
    let mut further = sound(50);
    further.manifest.as_mut().unwrap().gtid.as_mut().unwrap().seqno = 418;
    let (level, text) = one(&cluster(vec![further, sound(1)], vec![]));
    assert!(level == Urgency::Warning && text.contains("further by its position"), "{text}");
}

#[test]
fn no_text_of_others_becomes_markup() {
    let evil = "</small></td><script>alert(1)</script><img src=x onerror=alert(2)>\"' onload=\"x\u{202e}";
    let mut manifest = manifest(5, "n1");
    (manifest.node, manifest.method) = (evil.into(), evil.into());
    manifest.warnings = vec![evil.into(), "]]>".into()];
    manifest.gtid.as_mut().unwrap().uuid = evil.into();
    let bad = Backup {
        id: manifest.id.clone(),
        manifest: Ok(manifest.clone()),
        held: Some(evil.into()),
        verified: Some(verified(1, Some(evil))),
        drilled: None,
        doubt: None,
        fate: Some(PruneForecast { goes: true, reasons: vec![evil.into()], is_doubtful: false }),
    };
    let unusable = Backup { manifest: Err(evil.into()), ..backup(3) };
    let failed = run(1, AttemptState::Failed(Some(evil.into())));
    let other = Cluster { folder: evil.into(), backups: vec![bad, unusable, backup(2)], runs: vec![failed] };
    let mut page = report(vec![other, cluster(vec![], vec![])]);
    page.repository = evil.into();
    let html = page.html();
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains('\u{202e}'), "{html}");
    let text = text_of(&html);
    let times = text.matches("<script>").count();
    // The repository, the folder (in the list and as a heading), the donor, the hold, the finding twice, the reasons, …
    assert!(times >= 10, "{times}: {text}");
}

#[test]
fn an_empty_repository_and_many_clusters_have_their_page() {
    let empty = text_of(&report(vec![]).html());
    assert!(empty.contains("There are no backups.") && empty.contains("/repo"), "{empty}");
    let many = (0..3)
        .map(|nth| Cluster { folder: format!("c{nth}"), ..cluster(vec![backup(1), backup(25)], vec![]) });
    let html = report(many.collect()).html();
    text_of(&html);
    assert_eq!(html.matches("<section").count(), 3);
    assert_eq!(html.matches("<nav>").count(), 1);
}

#[test]
fn old_backups_are_folded_away_and_none_is_lost() {
    for count in [1, 7, 10, 11, 400] {
        let backups: Vec<Backup> = (0..count).rev().map(|day| backup(1 + 24 * day)).collect();
        let html = report(vec![cluster(backups, vec![])]).html();
        text_of(&html);
        assert_eq!(i64::try_from(html.matches("<tr id=").count()).unwrap(), count);
        assert_eq!(html.contains("more, older"), count > 10, "{count}");
    }
}
