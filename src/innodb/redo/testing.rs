//! Logs made by hand, for tests.

use std::io;

use super::format::{CHECKPOINTS, ENCRYPTED, HEAD_BYTES, PLAIN};
use super::log_bytes::LogBytes;
use super::ring::Ring;

/// A log in which nothing was written, as a file has it.
pub fn empty_log() -> Vec<u8> {
    Handmade::new(8192, false).bytes
}

/// One in which something was, and the LSN at which it ends.
pub fn written_log() -> (Vec<u8>, u64) {
    let mut log = Handmade::new(64 << 10, false);
    (0..20).for_each(|_| log.write(200));
    (log.bytes, log.lsn)
}

/// A log of a server that never was.
#[derive(Clone)]
pub(super) struct Handmade {
    pub(super) bytes: Vec<u8>,
    pub(super) ring: Ring,
    pub(super) lsn: u64,
    pub(super) is_encrypted: bool,
}

impl Handmade {
    /// Of so many bytes behind its head, with a checkpoint at its first LSN.
    pub(super) fn new(capacity: u64, is_encrypted: bool) -> Self {
        let ring = Ring { first_lsn: HEAD_BYTES as u64, capacity };
        let mut bytes = vec![0; HEAD_BYTES + usize::try_from(capacity).unwrap()];
        bytes[..4].copy_from_slice(&if is_encrypted { ENCRYPTED } else { PLAIN }.to_be_bytes());
        bytes[8..16].copy_from_slice(&ring.first_lsn.to_be_bytes());
        let sum = crc32c::crc32c(&bytes[..508]).to_be_bytes();
        bytes[508..512].copy_from_slice(&sum);
        let mut log = Self { bytes, ring, lsn: ring.first_lsn, is_encrypted };
        log.checkpoint(0);
        log
    }

    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let at = usize::try_from(self.ring.offset(self.lsn)).unwrap();
            self.bytes[at] = *byte;
            self.lsn += 1;
        }
    }

    /// A mini-transaction of these records.
    pub(super) fn append(&mut self, records: &[u8]) {
        let bit = self.ring.bit(self.lsn + records.len() as u64);
        let nonce: &[u8] = if self.is_encrypted { &[9, 8, 7, 6, 5, 4, 3, 2] } else { &[] };
        let sum = crc32c::crc32c(&[records, nonce].concat()).to_be_bytes();
        self.put(&[records, &[bit], nonce, &sum].concat());
        // What a server writes behind the last one.
        let end = usize::try_from(self.ring.offset(self.lsn)).unwrap();
        self.bytes[end] = 0;
    }

    /// One that writes so many bytes to a page.
    pub(super) fn write(&mut self, length: usize) {
        let long = match u32::try_from(length).unwrap() {
            length if length < 0x4080 => ((length - 13 - 0x80) | 0x8000) << 16,
            length => ((length - 12 - 0x4080) | 0x00c0_0000) << 8,
        };
        let long = &long.to_be_bytes()[..if length < 0x4080 { 2 } else { 3 }];
        self.append(&[&[0x30], long, &vec![7; length]].concat());
    }

    /// Everything is in the data files: block 0 or 1 says so.
    pub(super) fn checkpoint(&mut self, block: usize) {
        let lsn = self.lsn;
        self.append(&[&[0xfa, 0, 0][..], &lsn.to_be_bytes()].concat());
        let at = CHECKPOINTS[block];
        self.bytes[at..at + 8].copy_from_slice(&lsn.to_be_bytes());
        self.bytes[at + 8..at + 16].copy_from_slice(&lsn.to_be_bytes());
        let sum = crc32c::crc32c(&self.bytes[at..at + 60]).to_be_bytes();
        self.bytes[at + 60..at + 64].copy_from_slice(&sum);
    }
}

impl LogBytes for Handmade {
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&self.bytes[at..at + buffer.len()]);
        Ok(())
    }
}
