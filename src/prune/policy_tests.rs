#[path = "policy_any_tests.rs"]
mod any;
#[path = "policy_epochs_tests.rs"]
mod epochs;
#[path = "policy_histories_tests.rs"]
mod histories;

use std::time::Duration;

use super::*;
use crate::model::WsrepGtid;

const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";
const OTHER: &str = "00000000-2f3a-11ef-9a3c-0a1b2c3d4e5f";
const NOW: &str = "2026-11-20T12:00:00Z";
const DAY: u64 = 86_400;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A backup that began at this moment, written as in an id: `20261120T113452`.
fn backup(began: &str, seqno: i64) -> RetentionCandidate {
    let id: BackupId = format!("{began}Z_n1").parse().unwrap();
    let at = id.started().unwrap();
    candidate(id, Ok(taken(at, seqno)))
}

/// A position at a time, which the storage does not tell.
fn taken(at: Timestamp, seqno: i64) -> DataMoment {
    let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
    DataMoment { at, finished: at, gtid, written: None }
}

fn candidate(id: BackupId, taken: Result<DataMoment, String>) -> RetentionCandidate {
    RetentionCandidate {
        known: BackupFacts { id, taken, class: BackupClass::Physical, flaw: None },
        damaged_pages: 0,
        held: None,
    }
}

impl RetentionCandidate {
    fn taken(&mut self) -> &mut DataMoment {
        self.known.taken.as_mut().unwrap()
    }
}

/// Backups with growing positions.
fn backups(began: &[&str]) -> Vec<RetentionCandidate> {
    (1..).zip(began).map(|(seqno, began)| backup(began, seqno)).collect()
}

/// The ids of those that stay, without `Z_n1`.
fn kept(candidates: &[RetentionCandidate], running: &[&str], policy: &Retention, now: &str) -> Vec<String> {
    let running: Vec<BackupId> = running.iter().map(|id| format!("{id}Z_n2").parse().unwrap()).collect();
    let verdicts = decide(candidates, &running, policy, time(now));
    assert_eq!(verdicts.len(), candidates.len());
    let stays =
        |(_, verdict): &(&RetentionCandidate, RetentionVerdict)| matches!(verdict, RetentionVerdict::Keep(_));
    let names = candidates.iter().zip(verdicts).filter(stays);
    names.map(|(candidate, _)| candidate.known.id.as_str()[..15].to_owned()).collect()
}

fn none() -> Retention {
    Retention::default()
}

#[test]
fn each_rule_keeps_what_it_says() {
    // Two a day, over a turn of week, month and year; 2025-12-29 is the Monday of 2026-W01.
    let all = backups(&[
        "20251227T230000",
        "20251228T010000",
        "20251228T235959",
        "20251229T000000",
        "20251230T010000",
        "20251231T010000",
        "20251231T235959",
        "20260101T000000",
        "20260104T235959",
        "20260105T000000",
        "20260201T010000",
    ]);
    let cases: [(&str, Retention, &[usize]); 13] = [
        ("last 1", Retention { last: Some(1), ..none() }, &[10]),
        ("last 3", Retention { last: Some(3), ..none() }, &[8, 9, 10]),
        ("more than there are", Retention { last: Some(99), ..none() }, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("days without a backup do not count", Retention { daily: Some(4), ..none() }, &[7, 8, 9, 10]),
        ("the newest of a day", Retention { daily: Some(8), ..none() }, &[2, 3, 4, 6, 7, 8, 9, 10]),
        ("all days", Retention { daily: Some(50), ..none() }, &[0, 2, 3, 4, 6, 7, 8, 9, 10]),
        ("weeks begin on Monday and know no year", Retention { weekly: Some(4), ..none() }, &[2, 8, 9, 10]),
        ("months", Retention { monthly: Some(2), ..none() }, &[9, 10]),
        ("three months", Retention { monthly: Some(3), ..none() }, &[6, 9, 10]),
        ("years", Retention { yearly: Some(2), ..none() }, &[6, 10]),
        (
            "within counts from the newest, its edge included",
            Retention { within: Some(Duration::from_secs(27 * DAY + 3600)), ..none() },
            &[9, 10],
        ),
        ("from the one before", Retention { within: Some(Duration::from_secs(DAY)), ..none() }, &[8, 9, 10]),
        (
            "rules add up",
            Retention { last: Some(2), yearly: Some(2), daily: Some(3), ..none() },
            &[6, 8, 9, 10],
        ),
    ];
    for (what, policy, wanted) in cases {
        let wanted: Vec<&str> = wanted.iter().map(|place| &all[*place].known.id.as_str()[..15]).collect();
        // Whatever the clock says, as long as nothing is from its future; and in whatever order they come.
        for now in ["2026-02-01T01:00:00Z", "2031-01-01T00:00:00Z"] {
            assert_eq!(kept(&all, &[], &policy, now), wanted, "{what}");
        }
        let backwards: Vec<RetentionCandidate> = all.iter().rev().cloned().collect();
        let mut again = kept(&backwards, &[], &policy, NOW);
        again.reverse();
        assert_eq!(again, wanted, "{what}");
    }
}

#[test]
fn some_are_never_removed() {
    let last = Retention { last: Some(1), ..none() };
    let of = |all: &[RetentionCandidate], running: &[&str]| kept(all, running, &last, NOW);
    let three = || backups(&["20261117T010000", "20261118T010000", "20261119T010000"]);
    assert_eq!(of(&three(), &[]), ["20261119T010000"]);
    assert_eq!(of(&[], &[]), [""; 0]);
    assert_eq!(kept(&three(), &[], &none(), NOW).len(), 3, "without a policy everything stays");

    let mut held = three();
    held[0].held = Some("held".into());
    assert_eq!(of(&held, &[]), ["20261117T010000", "20261119T010000"]);

    // Younger than a run: by the time of the id, or by the time of the data.
    assert_eq!(of(&three(), &["20261117T233000"]), ["20261118T010000", "20261119T010000"]);
    assert_eq!(of(&three(), &["20261118T010000"]), ["20261118T010000", "20261119T010000"]);
    assert_eq!(of(&three(), &["20261118T010001"]), ["20261119T010000"]);
}

#[test]
fn one_taken_while_another_runs_is_younger_than_that() {
    let last = Retention { last: Some(1), ..none() };
    let mut long = backups(&["20261118T010000", "20261119T010000"]);
    long[0].taken().at = time("2026-11-18T03:00:00Z");
    assert_eq!(kept(&long, &["20261118T020000"], &last, NOW).len(), 2);
    assert_eq!(kept(&long, &["20261118T030001"], &last, NOW).len(), 1);
}

#[test]
fn what_cannot_be_placed_in_time_stays_and_takes_nobodys_place() {
    let last = Retention { last: Some(1), ..none() };
    let all = backups(&["20261117T010000", "20261118T010000", "20261119T010000"]);

    let mut unusable = all.clone();
    unusable[2].known.taken = Err("garbage".into());
    assert_eq!(kept(&unusable, &[], &last, NOW), ["20261118T010000", "20261119T010000"]);

    // A few minutes are no future.
    assert_eq!(kept(&all, &[], &last, "2026-11-19T00:55:00Z"), ["20261119T010000"]);
    assert_eq!(kept(&all, &[], &last, "2026-11-19T00:54:59Z"), ["20261118T010000", "20261119T010000"]);
    // A clock that is back by years.
    assert_eq!(kept(&all, &[], &last, "2020-01-01T00:00:00Z").len(), 3);

    let mut jumped = all.clone();
    jumped[2].taken().at = time("2026-11-19T00:54:59Z");
    assert_eq!(kept(&jumped, &[], &last, NOW), ["20261118T010000", "20261119T010000"]);
    let mut future = all;
    future[2].taken().at = time("2027-11-19T00:54:59Z");
    assert_eq!(kept(&future, &[], &last, NOW), ["20261118T010000", "20261119T010000"]);
}

#[test]
fn a_backup_dated_back_is_not_mistaken_for_an_old_one() {
    let last = Retention { last: Some(1), ..none() };
    let mut all = backups(&["20251101T010000", "20261117T010000", "20261118T010000"]);
    // The newest by its position has a time before the two others, which therefore stay with it.
    all.push(backup("20260101T010000", 400));
    assert_eq!(kept(&all, &[], &last, NOW).len(), 4);
    let verdicts = decide(&all, &[], &last, time(NOW));
    let about =
        |id: &str| RetentionVerdict::Keep(vec![Reason::Doubt(Doubt::Contradicts(id.parse().unwrap()))]);
    let further = Reason::Doubt(Doubt::Contradicts("20261117T010000Z_n1".parse().unwrap()));
    assert_eq!(verdicts[3], RetentionVerdict::Keep(vec![further, Reason::Furthest]));
    assert_eq!(verdicts[1], about("20260101T010000Z_n1"));
    assert_eq!(verdicts[2], about("20260101T010000Z_n1"));
    // The one that is left has nobody to contradict it.
    assert!(matches!(&verdicts[0], RetentionVerdict::Keep(reasons) if reasons[0] == Reason::Newest));

    // Another history has other positions, and clocks of nodes differ by minutes.
    all[3].taken().gtid.uuid = OTHER.into();
    assert_eq!(kept(&all, &[], &last, NOW), ["20261118T010000", "20260101T010000"]);
    let near = [backup("20261118T010000", 7), backup("20261118T010500", 6)];
    // The one that is further is the newest, the one that is later is the last.
    assert_eq!(kept(&near, &[], &last, NOW).len(), 2);
    let verdicts = decide(&near, &[], &last, time(NOW));
    assert_eq!(verdicts[0], RetentionVerdict::Keep(vec![Reason::Newest]));
    let far = [backup("20261118T010000", 7), backup("20261118T010501", 6)];
    assert_eq!(kept(&far, &[], &last, NOW).len(), 2);
}

#[test]
fn reasons_are_told_for_both_verdicts() {
    let policy = Retention {
        within: Some(Duration::from_secs(47 * 3600)),
        last: Some(1),
        daily: Some(2),
        monthly: Some(1),
        ..none()
    };
    let all = backups(&["20261117T010000", "20261118T010000", "20261118T020000", "20261120T010000"]);
    let told = |verdict: &RetentionVerdict| match verdict {
        RetentionVerdict::Keep(reasons) => {
            reasons.iter().map(|r| format!("+{r}")).collect::<Vec<_>>().join("; ")
        }
        RetentionVerdict::Remove(lapses) => {
            lapses.iter().map(|l| format!("-{l}")).collect::<Vec<_>>().join("; ")
        }
    };
    let verdicts: Vec<String> = decide(&all, &[], &policy, time(NOW)).iter().map(told).collect();
    assert_eq!(
        verdicts,
        [
            "-older than keep-within; -not among the last 1; -beyond the last 2 days; -not the newest of its month",
            "-older than keep-within; -not among the last 1; -not the newest of its day; -not the newest of its month",
            "+keep-within; +newest of day 2026-11-18",
            "+the newest; +keep-within; +keep-last: number 1; +newest of day 2026-11-20; +newest of month 2026-11",
        ]
    );
}

/// A backup a day at one o'clock, the last one today. Their manifests were written a minute later.
fn daily(count: i64, seqno: impl Fn(i64) -> i64) -> Vec<RetentionCandidate> {
    let one = |day: i64| {
        let at = time("2026-11-20T01:00:00Z") - SignedDuration::from_hours(24 * (count - day));
        let mut taken = taken(at, seqno(day));
        taken.written = Some(at + SignedDuration::from_mins(1));
        candidate(BackupId::new(at, "n1"), Ok(taken))
    };
    (1..=count).map(one).collect()
}

/// Days of those that stay, and of those of them that are in doubt.
fn days(candidates: &[RetentionCandidate], policy: &Retention) -> (Vec<usize>, Vec<usize>) {
    let verdicts = decide(candidates, &[], policy, time(NOW));
    let reasons = |verdict: &RetentionVerdict| match verdict {
        RetentionVerdict::Keep(reasons) => Some(reasons.clone()),
        RetentionVerdict::Remove(_) => None,
    };
    let kept: Vec<(usize, Vec<Reason>)> =
        verdicts.iter().enumerate().filter_map(|(nth, verdict)| Some((nth + 1, reasons(verdict)?))).collect();
    let doubtful = kept.iter().filter(|(_, reasons)| reasons.iter().any(Reason::is_doubt));
    (kept.iter().map(|(day, _)| *day).collect(), doubtful.map(|(day, _)| *day).collect())
}

#[test]
fn what_is_damaged_is_never_the_reason_why_another_one_goes() {
    let last = |count| Retention { last: Some(count), ..none() };
    let week = Retention { daily: Some(7), ..none() };
    let flawed = |bad: &[usize], flaw: fn(String) -> Doubt| {
        let mut all = daily(10, |day| 100 * day);
        for day in bad {
            all[day - 1].known.flaw = Some(flaw("it is missing".into()));
        }
        all
    };
    let damaged = |bad: &[usize]| flawed(bad, Doubt::Damaged);
    // The newest: it stays with the one that takes its place.
    assert_eq!(days(&damaged(&[10]), &last(1)), (vec![9, 10], vec![10]));
    assert_eq!(days(&damaged(&[8, 9, 10]), &last(1)), (vec![7, 8, 9, 10], vec![8, 9, 10]));
    // One that the policy would not keep goes, once a newer one is whole.
    assert_eq!(days(&damaged(&[3]), &last(1)), (vec![10], vec![]));
    assert_eq!(days(&damaged(&[9]), &last(1)), (vec![10], vec![]));
    // One that it would keep stays, and counts for nothing.
    assert_eq!(days(&damaged(&[9]), &last(2)), (vec![8, 9, 10], vec![9]));
    assert_eq!(days(&damaged(&[6]), &week), ((3..=10).collect(), vec![6]));
    // Where none is whole all stay.
    assert_eq!(days(&damaged(&(1..=10).collect::<Vec<_>>()), &last(1)).0.len(), 10);
    // The same goes for what cannot be looked at.
    assert_eq!(days(&flawed(&[3, 10], Doubt::Unknown), &last(1)), (vec![9, 10], vec![10]));
}

#[test]
fn pages_that_were_damaged_on_the_donor_do_not_push_out_the_last_good_ones() {
    let last = Retention { last: Some(1), ..none() };
    let mut all = daily(10, |day| 100 * day);
    for one in &mut all[6..] {
        one.damaged_pages = 1;
    }
    assert_eq!(days(&all, &last).0, [6, 10]);
    let verdicts = decide(&all, &[], &last, time(NOW));
    assert_eq!(verdicts[5], RetentionVerdict::Keep(vec![Reason::NewestSound]));
    all[9].damaged_pages = 0;
    assert_eq!(days(&all, &last).0, [10]);
}
