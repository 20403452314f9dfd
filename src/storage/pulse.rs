//! A sign that a long operation of a storage moves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When bytes last moved, for all who have a clone of it.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// Bytes have moved.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago that was; nothing where none ever have.
    pub fn since(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|last| last.elapsed())
    }
}
