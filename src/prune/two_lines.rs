//! Two clusters that were made of one backup, in one folder under one name: two lines of one history.
//!
//! Both have the state UUID, so nothing but the positions tells them apart: they go back and forward in turn. A cluster that
//! went back does not look like that: it goes on from where it went back to, in the steps in which it always went.

use std::collections::BTreeSet;

use crate::catalog::{DataMoment, TOLERANCE};

/// The places of backups of which a rule that goes by time cannot tell which line they are of. They are of one history, in
/// no doubt, oldest first.
///
/// Two lines are seen where a step back is made good by one step forward, beyond what was there before it. Who has gone
/// back to the last backup but one is let off: it begins above all that was there before the last one.
pub(super) fn two_lines(sound: &[(usize, &DataMoment)]) -> BTreeSet<usize> {
    let seqno = |nth: usize| sound[nth].1.gtid.seqno;
    let mut involved = BTreeSet::new();
    for low in 1..sound.len() {
        let high = low - 1;
        let is_apart = sound[low].1.at.duration_since(sound[high].1.at) > TOLERANCE;
        let before = (0..high).map(seqno).max();
        if !is_apart || seqno(low) >= seqno(high) || before.is_some_and(|before| seqno(low) >= before) {
            continue;
        }
        let Some(beyond) = (low + 1..sound.len()).find(|nth| seqno(*nth) > seqno(high)) else { continue };
        if seqno(beyond).saturating_sub(seqno(beyond - 1)) >= seqno(high).saturating_sub(seqno(low)) {
            involved.extend(sound[high..=beyond].iter().map(|(place, _)| *place));
        }
    }
    involved
}
