use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";
const NOW: &str = "2026-11-20T12:00:00Z";
const DAY: u64 = 86_400;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A backup that began at this moment, written as in an id: `20261120T113452`.
fn backup(began: &str, seqno: i64) -> Candidate {
    let id: BackupId = format!("{began}Z_n1").parse().unwrap();
    let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
    Candidate { taken: Ok(Taken { at: id.started().unwrap(), gtid }), id, held: None }
}

/// Backups with growing positions.
fn backups(began: &[&str]) -> Vec<Candidate> {
    (1..).zip(began).map(|(seqno, began)| backup(began, seqno)).collect()
}

/// The ids of those that stay, without `Z_n1`.
fn kept(candidates: &[Candidate], running: &[&str], policy: &Retention, now: &str) -> Vec<String> {
    let running: Vec<BackupId> = running.iter().map(|id| format!("{id}Z_n2").parse().unwrap()).collect();
    let verdicts = decide(candidates, &running, policy, time(now));
    assert_eq!(verdicts.len(), candidates.len());
    let stays = |(_, verdict): &(&Candidate, Verdict)| matches!(verdict, Verdict::Keep(_));
    let names = candidates.iter().zip(verdicts).filter(stays);
    names.map(|(candidate, _)| candidate.id.as_str()[..15].to_owned()).collect()
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
        ("a second less", Retention { within: Some(Duration::from_secs(27 * DAY + 3599)), ..none() }, &[10]),
        (
            "rules add up",
            Retention { last: Some(2), yearly: Some(2), daily: Some(3), ..none() },
            &[6, 8, 9, 10],
        ),
    ];
    for (what, policy, wanted) in cases {
        let wanted: Vec<&str> = wanted.iter().map(|place| &all[*place].id.as_str()[..15]).collect();
        // Whatever the clock says, as long as nothing is from its future; and in whatever order they come.
        for now in ["2026-02-01T01:00:00Z", "2031-01-01T00:00:00Z"] {
            assert_eq!(kept(&all, &[], &policy, now), wanted, "{what}");
        }
        let backwards: Vec<Candidate> = all.iter().rev().cloned().collect();
        let mut again = kept(&backwards, &[], &policy, NOW);
        again.reverse();
        assert_eq!(again, wanted, "{what}");
    }
}

#[test]
fn some_are_never_removed() {
    let last = Retention { last: Some(1), ..none() };
    let of = |all: &[Candidate], running: &[&str]| kept(all, running, &last, NOW);
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
    long[0].taken.as_mut().unwrap().at = time("2026-11-18T03:00:00Z");
    assert_eq!(kept(&long, &["20261118T020000"], &last, NOW).len(), 2);
    assert_eq!(kept(&long, &["20261118T030001"], &last, NOW).len(), 1);
}

#[test]
fn what_cannot_be_placed_in_time_stays_and_takes_nobodys_place() {
    let last = Retention { last: Some(1), ..none() };
    let all = backups(&["20261117T010000", "20261118T010000", "20261119T010000"]);

    let mut unusable = all.clone();
    unusable[2].taken = Err("garbage".into());
    assert_eq!(kept(&unusable, &[], &last, NOW), ["20261118T010000", "20261119T010000"]);

    // A few minutes are no future.
    assert_eq!(kept(&all, &[], &last, "2026-11-19T00:55:00Z"), ["20261119T010000"]);
    assert_eq!(kept(&all, &[], &last, "2026-11-19T00:54:59Z"), ["20261118T010000", "20261119T010000"]);
    // A clock that is back by years.
    assert_eq!(kept(&all, &[], &last, "2020-01-01T00:00:00Z").len(), 3);

    let mut jumped = all.clone();
    jumped[2].taken.as_mut().unwrap().at = time("2026-11-19T00:54:59Z");
    assert_eq!(kept(&jumped, &[], &last, NOW), ["20261118T010000", "20261119T010000"]);
    let mut future = all;
    future[2].taken.as_mut().unwrap().at = time("2027-11-19T00:54:59Z");
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
    let about = |id: &str| Verdict::Keep(vec![Reason::Contradicts(id.parse().unwrap())]);
    assert_eq!(verdicts[3], about("20261117T010000Z_n1"));
    assert_eq!(verdicts[1], about("20260101T010000Z_n1"));
    assert_eq!(verdicts[2], about("20260101T010000Z_n1"));
    // The one that is left has nobody to contradict it.
    assert!(matches!(&verdicts[0], Verdict::Keep(reasons) if reasons[0] == Reason::Newest));

    // Another history has other positions, and clocks of nodes differ by minutes.
    all[3].taken.as_mut().unwrap().gtid.uuid = "00000000-2f3a-11ef-9a3c-0a1b2c3d4e5f".into();
    assert_eq!(kept(&all, &[], &last, NOW), ["20261118T010000"]);
    let near = [backup("20261118T010000", 7), backup("20261118T010500", 6)];
    assert_eq!(kept(&near, &[], &last, NOW), ["20261118T010500"]);
    let far = [backup("20261118T010000", 7), backup("20261118T010501", 6)];
    assert_eq!(kept(&far, &[], &last, NOW).len(), 2);
}

#[test]
fn reasons_are_told_for_both_verdicts() {
    let policy = Retention {
        within: Some(Duration::from_secs(DAY)),
        last: Some(1),
        daily: Some(2),
        monthly: Some(1),
        ..none()
    };
    let all = backups(&["20261117T010000", "20261118T010000", "20261118T020000", "20261120T010000"]);
    let told = |verdict: &Verdict| match verdict {
        Verdict::Keep(reasons) => reasons.iter().map(|r| format!("+{r}")).collect::<Vec<_>>().join("; "),
        Verdict::Remove(lapses) => lapses.iter().map(|l| format!("-{l}")).collect::<Vec<_>>().join("; "),
    };
    let verdicts: Vec<String> = decide(&all, &[], &policy, time(NOW)).iter().map(told).collect();
    assert_eq!(
        verdicts,
        [
            "-older than keep-within; -not among the last 1; -beyond the last 2 days; -not the newest of its month",
            "-older than keep-within; -not among the last 1; -not the newest of its day; -not the newest of its month",
            "+newest of day 2026-11-18",
            "+the newest; +keep-within; +keep-last: number 1; +newest of day 2026-11-20; +newest of month 2026-11",
        ]
    );
}

/// Backups before [`NOW`] and some after it; with positions out of order, held, without a usable manifest.
fn any_backups(odd_positions: bool) -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0_i64..20_000, 0_u8..20);
    proptest::collection::btree_map(-20_i64..12_000, one, 0..40).prop_map(move |all| {
        let candidates = all.into_iter().map(|(hours, (odd, kind))| {
            let at = time(NOW) - SignedDuration::from_hours(hours);
            let id = BackupId::new(at, "n1");
            let seqno = if odd_positions && kind == 0 { odd } else { 20_000 - hours };
            let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
            let taken = if kind == 1 { Err("garbage".to_owned()) } else { Ok(Taken { at, gtid }) };
            Candidate { id, taken, held: (kind == 2).then(|| "held".to_owned()) }
        });
        candidates.collect()
    })
}

fn any_policy() -> impl Strategy<Value = Retention> {
    let count = || proptest::option::of(1_u32..12);
    let within = proptest::option::of((1_u64..400).prop_map(|days| Duration::from_secs(days * DAY)));
    (within, count(), count(), count(), count(), count()).prop_map(
        |(within, last, daily, weekly, monthly, yearly)| Retention {
            within,
            last,
            daily,
            weekly,
            monthly,
            yearly,
        },
    )
}

/// What is wanted of backups that are in no doubt, said in another way than the program does: by sets.
fn wanted(sound: &[&Candidate], policy: &Retention) -> BTreeSet<BackupId> {
    let mut sorted: Vec<(Timestamp, &BackupId)> =
        sound.iter().map(|one| (one.taken.as_ref().unwrap().at, &one.id)).collect();
    sorted.sort();
    let mut wanted = BTreeSet::new();
    let count = |count: u32| usize::try_from(count).unwrap();
    wanted.extend(sorted.iter().rev().take(count(policy.last.unwrap_or(0))).map(|(_, id)| (*id).clone()));
    if let (Some(within), Some((newest, _))) = (policy.within, sorted.last()) {
        let from = *newest - SignedDuration::try_from(within).unwrap();
        wanted.extend(sorted.iter().filter(|(at, _)| *at >= from).map(|(_, id)| (*id).clone()));
    }
    let periods =
        [("%F", policy.daily), ("%G-%V", policy.weekly), ("%Y-%m", policy.monthly), ("%Y", policy.yearly)];
    for (format, number) in periods {
        let name = |at: Timestamp| at.strftime(format).to_string();
        let names: BTreeSet<String> = sorted.iter().map(|(at, _)| name(*at)).collect();
        for period in names.iter().rev().take(count(number.unwrap_or(0))) {
            wanted.extend(sorted.iter().rfind(|(at, _)| name(*at) == *period).map(|(_, id)| (*id).clone()));
        }
    }
    wanted.extend(sorted.last().map(|(_, id)| (*id).clone()));
    wanted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_kept_satisfies_the_policy_and_once_is_enough(
        all in any_backups(true),
        policy in any_policy(),
        running in proptest::option::weighted(0.2, 0_i64..12_000),
    ) {
        let now = time(NOW);
        let running: Vec<BackupId> =
            running.map(|hours| BackupId::new(now - SignedDuration::from_hours(hours), "n0")).into_iter().collect();
        let verdicts = decide(&all, &running, &policy, now);
        let doubts = doubts(&all, now);
        let sound: Vec<&Candidate> =
            all.iter().zip(&doubts).filter(|(_, doubts)| doubts.is_empty()).map(|(one, _)| one).collect();
        let wanted = wanted(&sound, &policy);
        for ((one, verdict), doubts) in all.iter().zip(&verdicts).zip(&doubts) {
            let must_stay = policy.is_empty()
                || !doubts.is_empty()
                || one.held.is_some()
                || running.iter().any(|run| one.id > *run)
                || wanted.contains(&one.id);
            prop_assert_eq!(matches!(verdict, Verdict::Keep(_)), must_stay, "{}", one.id);
        }
        let left: Vec<Candidate> = all
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| matches!(verdict, Verdict::Keep(_)))
            .map(|(one, _)| one.clone())
            .collect();
        prop_assert!(all.is_empty() || !left.is_empty());
        let second = decide(&left, &running, &policy, now);
        prop_assert!(second.iter().all(|verdict| matches!(verdict, Verdict::Keep(_))));
    }

    #[test]
    fn a_clock_that_is_back_removes_nothing_more(
        // Positions in doubt are the one thing that a clock set back can hide: the future is not looked at.
        all in any_backups(false),
        policy in any_policy(),
        back in 0_i64..20_000,
    ) {
        let right = decide(&all, &[], &policy, time(NOW));
        let wrong = decide(&all, &[], &policy, time(NOW) - SignedDuration::from_hours(back));
        for (right, wrong) in right.iter().zip(&wrong) {
            prop_assert!(matches!(wrong, Verdict::Keep(_)) || matches!(right, Verdict::Remove(_)));
        }
    }
}
