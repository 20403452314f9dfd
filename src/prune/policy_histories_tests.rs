//! Several histories in one folder, and the furthest position of one.

use std::ops::RangeInclusive;

use super::*;

/// Days 1 to 10 of the first history, and then these of another one, which has lower positions.
fn with_another(days: RangeInclusive<i64>, of_first: usize) -> Vec<RetentionCandidate> {
    let mut all = daily(10, |day| 1000 + day);
    all.truncate(of_first);
    let mut others: Vec<RetentionCandidate> = daily(10, |day| day)
        .into_iter()
        .zip(1..)
        .filter(|(_, day)| days.contains(day))
        .map(|(one, _)| one)
        .collect();
    for other in &mut others {
        other.taken().gtid.uuid = OTHER.into();
        // An hour later than the first one's.
        let at = other.taken().at + SignedDuration::from_hours(1);
        other.known.id = BackupId::new(at, "m1");
        *other.taken() = DataMoment { at, finished: at, written: None, ..other.taken().clone() };
    }
    all.extend(others);
    all
}

/// What it is; how many of the first history; days of the other; the policy; days of both that stay.
type HistoryCase<'a> = (&'a str, usize, RangeInclusive<i64>, &'a Retention, &'a [i64], &'a [i64]);

#[test]
fn a_history_keeps_its_own_backups_whatever_becomes_of_another_one() {
    let last = Retention { last: Some(1), ..none() };
    let three = Retention { daily: Some(3), ..none() };
    // Of the first history, of the other one: days that are there, and days that stay.
    let cases: [HistoryCase<'_>; 5] = [
        ("two clusters of one name", 10, 1..=10, &last, &[10], &[10]),
        ("each has its own days", 10, 1..=10, &three, &[8, 9, 10], &[8, 9, 10]),
        ("lost, and bootstrapped anew", 5, 6..=10, &last, &[5], &[10]),
        ("what has ended is kept by the policy", 5, 6..=10, &three, &[3, 4, 5], &[8, 9, 10]),
        ("one that is backed up seldom", 1, 2..=10, &three, &[1], &[8, 9, 10]),
    ];
    for (what, first, others, policy, wanted_first, wanted_others) in cases {
        let all = with_another(others.clone(), first);
        let stays = |all: &[RetentionCandidate]| -> Vec<BackupId> {
            let verdicts = decide(all, &[], policy, time(NOW));
            let kept =
                all.iter().zip(verdicts).filter(|(_, verdict)| matches!(verdict, RetentionVerdict::Keep(_)));
            kept.map(|(one, _)| one.known.id.clone()).collect()
        };
        let place = |day: i64| usize::try_from(day - 1).unwrap();
        let of_first = wanted_first.iter().map(|day| all[place(*day)].known.id.clone());
        let of_others = wanted_others
            .iter()
            .map(|day| all[first + usize::try_from(day - others.start()).unwrap()].known.id.clone());
        let wanted: Vec<BackupId> = of_first.chain(of_others).collect();
        assert_eq!(stays(&all), wanted, "{what}");
        let left: Vec<RetentionCandidate> =
            all.iter().filter(|one| wanted.contains(&one.known.id)).cloned().collect();
        assert_eq!(stays(&left), wanted, "{what}: again");
    }
}

#[test]
fn the_newest_of_each_history_is_named_and_one_goes_when_it_is_forgotten() {
    let last = Retention { last: Some(1), ..none() };
    let mut all = with_another(6..=10, 5);
    let verdicts = decide(&all, &[], &last, time(NOW));
    assert_eq!(
        verdicts[4],
        RetentionVerdict::Keep(vec![Reason::NewestOfHistory(UUID.into()), Reason::Last(1)])
    );
    assert_eq!(verdicts[9], RetentionVerdict::Keep(vec![Reason::Newest, Reason::Last(1)]));
    assert_eq!(current_history(&all, time(NOW)).as_deref(), Some(OTHER));

    // All of it, whatever is thought of it; but not what somebody holds.
    all[0].held = Some("held".into());
    all[4].known.flaw = Some(Doubt::Damaged("lost".into()));
    for policy in [last, none()] {
        let mut verdicts = decide(&all, &[], &policy, time(NOW));
        let others = verdicts[5..].to_vec();
        forget(&all, &mut verdicts, UUID);
        assert!(matches!(verdicts[0], RetentionVerdict::Keep(_)));
        assert!(
            verdicts[1..5].iter().all(|verdict| *verdict == RetentionVerdict::Remove(vec![Lapse::Forgotten]))
        );
        assert_eq!(verdicts[5..], others);
    }
}

#[test]
fn the_furthest_position_stays_whatever_its_time_says() {
    let last = Retention { last: Some(1), ..none() };
    // Donor and repository had one clock, which was a year behind in the last night.
    let clock_behind = || {
        let mut all = daily(5, |day| 100 * day);
        let at = all[4].taken().at - SignedDuration::from_hours(24 * 365);
        all[4].known.id = BackupId::new(at, "n1");
        *all[4].taken() = DataMoment {
            at,
            finished: at,
            written: Some(at + SignedDuration::from_mins(1)),
            ..all[4].taken().clone()
        };
        all
    };
    let all = clock_behind();
    assert_eq!(days(&all, &last), (vec![4, 5], vec![]));
    let verdicts = decide(&all, &[], &last, time(NOW));
    assert_eq!(verdicts[4], RetentionVerdict::Keep(vec![Reason::Furthest]));
    // Damaged it is none; where nobody can look, the furthest that is whole stays too.
    let flawed = |flaw: Doubt| {
        let mut all = clock_behind();
        all[4].known.flaw = Some(flaw);
        days(&all, &last).0
    };
    assert_eq!(flawed(Doubt::Damaged("lost".into())), [4]);
    assert_eq!(flawed(Doubt::Unknown("away".into())), [4, 5]);
}

#[test]
fn one_clock_that_was_ahead_does_not_make_all_others_too_old() {
    let week = Retention { within: Some(Duration::from_secs(7 * DAY)), ..none() };
    let mut all = daily(10, |day| 100 * day);
    // Donor and repository had one clock, which was months ahead in the last night.
    let at = all[9].taken().at + SignedDuration::from_hours(24 * 90);
    all[9].known.id = BackupId::new(at, "n1");
    *all[9].taken() = DataMoment { at, finished: at, written: Some(at), ..all[9].taken().clone() };
    let ahead = at + SignedDuration::from_hours(1);
    let kept = decide(&all, &[], &week, ahead);
    let kept: Vec<usize> =
        (0..10).filter(|place| matches!(kept[*place], RetentionVerdict::Keep(_))).collect();
    assert_eq!(kept, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn two_lines_of_one_history_are_not_a_cluster_that_went_back() {
    let week = Retention { daily: Some(7), ..none() };
    // Production every midnight, the cluster that was made of its backup at noon.
    let lines = |days: i64| -> Vec<RetentionCandidate> {
        let one = |half: i64| {
            let at = time("2026-11-01T00:00:00Z") + SignedDuration::from_hours(12 * half);
            let seqno = if half % 2 == 0 { 1000 * (half / 2 + 1) } else { 100 + 10 * (half / 2) };
            let written = Some(at + SignedDuration::from_mins(1));
            candidate(BackupId::new(at, "n1"), Ok(DataMoment { written, ..taken(at, seqno) }))
        };
        (0..2 * days).map(one).collect()
    };
    let stay = |all: &[RetentionCandidate]| -> Vec<RetentionCandidate> {
        let verdicts = decide(all, &[], &week, time(NOW));
        let kept =
            all.iter().zip(verdicts).filter(|(_, verdict)| matches!(verdict, RetentionVerdict::Keep(_)));
        kept.map(|(one, _)| one.clone()).collect()
    };
    let all = lines(9);
    assert_eq!(stay(&all), all);
    let verdicts = decide(&all, &[], &week, time(NOW));
    assert!(
        matches!(&verdicts[2], RetentionVerdict::Keep(reasons) if reasons == &[Reason::TwoLines]),
        "{verdicts:?}"
    );
    // Also where prune runs behind each backup, and sees them come one by one.
    let mut there = Vec::new();
    for one in all.clone() {
        there.push(one);
        there = stay(&there);
    }
    assert_eq!(there, all);
    // One step back, to the last backup but one, is a new epoch.
    let steps = |seqnos: &[i64]| -> Vec<RetentionCandidate> {
        let mut all = lines(9);
        all.truncate(seqnos.len());
        for (one, seqno) in all.iter_mut().zip(seqnos) {
            one.taken().gtid.seqno = *seqno;
        }
        all
    };
    let epoch = steps(&[800, 900, 1000, 990, 1090, 1190]);
    let kept: Vec<i64> = stay(&epoch).iter_mut().map(|one| one.taken().gtid.seqno).collect();
    assert_eq!(kept, [900, 990, 1190]);
}

#[test]
fn a_dump_keeps_and_removes_no_backup_of_another_class() {
    let physical = daily(4, |day| 1000 + day);
    let as_dump = |class: &BackupClass, one: &RetentionCandidate, hours: i64| {
        let mut dump = one.clone();
        let at = dump.taken().at + SignedDuration::from_hours(hours);
        dump.known.id = BackupId::new(at, "n1");
        dump.known.class = class.clone();
        *dump.taken() = DataMoment { at, finished: at, written: None, ..dump.taken().clone() };
        dump
    };
    let part = BackupClass::PartialSql("shop".into());
    let mut all = physical.clone();
    all.extend(physical.iter().map(|one| as_dump(&BackupClass::Sql, one, 1)));
    all.extend(physical.iter().map(|one| as_dump(&part, one, 2)));
    let kept = |all: &[RetentionCandidate], policy: &Retention| -> Vec<(BackupClass, usize)> {
        let verdicts = decide(all, &[], policy, time(NOW));
        let places = verdicts.iter().enumerate().filter(|(_, one)| matches!(one, RetentionVerdict::Keep(_)));
        places.map(|(place, _)| (all[place].known.class.clone(), place)).collect()
    };
    let last = Retention { last: Some(1), ..none() };
    let of = |places: [usize; 3]| {
        vec![(BackupClass::Physical, places[0]), (BackupClass::Sql, places[1]), (part.clone(), places[2])]
    };
    assert_eq!(kept(&all, &last), of([3, 7, 11]));
    // A dump whose clock was wrong puts no other backup in doubt.
    for wrong in &mut all[4..] {
        wrong.taken().gtid.seqno = 5000 - wrong.taken().gtid.seqno;
    }
    let physical_kept =
        kept(&all, &last).into_iter().filter(|(class, _)| *class == BackupClass::Physical).count();
    assert_eq!(physical_kept, 1);
}
