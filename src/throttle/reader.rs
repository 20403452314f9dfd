//! Something that is read no faster than the limit.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::limiter::{Clock, Limiter, Monotonic};

/// Pays for what it has read: the wait comes behind the read and is no part of it.
#[derive(Debug)]
pub struct LimitedReader<R, C = Monotonic> {
    inner: R,
    limiter: Arc<Limiter<C>>,
}

impl<R, C> LimitedReader<R, C> {
    /// Reads `inner`.
    pub fn new(inner: R, limiter: Arc<Limiter<C>>) -> Self {
        Self { inner, limiter }
    }
}

impl<R: Read, C: Clock> Read for LimitedReader<R, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.limiter.piece());
        let count = self.inner.read(&mut buffer[..most])?;
        self.limiter.take(count as u64);
        Ok(count)
    }
}

impl<R: Seek, C> Seek for LimitedReader<R, C> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::num::NonZeroU64;

    use super::super::limiter::testing::Sleeps;
    use super::*;

    #[test]
    fn every_byte_comes_and_takes_its_time_and_seeking_is_free() {
        let bytes: Vec<u8> = (0..=255).cycle().take(400 << 10).collect();
        let clock = Sleeps::default();
        let limiter = Limiter::with_clock(NonZeroU64::new(1 << 20), Arc::default(), clock.clone());
        let mut reader = LimitedReader::new(Cursor::new(&bytes), Arc::new(limiter));
        let mut half = Vec::new();
        reader.seek(SeekFrom::Start(200 << 10)).unwrap();
        reader.read_to_end(&mut half).unwrap();
        assert!(half == bytes[200 << 10..]);
        assert_eq!(clock.now().as_micros(), 200 * 1_000_000 / 1024);
    }
}
