//! The watch on a desynced node: its queue, its room for write sets, its place in the cluster.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::load::NodeLoad;
use crate::model::PAGE_RESERVE;

/// Between two looks at the node.
const EVERY: Duration = Duration::from_secs(1);
/// The first length of the queue that is told; then each doubling.
const TOLD: u64 = 10_000;
/// A node that does not answer for so long has something worse.
const SILENT: Duration = Duration::from_secs(60);

/// When the command is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VigilLimits {
    /// Write sets in the receive queue (`queue-limit`).
    pub queue: Option<u64>,
    /// Where Galera makes page files, and how large one is (`gcache.dir`, `gcache.page_size`).
    pub pages: Option<(PathBuf, u64)>,
}

/// What was seen so far.
#[derive(Debug)]
pub struct Vigil {
    limits: VigilLimits,
    free: fn(&std::path::Path) -> Option<u64>,
    next: Instant,
    told: u64,
    silent: Option<Instant>,
    is_outrun: bool,
    /// The longest the queue was.
    pub longest: u64,
    /// Write sets committed when it began, and at the last look.
    pub committed: Option<(i64, i64)>,
    /// `wsrep_flow_control_sent` at the same times.
    pub flow_control: Option<(u64, u64)>,
}

impl Vigil {
    /// Nothing yet. `free` tells the bytes that a server may still write to a directory.
    pub fn new(limits: VigilLimits, free: fn(&std::path::Path) -> Option<u64>) -> Self {
        Self {
            limits,
            free,
            next: Instant::now(),
            told: TOLD,
            silent: None,
            is_outrun: false,
            longest: 0,
            committed: None,
            flow_control: None,
        }
    }

    /// Looks once a second; an error says why the command is to be given up. `tell` hears warnings.
    pub fn look(
        &mut self,
        ask: &mut dyn FnMut() -> Result<NodeLoad, String>,
        tell: &mut dyn FnMut(String),
    ) -> Result<(), String> {
        if Instant::now() < self.next {
            return Ok(());
        }
        let answer = ask();
        self.next = Instant::now() + EVERY;
        self.room()?;
        match answer {
            Ok(load) => {
                self.silent = None;
                self.load(load, tell)
            }
            Err(why) => {
                let since = *self.silent.get_or_insert_with(Instant::now);
                if since.elapsed() >= SILENT {
                    return Err(format!("the server has not answered for {} s: {why}", SILENT.as_secs()));
                }
                Ok(())
            }
        }
    }

    /// What an answer means.
    fn load(&mut self, load: NodeLoad, tell: &mut dyn FnMut(String)) -> Result<(), String> {
        self.longest = self.longest.max(load.queue);
        if let Some(last) = load.last_committed {
            self.committed = Some((self.committed.map_or(last, |(first, _)| first), last));
        }
        let first = self.flow_control.map_or(load.flow_control_sent, |(first, _)| first);
        let before = self.flow_control.map_or(first, |(_, last)| last);
        self.flow_control = Some((first, load.flow_control_sent));
        if load.flow_control_sent > before {
            tell(
                "this node asks the cluster to wait for it (flow control), though it is desynced".to_owned(),
            );
        }
        if let Some(limit) = self.limits.queue.filter(|limit| load.queue > *limit) {
            return Err(format!(
                "{} write sets wait in the receive queue, more than queue-limit ({limit})",
                load.queue
            ));
        }
        if load.queue >= self.told {
            tell(format!("{} write sets wait in the receive queue", load.queue));
            self.told = load.queue.saturating_mul(2);
        }
        self.ist(load, tell);
        if !load.is_primary {
            return Err("the node is not in the Primary component any more".to_owned());
        }
        Ok(())
    }

    /// Whether a node with the position at which this began could still catch up from this one.
    fn ist(&mut self, load: NodeLoad, tell: &mut dyn FnMut(String)) {
        let (Some((first, _)), Some(downto)) = (self.committed, load.cached_downto) else { return };
        if self.is_outrun || first < 0 || downto <= first.saturating_add(1) {
            return;
        }
        self.is_outrun = true;
        tell(format!(
            "this node's gcache begins at seqno {downto} by now, behind seqno {first}, where this began: a node restored to that position              would need a full state transfer unless another member's gcache reaches further back (gcache.size)"
        ));
    }

    /// A server that cannot make the next page file ends.
    fn room(&self) -> Result<(), String> {
        let Some((folder, page)) = &self.limits.pages else { return Ok(()) };
        match (self.free)(folder) {
            Some(free) if free < page.saturating_add(PAGE_RESERVE) => Err(format!(
                "'{}' has {} MiB free, too few for another page file of write sets ({} MiB, gcache.page_size): the server would end",
                folder.display(),
                free >> 20,
                page >> 20
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(queue: u64) -> NodeLoad {
        NodeLoad { queue, is_primary: true, last_committed: Some(7), ..NodeLoad::default() }
    }

    fn vigil(limits: VigilLimits) -> Vigil {
        Vigil::new(limits, |_| Some(100 << 20))
    }

    #[test]
    fn a_queue_is_told_by_its_doublings_and_given_up_at_the_limit() {
        let mut told = Vec::new();
        let mut vigil = vigil(VigilLimits { queue: Some(50_000), pages: None });
        for (queue, messages) in [(9_999, 0), (10_000, 1), (19_999, 1), (20_001, 2), (50_000, 3)] {
            vigil.load(load(queue), &mut |text| told.push(text)).unwrap();
            assert_eq!(told.len(), messages, "{queue}: {told:?}");
        }
        let why = vigil.load(load(50_001), &mut |_| ()).unwrap_err();
        assert!(why.contains("50001 write sets") && why.contains("queue-limit"), "{why}");
        assert_eq!((vigil.longest, vigil.committed), (50_001, Some((7, 7))));
        let cut_off = NodeLoad { is_primary: false, ..load(0) };
        assert!(vigil.load(cut_off, &mut |_| ()).is_err());
    }

    #[test]
    fn a_gcache_that_has_lost_the_beginning_is_told_once() {
        let mut told = Vec::new();
        let mut vigil = vigil(VigilLimits { queue: None, pages: None });
        let mut look = |committed, downto| {
            let load = NodeLoad { last_committed: Some(committed), cached_downto: Some(downto), ..load(0) };
            vigil.load(load, &mut |text| told.push(text)).unwrap();
        };
        for (committed, downto) in [(100, 1), (150, 101), (200, 102), (300, 250)] {
            look(committed, downto);
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("begins at seqno 102") && told[0].contains("behind seqno 100"), "{told:?}");
    }

    #[test]
    fn flow_control_is_told_and_no_room_for_a_page_file_ends_it() {
        let mut told = Vec::new();
        let mut vigil = vigil(VigilLimits { queue: None, pages: Some(("/x".into(), 128 << 20)) });
        for (sent, messages) in [(5, 0), (5, 0), (6, 1)] {
            let load = NodeLoad { flow_control_sent: sent, ..load(0) };
            vigil.load(load, &mut |text| told.push(text)).unwrap();
            assert_eq!(told.len(), messages);
        }
        let why = vigil.look(&mut || Ok(load(0)), &mut |_| ()).unwrap_err();
        assert!(why.contains("'/x' has 100 MiB free"), "{why}");
        vigil.limits.pages = Some(("/x".into(), 64 << 20));
        vigil.next = Instant::now();
        assert_eq!(vigil.look(&mut || Ok(load(0)), &mut |_| ()), Ok(()));
        assert_eq!(vigil.look(&mut || panic!("asked twice within a second"), &mut |_| ()), Ok(()));
    }
}
