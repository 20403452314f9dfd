//! How large the parts of an upload are.
//!
//! S3 takes at most 10,000 parts for one object (some vendors 1,000), of 5 MiB to 5 GiB each, the last one excepted
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>). How large a stream becomes is known at its
//! end, so the sizes follow a law that never runs out of parts before the storage runs out of bytes:
//!
//! ```text
//! size
//!  ^                                  _   5 GiB
//!  |                                _|
//!  | first                       __|      doubled after each `step` parts
//!  |____________________________|
//!  +----------------------------+-----+-> part
//!              constant              cap
//! ```
//!
//! Where it is known how large an object can become at most, `first` is chosen so that 7 of 8 parts of constant size
//! are enough; the growth behind them is for a bound that was wrong. Without a bound the doubling begins after a tenth
//! of the parts. Memory is what a part costs: see [`InFlight`](super::writer).

/// The first part, unless more is known: small enough for memory, large enough that few requests are made.
pub(super) const FIRST: u64 = 8 << 20;
/// The largest part that S3 takes.
pub(super) const LARGEST: u64 = 5 << 30;
/// Sizes are multiples of this.
const UNIT: u64 = 1 << 20;

/// The law of one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// Bytes of the first part, and of all `constant` ones.
    first: u64,
    /// Parts of that size.
    constant: u64,
    /// Parts of each size after that.
    step: u64,
    /// Parts in all.
    cap: u64,
}

impl Parts {
    /// For an object of at most `bound` bytes, where that is known; none if `cap` parts cannot hold it.
    pub(super) fn plan(bound: Option<u64>, cap: u64) -> Option<Self> {
        let step = (cap / 80).max(1);
        let Some(bound) = bound else {
            let tenth = (cap / 10).max(1);
            return Some(Self { first: FIRST, constant: tenth, step: tenth, cap });
        };
        if bound > largest_object(cap) {
            return None;
        }
        let constant = cap - cap / 8;
        let first = bound.div_ceil(constant).next_multiple_of(UNIT).clamp(FIRST, LARGEST);
        Some(Self { first, constant, step, cap })
    }

    /// Bytes of part `number`, counted from 0; none behind the last one.
    pub(super) fn size(&self, number: u64) -> Option<u64> {
        if number >= self.cap {
            return None;
        }
        let doubled = number.checked_sub(self.constant).map_or(0, |behind| behind / self.step + 1);
        let factor = u32::try_from(doubled).ok().and_then(|by| 1u64.checked_shl(by)).unwrap_or(u64::MAX);
        Some(self.first.saturating_mul(factor).min(LARGEST))
    }
}

/// The largest object that `cap` parts hold.
pub(super) fn largest_object(cap: u64) -> u64 {
    cap.saturating_mul(LARGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const TIB: u64 = 1 << 40;

    /// Bytes that all parts together hold.
    fn capacity(parts: &Parts) -> u64 {
        (0..parts.cap).filter_map(|number| parts.size(number)).fold(0, u64::saturating_add)
    }

    /// The parts of an object of `bytes`; none where they do not suffice.
    fn cut(parts: &Parts, bytes: u64) -> Option<Vec<u64>> {
        let (mut left, mut sizes) = (bytes, Vec::new());
        while left > 0 {
            let size = parts.size(sizes.len() as u64)?.min(left);
            sizes.push(size);
            left -= size;
        }
        Some(sizes)
    }

    fn holds(parts: &Parts, bytes: u64, cap: u64) {
        let sizes = cut(parts, bytes).unwrap_or_else(|| panic!("{bytes} bytes do not fit into {parts:?}"));
        assert!(sizes.len() as u64 <= cap, "{} parts, {parts:?}", sizes.len());
        assert_eq!(sizes.iter().sum::<u64>(), bytes);
        for (number, size) in sizes.iter().enumerate() {
            assert!(*size <= LARGEST && (*size >= 5 * MIB || number + 1 == sizes.len()), "{size}, {parts:?}");
        }
        assert!(sizes.is_sorted_by(|a, b| a <= b || *b == sizes[sizes.len() - 1]), "{parts:?}");
    }

    /// From 1 MiB to 50 TiB, evenly over the orders of magnitude.
    fn bytes() -> impl Strategy<Value = u64> {
        (20.0..45.644_f64).prop_map(|exponent| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^46")]
            let bytes = exponent.exp2() as u64;
            bytes.clamp(MIB, 50 * TIB)
        })
    }

    fn cap() -> impl Strategy<Value = u64> {
        prop_oneof![Just(1_000), Just(10_000), 10..=10_000u64]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_known_bound_is_held_or_refused_at_once(bytes in bytes(), cap in cap()) {
            match Parts::plan(Some(bytes), cap) {
                Some(parts) => {
                    holds(&parts, bytes, cap);
                    // No larger than it has to be: an eighth of the parts is kept for a bound that was wrong.
                    prop_assert!(parts.first <= (bytes / cap * 8 / 7 + 2 * MIB).max(FIRST));
                }
                None => prop_assert!(bytes > cap * LARGEST),
            }
        }

        #[test]
        fn without_a_bound_everything_up_to_the_capacity_fits(bytes in bytes(), cap in cap()) {
            let parts = Parts::plan(None, cap).unwrap();
            prop_assert_eq!(parts.size(0), Some(FIRST));
            if bytes <= capacity(&parts) {
                holds(&parts, bytes, cap);
            } else {
                prop_assert_eq!(cut(&parts, bytes), None);
            }
        }

        #[test]
        fn a_bound_that_was_too_small_is_outgrown(bytes in bytes(), cap in 1_000..=10_000u64) {
            // Half of what comes was foreseen; where all of it could be told beforehand it fits all the same,
            // as long as the parts behind the constant ones can still grow.
            if let Some(parts) = Parts::plan(Some(bytes / 2), cap) && parts.first <= 512 * MIB {
                holds(&parts, bytes, cap);
            }
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        for cap in [1_000, 10_000] {
            holds(&Parts::plan(Some(largest_object(cap)), cap).unwrap(), largest_object(cap), cap);
            assert_eq!(Parts::plan(Some(largest_object(cap) + 1), cap), None);
            holds(&Parts::plan(Some(0), cap).unwrap(), 1, cap);
        }
        assert_eq!(Parts::plan(Some(3_000_000_000), 10_000).unwrap().size(0), Some(FIRST));
        assert_eq!(Parts::plan(Some(TIB), 10_000).unwrap().size(0), Some(120 * MIB));
        assert!(capacity(&Parts::plan(None, 10_000).unwrap()) > 7 * TIB);
        assert!(capacity(&Parts::plan(None, 1_000).unwrap()) > TIB / 2);
    }
}
