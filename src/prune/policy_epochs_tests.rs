//! Clusters that went back, and clocks that only made it look so.

use super::*;

#[test]
fn a_cluster_that_went_back_begins_a_new_epoch_and_retention_goes_on() {
    let week = Retention { daily: Some(7), ..none() };
    // On day 20 the backup of day 2 was restored.
    let back = |day: i64| if day <= 20 { 100 * day } else { 200 + 100 * (day - 20) };
    let all = daily(40, back);
    assert_eq!(days(&all, &week), ((34..=40).collect(), vec![]));
    // The day after, and with a second step back on day 30.
    assert_eq!(days(&all[..21], &week), ((15..=21).collect(), vec![]));
    let twice = daily(40, |day| if day <= 30 { back(day) } else { back(day - 15) });
    assert_eq!(days(&twice, &week), ((34..=40).collect(), vec![]));

    // In a copy that was made in one go nothing tells an epoch from a wrong clock.
    let mut copies = all.clone();
    for one in &mut copies {
        one.taken().written = Some(time("2026-11-20T11:00:00Z"));
    }
    let (kept, doubtful) = days(&copies, &week);
    assert_eq!((kept.len(), doubtful), (40, (4..=37).collect()));

    // Moved to another disk on day 25, before which nothing is confirmed: what was there then was there before.
    let mut moved = all.clone();
    for one in &mut moved[..25] {
        one.taken().written = Some(time("2026-11-05T12:00:00Z"));
    }
    assert_eq!(days(&moved, &week).0, (4..=25).chain(34..=40).collect::<Vec<usize>>());
}

#[test]
fn a_clock_that_was_wrong_is_told_from_an_epoch_by_the_storage() {
    let week = Retention { daily: Some(7), ..none() };
    let ahead = |hours: i64| {
        let mut all = daily(40, |day| 100 * day);
        // The donor of day 35 was ahead; the storage was not.
        let at = all[34].taken().at + SignedDuration::from_hours(hours);
        all[34].known.id = BackupId::new(at, "n2");
        (all[34].taken().at, all[34].taken().finished) = (at, at);
        all
    };
    // It takes nobody's place, and stays for as long as it would have stayed with its true time.
    assert_eq!(days(&ahead(72), &week), ((33..=40).collect(), vec![35]));
    let three = Retention { daily: Some(3), ..none() };
    assert_eq!(days(&ahead(72), &three), (vec![38, 39, 40], vec![]));
    // From the future it stays, whatever the policy says.
    assert_eq!(days(&ahead(24 * 30), &three), (vec![35, 38, 39, 40], vec![35]));
    // A clock that was behind: the others are confirmed, so it is to blame alone.
    assert_eq!(days(&ahead(-72), &three), (vec![35, 38, 39, 40], vec![35]));
    assert_eq!(days(&ahead(0), &three), (vec![38, 39, 40], vec![]));

    // A storage that is behind by half an hour says so of all, and of none.
    let mut behind = daily(40, |day| 100 * day);
    for one in &mut behind {
        one.taken().written = one.taken().written.map(|at| at - SignedDuration::from_mins(30));
    }
    assert_eq!(days(&behind, &three), (vec![38, 39, 40], vec![]));
}
