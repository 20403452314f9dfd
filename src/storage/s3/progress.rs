//! Whether bytes move: a large part on a slow line is no line that hangs.
//!
//! The bytes of a request are handed on in pieces, and each piece that the connection takes is noted, where two look: the
//! attempt that the request belongs to ([`attempt`]), and the [`Pulse`] of the storage, by which somebody outside tells a slow operation
//! from one that hangs. What the system still keeps for a connection when all is handed on nobody sees: an attempt is
//! patient for so long as that needs.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::HttpRequestBody;

use crate::storage::Pulse;

/// What the connection takes at once.
const PIECE: usize = 64 << 10;

tokio::task_local! {
    static METER: Meter;
}

/// When bytes of one attempt last moved.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<Mutex<Option<Instant>>>);

impl Meter {
    /// None before the first one.
    pub(super) fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// `work`, whose requests are seen by `meter`.
pub(super) fn attempt<F: Future>(meter: &Meter, work: F) -> impl Future<Output = F::Output> {
    METER.scope(meter.clone(), work)
}

/// The meter of the attempt that this is a part of.
fn meter() -> Option<Meter> {
    METER.try_with(Clone::clone).ok()
}

/// A body whose bytes are counted on their way.
pub(super) struct Metered<B> {
    inner: B,
    /// What was taken from `inner` and not handed on yet.
    rest: Bytes,
    /// The body is done when `rest` is.
    is_last: bool,
    meter: Option<Meter>,
    /// Noted there too: the part of an archive.
    pulse: Option<Pulse>,
    limit: usize,
}

impl<B> Metered<B> {
    /// A body that is sent, in small pieces.
    pub(super) fn sent(inner: B, pulse: Option<Pulse>) -> Self {
        Self { inner, rest: Bytes::new(), is_last: false, meter: meter(), pulse, limit: PIECE }
    }

    /// A body that is received, as it comes.
    pub(super) fn received(inner: B, pulse: Option<Pulse>) -> Self {
        Self { limit: usize::MAX, ..Self::sent(inner, pulse) }
    }

    fn note(&self) {
        if let Some(meter) = &self.meter {
            meter.tick();
        }
        if let Some(pulse) = &self.pulse {
            pulse.beat();
        }
    }
}

impl<B, E> Body for Metered<B>
where
    B: Body<Data = Bytes, Error = E> + Unpin,
{
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let this = &mut *self;
        if this.rest.is_empty() && !this.is_last {
            match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Poll::Ready(other) => {
                    this.is_last = true;
                    return Poll::Ready(other);
                }
            }
        }
        if this.is_last {
            return Poll::Ready(None);
        }
        this.note();
        let piece = this.rest.split_to(this.rest.len().min(this.limit));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && (self.is_last || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.inner.size_hint();
        inner.exact().map_or_else(SizeHint::default, |bytes| SizeHint::with_exact(bytes + rest))
    }
}

/// All pieces of a body that is in memory.
pub(super) fn pieces(body: &HttpRequestBody) -> impl Iterator<Item = Bytes> {
    let mut body = body.clone();
    std::iter::from_fn(move || {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(Some(frame)) => frame.ok().and_then(|frame: Frame<Bytes>| frame.into_data().ok()),
            _ => None,
        }
    })
    .filter(|piece| !piece.is_empty())
}
