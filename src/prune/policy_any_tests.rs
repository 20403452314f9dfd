//! What holds of any backups and any policy.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Backups before [`NOW`] and some after it; with positions out of order, held, without a usable manifest.
///
/// Every third of them is of another history where there are two.
fn any_backups(odd_positions: bool, two: bool) -> impl Strategy<Value = Vec<RetentionCandidate>> {
    let one = (0_i64..20_000, 0_u8..20);
    proptest::collection::btree_map(-20_i64..12_000, one, 0..40).prop_map(move |all| {
        let candidates = all.into_iter().map(|(hours, (odd, kind))| {
            let at = time(NOW) - SignedDuration::from_hours(hours);
            let id = BackupId::new(at, "n1");
            let seqno = if odd_positions && kind == 0 { odd } else { 20_000 - hours };
            let mut taken = taken(at, seqno);
            if two && kind % 3 == 0 {
                taken.gtid.uuid = OTHER.into();
            }
            let taken = if kind == 1 { Err("garbage".to_owned()) } else { Ok(taken) };
            let held = (kind == 2).then(|| "held".to_owned());
            let mut one = RetentionCandidate { held, ..candidate(id, taken) };
            one.known.flaw = match kind {
                3 => Some(Doubt::Damaged("lost".into())),
                4 => Some(Doubt::Unknown("away".into())),
                _ => None,
            };
            one
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
fn wanted(sound: &[&RetentionCandidate], policy: &Retention) -> BTreeSet<BackupId> {
    let mut sorted: Vec<(Timestamp, &BackupId)> =
        sound.iter().map(|one| (one.known.taken.as_ref().unwrap().at, &one.known.id)).collect();
    sorted.sort();
    let mut wanted = BTreeSet::new();
    let count = |count: u32| usize::try_from(count).unwrap();
    wanted.extend(sorted.iter().rev().take(count(policy.last.unwrap_or(0))).map(|(_, id)| (*id).clone()));
    if let (Some(within), Some((newest, _))) = (policy.within, sorted.last()) {
        let within = SignedDuration::try_from(within).unwrap();
        let mut from = *newest - within;
        if let Some((before, _)) = sorted.iter().rev().nth(1).filter(|(before, _)| *before < from) {
            from = *before - within;
        }
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

/// The furthest of those that are not known to be damaged, and of those that are known to be whole.
fn furthest(all: &[RetentionCandidate]) -> BTreeSet<BackupId> {
    let mut sorted: Vec<(i64, Timestamp, &RetentionCandidate)> = all
        .iter()
        .filter_map(|one| one.known.taken.as_ref().ok().map(|taken| (taken.gtid.seqno, taken.at, one)))
        .collect();
    sorted.sort_by_key(|(seqno, at, one)| (*seqno, *at, one.known.id.clone()));
    let flaws = sorted.iter().rev().map(|(.., one)| (&one.known.id, &one.known.flaw));
    let perhaps = flaws.clone().find(|(_, flaw)| !matches!(flaw, Some(Doubt::Damaged(_))));
    let whole = flaws.clone().find(|(_, flaw)| flaw.is_none());
    perhaps.into_iter().chain(whole).map(|(id, _)| id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_kept_satisfies_the_policy_and_once_is_enough(
        all in any_backups(true, false),
        policy in any_policy(),
        running in proptest::option::weighted(0.2, 0_i64..12_000),
    ) {
        let now = time(NOW);
        let running: Vec<BackupId> =
            running.map(|hours| BackupId::new(now - SignedDuration::from_hours(hours), "n0")).into_iter().collect();
        let verdicts = decide(&all, &running, &policy, now);
        let known: Vec<&BackupFacts> = all.iter().map(|one| &one.known).collect();
        let doubts = doubts(&known, now);
        let sound: Vec<&RetentionCandidate> =
            all.iter().zip(&doubts).filter(|(_, doubt)| doubt.is_none()).map(|(one, _)| one).collect();
        let chosen = wanted(&sound, &policy);
        let furthest = furthest(&all);
        let newest = sound.iter().map(|one| one.known.taken.as_ref().unwrap().at).max();
        for ((one, verdict), doubt) in all.iter().zip(&verdicts).zip(&doubts) {
            let id = &one.known.id;
            // A damaged one counts for itself alone, and stays until a newer one is whole.
            let stays_damaged = || {
                let with: Vec<&RetentionCandidate> = sound.iter().copied().chain([one]).collect();
                let at = one.known.taken.as_ref().unwrap().at;
                newest.is_none_or(|newest| newest < at) || wanted(&with, &policy).contains(id)
            };
            let doubt_keeps = match doubt {
                Some(Doubt::Damaged(_) | Doubt::Unknown(_)) => stays_damaged(),
                doubt => doubt.is_some(),
            };
            let must_stay = policy.is_empty()
                || furthest.contains(id)
                || doubt_keeps
                || one.held.is_some()
                || running.iter().any(|run| id > run)
                || chosen.contains(id);
            prop_assert_eq!(matches!(verdict, RetentionVerdict::Keep(_)), must_stay, "{}", id);
        }
        let left: Vec<RetentionCandidate> = all
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| matches!(verdict, RetentionVerdict::Keep(_)))
            .map(|(one, _)| one.clone())
            .collect();
        prop_assert!(all.is_empty() || !left.is_empty());
        let second = decide(&left, &running, &policy, now);
        prop_assert!(second.iter().all(|verdict| matches!(verdict, RetentionVerdict::Keep(_))));
    }

    #[test]
    fn each_history_is_judged_as_if_it_were_alone(
        all in any_backups(true, true),
        policy in any_policy(),
        running in proptest::option::weighted(0.2, 0_i64..12_000),
    ) {
        let now = time(NOW);
        let running: Vec<BackupId> =
            running.map(|hours| BackupId::new(now - SignedDuration::from_hours(hours), "n0")).into_iter().collect();
        let stays = |all: &[RetentionCandidate]| -> BTreeSet<BackupId> {
            let verdicts = decide(all, &running, &policy, now);
            let kept = all.iter().zip(verdicts).filter(|(_, verdict)| matches!(verdict, RetentionVerdict::Keep(_)));
            kept.map(|(one, _)| one.known.id.clone()).collect()
        };
        let is_other = |one: &RetentionCandidate| one.known.taken.as_ref().is_ok_and(|taken| taken.gtid.uuid == OTHER);
        let (others, first): (Vec<RetentionCandidate>, Vec<RetentionCandidate>) = all.iter().cloned().partition(is_other);
        prop_assert_eq!(stays(&all), stays(&first).union(&stays(&others)).cloned().collect());
    }

    #[test]
    fn a_clock_that_is_back_removes_nothing_more(
        // Positions in doubt are the one thing that a clock set back can hide: the future is not looked at.
        all in any_backups(false, true),
        policy in any_policy(),
        back in 0_i64..20_000,
    ) {
        let right = decide(&all, &[], &policy, time(NOW));
        let wrong = decide(&all, &[], &policy, time(NOW) - SignedDuration::from_hours(back));
        for (right, wrong) in right.iter().zip(&wrong) {
            prop_assert!(matches!(wrong, RetentionVerdict::Keep(_)) || matches!(right, RetentionVerdict::Remove(_)));
        }
    }
}
