//! What a line to a bucket does to small requests: each takes a round trip, whatever is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use s3s::S3Result;
use s3s::access::{S3Access, S3AccessContext};

/// A line, and what has passed over it.
#[derive(Clone, Default)]
pub struct Line {
    round_trip: Duration,
    requests: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Line {
    /// With a round trip of so long.
    pub fn of(round_trip: Duration) -> Self {
        Self { round_trip, ..Self::default() }
    }

    /// Requests since this was last asked, and how many of them were under way at once.
    pub fn take(&self) -> (usize, usize) {
        (self.requests.swap(0, Ordering::Relaxed), self.most.swap(0, Ordering::Relaxed))
    }
}

#[async_trait::async_trait]
impl S3Access for Line {
    async fn check(&self, _: &mut S3AccessContext<'_>) -> S3Result<()> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(self.round_trip).await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}
