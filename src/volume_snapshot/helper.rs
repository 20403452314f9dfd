//! Who runs the commands: one process for one backup, for as long as its connection is open.
//!
//! ```text
//! <- datadir PATH
//! -> left NAME          (a snapshot that an earlier backup has left was given back)
//! -> ready | failed WHY
//! <- take NAME, socket PATH, directory PATH …, (an empty line)
//! -> mount DIRECTORY<TAB>WHERE …, taken | failed WHY
//! <- release NAME       (or the end of the connection)
//! -> released | kept WHY
//! ```
//!
//! At any time comes `log TEXT`. The snapshot is given back behind each `take`, also behind one that has failed: it may have come half the way.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::commands::SnapshotCommands;
use super::mounts::SnapshotMounts;
use super::note::{SnapshotNote, SnapshotNoteFound};
use super::request::{SnapshotRequest, is_plain};
use super::run_command::CommandRun;
use super::wire::{Incoming, SnapshotWire};

/// The hidden command that is the helper.
pub const HELPER_COMMAND: &str = "snapshot-helper";

/// How often a snapshot is tried to be given back: whoever has read it may just be closing its last file.
const TRIES: u32 = 2;
/// Between two tries.
const BETWEEN: Duration = Duration::from_secs(1);

/// What a helper may do.
#[derive(Debug)]
pub struct HelperOrders {
    /// The commands; the text says why there are none.
    pub commands: Result<SnapshotCommands, String>,
    /// Where notes lie.
    pub notes: PathBuf,
    /// The user who asks, where that is one who may have snapshots of own directories only.
    pub asker: Option<u32>,
}

/// Serves one connection to its end.
pub fn serve(stream: UnixStream, orders: &HelperOrders) -> io::Result<()> {
    // What is sent to a whole service or terminal reaches the backup as well, and that decides. A handler, unlike a signal that is ignored,
    // is not handed on to the commands.
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let mut wire = SnapshotWire::new(stream)?;
    let Some(datadir) = greeting(&mut wire)? else { return Ok(()) };
    let commands = match &orders.commands {
        Ok(commands) => commands,
        Err(why) => return wire.say(&format!("failed {why}")),
    };
    let mut helper = Helper { wire, commands, orders };
    match helper.end_left(&datadir) {
        Ok(()) => helper.wire.say("ready")?,
        Err(why) => {
            log::error!("{why}");
            return helper.wire.say(&format!("failed {why}"));
        }
    }
    match helper.request(datadir)? {
        Some(request) => helper.hold(&request),
        None => Ok(()),
    }
}

/// Of which data directory the other side speaks.
fn greeting(wire: &mut SnapshotWire) -> io::Result<Option<PathBuf>> {
    let Incoming::Line(line) = wire.hear(&mut || true)? else { return Ok(None) };
    match line.strip_prefix("datadir ").map(PathBuf::from).filter(|path| is_plain(path)) {
        Some(path) => Ok(Some(path)),
        None => wire.say("failed the first line is not 'datadir', an absolute path").map(|()| None),
    }
}

struct Helper<'a> {
    wire: SnapshotWire,
    commands: &'a SnapshotCommands,
    orders: &'a HelperOrders,
}

impl Helper<'_> {
    /// Gives back what an earlier backup of this data directory has left.
    fn end_left(&mut self, datadir: &Path) -> Result<(), String> {
        let note = match SnapshotNote::find(&self.orders.notes, datadir)? {
            SnapshotNoteFound::Nothing => return Ok(()),
            SnapshotNoteFound::Held => {
                return Err(format!("another backup of '{}' has a snapshot of it now", datadir.display()));
            }
            SnapshotNoteFound::Left(note) => note,
        };
        let request = note.request.clone();
        self.release(&request).map_err(|why| {
            format!("the snapshot '{}' of an earlier backup cannot be removed: {why}", request.name)
        })?;
        note.remove();
        log::warn!("the snapshot '{}' of an earlier backup, which was killed, is removed", request.name);
        let _ = self.wire.say(&format!("left {}", request.name));
        Ok(())
    }

    /// What is wanted; nothing where the other side has closed the connection.
    fn request(&mut self, datadir: PathBuf) -> io::Result<Option<SnapshotRequest>> {
        let mut request = SnapshotRequest { datadir, ..SnapshotRequest::default() };
        loop {
            let Incoming::Line(line) = self.wire.hear(&mut || true)? else { return Ok(None) };
            match line.split_once(' ') {
                Some(("take", name)) => name.clone_into(&mut request.name),
                Some(("socket", path)) => request.socket = Some(path.into()),
                Some(("directory", path)) => request.directories.push(path.into()),
                None if line.is_empty() => return Ok(Some(request)),
                _ => {
                    self.wire.say("failed a line of the request is not understood")?;
                    return Ok(None);
                }
            }
        }
    }

    /// Takes the snapshot, and gives it back when the other side wants that or is gone.
    fn hold(&mut self, request: &SnapshotRequest) -> io::Result<()> {
        let asker = || self.orders.asker.and_then(|uid| request.belongs_to_another(uid));
        let note = match request.objection().or_else(asker) {
            Some(why) => Err(why),
            None => SnapshotNote::write(&self.orders.notes, request),
        };
        let note = match note {
            Ok(note) => note,
            Err(why) => return self.wire.say(&format!("failed {why}")),
        };
        match self.take(request) {
            Ok(mounts) => {
                log::info!("the snapshot '{}' of '{}' is taken", request.name, request.datadir.display());
                // Where this does not arrive the next thing that is heard is the end.
                let told = mounts.lines().try_for_each(|line| self.wire.say(&line));
                let _ = told.and_then(|()| self.wire.say("taken"));
                let _ = self.wire.hear(&mut || true);
            }
            Err(why) => {
                log::error!("{why}");
                let _ = self.wire.say(&format!("failed {why}"));
            }
        }
        match self.release(request) {
            Ok(()) => {
                note.remove();
                log::info!("the snapshot '{}' is removed", request.name);
                let _ = self.wire.say("released");
            }
            Err(why) => {
                let text = format!(
                    "the snapshot '{}' may be left: {why}; remove it by hand (SNAPSHOT_NAME={} {}), or the next backup does so",
                    request.name, request.name, self.commands.release
                );
                if self.wire.say(&format!("kept {text}")).is_err() {
                    log::error!("{text}");
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, request: &SnapshotRequest) -> Result<SnapshotMounts, String> {
        let run = CommandRun {
            name: "snapshot-command",
            words: &self.commands.take,
            environment: request.environment(),
            limit: self.commands.limit,
        };
        let answer = self.run(&run, true)?;
        SnapshotMounts::parse(&answer).map_err(|error| error.to_string())
    }

    fn release(&mut self, request: &SnapshotRequest) -> Result<(), String> {
        let run = CommandRun {
            name: "snapshot-release-command",
            words: &self.commands.release,
            environment: request.environment(),
            limit: self.commands.release_limit(),
        };
        let mut tried = 1;
        loop {
            match self.run(&run, false) {
                Ok(_) => return Ok(()),
                Err(why) if tried >= TRIES => return Err(why),
                Err(_) => tried += 1,
            }
            std::thread::sleep(BETWEEN);
        }
    }

    /// `while_wanted`: it is killed when the other side has gone.
    fn run(&mut self, run: &CommandRun<'_>, while_wanted: bool) -> Result<String, String> {
        let mut said = Vec::new();
        let mut ear = self.wire.handle().and_then(SnapshotWire::new).map_err(|error| error.to_string())?;
        let wire = &mut self.wire;
        let answer = run.run(&mut || !while_wanted || !wire.is_over(), &mut |line| {
            if ear.say(&format!("log {}: {line}", run.name)).is_err() {
                said.push(line.to_owned());
            }
        });
        for line in said {
            log::info!("{}: {line}", run.name);
        }
        answer
    }
}

#[cfg(test)]
#[path = "helper_tests.rs"]
mod tests;
