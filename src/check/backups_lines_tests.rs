use super::*;

#[test]
fn lines_of_one_history_that_have_parted_are_told() {
    let of = |positions: &[i64]| {
        let records = positions.iter().enumerate().map(|(day, seqno)| {
            let mut record = record(manifest(&format!("202611{:02}T010000Z_n1", 21 - positions.len() + day)));
            record.evidence.written = record.id.started();
            record.manifest.as_mut().unwrap().gtid.as_mut().unwrap().seqno = *seqno;
            record
        });
        told(&Catalog { records: records.collect(), ..Catalog::default() }, Some(26))
    };
    assert_eq!(of(&[10, 20, 30]).len(), 1);
    for (positions, words) in [
        (&[10, 30, 12, 32][..], "went back to an older backup"),
        (&[100, 200, 110, 210, 120, 220], "two clusters that were made of one backup"),
    ] {
        let told = of(positions);
        assert!(told.len() == 2 && told[1].0 == Level::Warning && told[1].1.contains(words), "{told:?}");
    }
}
