//! Gets the blocks of an archive out of its object: one behind the other, or several at once where each request takes a round trip.
//!
//! ```text
//! the plan ─> stretches of blocks ─> fetching threads, each with the object for itself ─> decompressing threads
//!    └────────────────── places in the order of the plan ──────────────────> the reader
//! ```
//!
//! What is under way is bounded by the places: a stretch is handed out when all of those before it have theirs, and a place is free when its block
//! was read. No thread waits for the reader but the one that hands out.

use std::io::{self, Read, Seek};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::block::{DecodeJob, DecodedBlock, ObjectDigest, PlannedBlock, ReadPlan, STRETCH};
use super::object_stream::ObjectStream;

/// Where what was read goes.
pub(super) struct BlockWay {
    /// To be decompressed, in any order.
    pub(super) jobs: Sender<DecodeJob>,
    /// The places of the blocks, in their order.
    pub(super) order: Sender<Receiver<DecodedBlock>>,
}

/// Blocks that one thread fetches, and where each is awaited.
type Stretch = Vec<(PlannedBlock, Sender<DecodedBlock>)>;

/// Reads block after block; past the end of the object every one is damaged. The digest where it was read as a whole.
pub(super) fn one_by_one<R: Read + Seek>(
    mut stream: ObjectStream<R>,
    plan: &ReadPlan,
    way: &BlockWay,
) -> io::Result<Option<ObjectDigest>> {
    for planned in &plan.blocks {
        let frame = stream.read_block(planned)?;
        let (reply, pending) = bounded(1);
        let job = DecodeJob { planned: *planned, frame, reply };
        // The reader may have stopped listening; that is no error of the storage, and the rest is not wanted.
        if way.order.send(pending).is_err() || way.jobs.send(job).is_err() {
            return Ok(None);
        }
    }
    if plan.is_whole { stream.finish() } else { Ok(None) }
}

/// Reads as many stretches at once as there are streams of the object.
pub(super) fn several_at_once<R: Read + Seek + Send>(
    streams: Vec<ObjectStream<R>>,
    plan: &ReadPlan,
    way: &BlockWay,
) -> io::Result<Option<ObjectDigest>> {
    std::thread::scope(|scope| {
        let (hand_out, queue) = unbounded();
        let mut fetching = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let (queue, jobs) = (queue.clone(), way.jobs.clone());
            let thread = std::thread::Builder::new().name(format!("fetch-{number}"));
            fetching.push(thread.spawn_scoped(scope, move || fetch(stream, &queue, &jobs))?);
        }
        drop(queue);
        for blocks in plan.blocks.chunks(STRETCH) {
            let place = |planned: &PlannedBlock| {
                let (reply, pending) = bounded(1);
                ((*planned, reply), pending)
            };
            let (stretch, places): (Stretch, Vec<_>) = blocks.iter().map(place).unzip();
            // None fetches any more, or nobody reads.
            if hand_out.send(stretch).is_err()
                || places.into_iter().any(|place| way.order.send(place).is_err())
            {
                break;
            }
        }
        drop(hand_out);
        let ended = fetching.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a fetching thread panicked")))
        });
        ended.collect::<Vec<_>>().into_iter().collect::<io::Result<()>>().map(|()| None)
    })
}

/// Ends when nothing more can come, nobody decompresses any more, or the storage fails: whoever waits for what is not fetched then hears that it
/// does not come.
fn fetch<R: Read + Seek>(
    mut stream: ObjectStream<R>,
    queue: &Receiver<Stretch>,
    jobs: &Sender<DecodeJob>,
) -> io::Result<()> {
    while let Ok(stretch) = queue.recv() {
        for (planned, reply) in stretch {
            let frame = stream.read_block(&planned)?;
            if jobs.send(DecodeJob { planned, frame, reply }).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
