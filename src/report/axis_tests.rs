use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn steps_are_round_and_few() {
    let gib = 1 << 30;
    for (most, step) in [
        (0, 1),
        (3, 1),
        (1000, 500),
        (1023, 500),
        (4 * 1024, 1024),
        (117 * gib, 50 * gib),
        (4 << 40, 1 << 40),
        (u64::MAX, 5 << 60),
    ] {
        assert_eq!(bytes_step(most), step, "{most}");
    }
    for (most, step) in [
        (0, 1),
        (801, 500),
        (4_000, 1_000),
        (4_001, 2_000),
        (131_900, 60_000),
        (3 * 3_600_000, 3_600_000),
        (500 * 3_600_000, 10 * 86_400_000),
    ] {
        assert_eq!(ms_step(most), step, "{most}");
    }
}

#[test]
fn the_top_is_not_below_the_highest_bar() {
    for most in [0, 1, 7, 801, 1 << 40, u64::MAX] {
        for step in [bytes_step(most), ms_step(most)] {
            let (top, ticks) = value_ticks(most, step, &|value| value.to_string());
            assert!(top >= most && (2..=6).contains(&ticks.len()), "{most} {top} {ticks:?}");
            assert!(ticks[0].at.abs() < 1e-9 && ticks[0].label == "0", "{ticks:?}");
            assert!((ticks.last().unwrap().at - 1.0).abs() < 1e-9);
        }
    }
    assert!(share(5, 0).abs() < 1e-9);
}

#[test]
fn a_moment_has_its_place_and_a_single_one_the_middle() {
    let axis = TimeAxis::over(["2026-11-01T00:00:00Z", "2026-11-11T00:00:00Z"].map(at).into_iter()).unwrap();
    let places =
        ["2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z", "2026-11-11T00:00:00Z"].map(|t| axis.place(at(t)));
    assert!(places[0] > 0.0 && places[2] < 1.0 && (places[1] - 0.5).abs() < 1e-9, "{places:?}");
    let axis = TimeAxis::over([at("2026-11-01T00:00:00Z")].into_iter()).unwrap();
    assert!((axis.place(at("2026-11-01T00:00:00Z")) - 0.5).abs() < 1e-9);
    assert_eq!(TimeAxis::over(std::iter::empty()), None);
    // The ends of time are no reason to panic.
    let axis = TimeAxis::over([Timestamp::MIN, Timestamp::MAX].into_iter()).unwrap();
    assert!(axis.ticks().len() <= 61);
}

#[test]
fn labels_follow_the_span() {
    let labels = |from: &str, to: &str| -> Vec<String> {
        let axis = TimeAxis::over([from, to].map(at).into_iter()).unwrap();
        let ticks = axis.ticks();
        assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.at)), "{ticks:?}");
        assert!((2..=10).contains(&ticks.len()), "{ticks:?}");
        ticks.into_iter().map(|tick| tick.label).collect()
    };
    let day = labels("2026-11-20T05:00:00Z", "2026-11-21T20:00:00Z");
    assert_eq!(day, ["06:00", "12:00", "18:00", "21 Nov", "06:00", "12:00", "18:00"]);
    let week = labels("2026-11-20T11:00:00Z", "2026-11-26T12:00:00Z");
    assert_eq!(week, ["21 Nov", "22 Nov", "23 Nov", "24 Nov", "25 Nov", "26 Nov"]);
    // Mondays.
    let month = labels("2026-10-24T20:00:00Z", "2026-11-24T20:00:00Z");
    assert_eq!(month, ["26 Oct", "02 Nov", "09 Nov", "16 Nov", "23 Nov"]);
    let half = labels("2026-05-20T00:00:00Z", "2026-11-20T00:00:00Z");
    assert_eq!(half, ["Jun 2026", "Jul 2026", "Aug 2026", "Sep 2026", "Oct 2026", "Nov 2026"]);
    let year = labels("2025-11-20T00:00:00Z", "2026-11-24T00:00:00Z");
    assert_eq!(year, ["Jan 2026", "Apr 2026", "Jul 2026", "Oct 2026"]);
    let decades = labels("2000-11-20T00:00:00Z", "2026-11-24T00:00:00Z");
    assert_eq!(decades[0], "Jan 2003");
    for pair in
        [("2026-11-20T11:00:00Z", "2026-11-20T11:00:01Z"), ("2026-11-20T00:00:00Z", "2026-11-20T08:00:00Z")]
    {
        let _ = TimeAxis::over([pair.0, pair.1].map(at).into_iter()).unwrap().ticks();
    }
}

#[test]
fn bars_are_as_narrow_as_the_short_gaps_want() {
    let days = |days: &[i64]| -> Vec<Timestamp> {
        days.iter().map(|day| at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(24 * day)).collect()
    };
    let slots = |moments: Vec<Timestamp>| TimeAxis::over(moments.clone().into_iter()).unwrap().slots(moments);
    assert_eq!(slots(days(&(0..=40).collect::<Vec<_>>())), 43);
    assert_eq!(slots(days(&[0, 1])), 8);
    let retained: Vec<i64> = (0..12).map(|month| month * 30).chain(354..=360).collect();
    assert!((360..400).contains(&slots(days(&retained))));
    assert_eq!(slots(days(&[0, 0, 0])), 2000);
}
