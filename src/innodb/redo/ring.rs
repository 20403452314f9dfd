//! Where an LSN lies in the file.

use super::format::HEAD_BYTES;

/// The part of the file behind its head, which is written round and round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ring {
    /// The LSN of its first byte in the first round.
    pub(super) first_lsn: u64,
    /// Its length, bytes.
    pub(super) capacity: u64,
}

impl Ring {
    /// Of an LSN that is not below the first one.
    pub(super) fn offset(self, lsn: u64) -> u64 {
        HEAD_BYTES as u64 + lsn.saturating_sub(self.first_lsn) % self.capacity
    }

    /// Bytes from this LSN to the end of the file.
    pub(super) fn until_end(self, lsn: u64) -> u64 {
        self.capacity - lsn.saturating_sub(self.first_lsn) % self.capacity
    }

    /// The byte that ends a mini-transaction, if that byte has this LSN (`log_t::get_sequence_bit`).
    pub(super) fn bit(self, lsn: u64) -> u8 {
        u8::from((lsn.saturating_sub(self.first_lsn) / self.capacity).is_multiple_of(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_goes_round_and_its_bit_changes_with_each_round() {
        let ring = Ring { first_lsn: 12_288, capacity: 1000 };
        let seen = |lsn| (ring.offset(lsn), ring.until_end(lsn), ring.bit(lsn));
        assert_eq!(seen(12_288), (12_288, 1000, 1));
        assert_eq!(seen(13_287), (13_287, 1, 1));
        assert_eq!(seen(13_288), (12_288, 1000, 0));
        assert_eq!(seen(14_289), (12_289, 999, 1));
    }
}
