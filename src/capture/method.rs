//! How data is captured: the methods, and what they have in common.
//!
//! ```text
//! Plan, Output, Host ──> Method::capture ──> Captured (an archive with the server's files, and its identity)
//! ```
//!
//! A method decides when the server stands still and when it runs again; its [`Host`] makes it do so, and does there all that is no
//! matter of the files: a donor waits for its turn before, and watches its cluster. So one method serves every way to
//! quiesce a server, and each way to take a backup has every method.
//!
//! To add a method: one file with its implementation, and its line in [`METHODS`](super::METHODS).

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::copy::Copied;
use super::error::{CaptureError, HostError};
use super::facts::Facts;
use super::files::FileList;
use super::layout::ServerLayout;
use super::login::Login;
use super::plan::Plan;
use super::redo_log::redo_bytes;
use super::tablespaces::Tablespaces;
use super::watch::Watch;
use crate::config::{DumpSettings, Settings};
use crate::model::{Connection, Content, WsrepGtid};
use crate::output::{Archive, BackupIdentity, Captive, Output};
use crate::quiesce::{Files, Quiet, Resumed};
use crate::throttle::Limiter;
use crate::volume_snapshot::SnapshotCommands;

/// A way to capture a server's data.
pub trait Method: Sync {
    /// Its name in `method` and in the manifest.
    fn name(&self) -> &'static str;

    /// What its archive is.
    fn content(&self) -> Content {
        Content::Datadir
    }

    /// Whether it can capture files that are worth so much while they are read.
    fn accepts(&self, files: Files) -> bool;

    /// Whether `auto` may take it for such files.
    fn is_automatic(&self, _: Files) -> bool {
        true
    }

    /// Why `auto` passes it by although it works here: another one does no more harm.
    fn needless(&self, _: &Prospect<'_>) -> Option<String> {
        None
    }

    /// What it would cost here; the text says why it cannot work.
    fn estimate(&self, prospect: &Prospect<'_>) -> Result<Estimate, String>;

    /// Captures the data. On any error the server runs, or will as soon as it can.
    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError>;
}

/// The server as it is before a backup.
#[derive(Debug, Clone, Copy)]
pub struct Prospect<'a> {
    /// Where it keeps its files.
    pub layout: &'a ServerLayout,
    /// Its files.
    pub files: &'a FileList,
    /// `limit-rate`, bytes a second.
    pub rate: Option<NonZeroU64>,
    /// What they can be made worth while they are read.
    pub worth: Files,
    /// The administrator's own snapshot, where there is one to be had.
    pub snapshot: Option<&'a SnapshotCommands>,
    /// Stock `tar` alone is to unpack the archive (`plain-tar`).
    pub is_plain: bool,
    /// The tablespaces that it has in use; the text says why it does not tell.
    pub tablespaces: Result<&'a Tablespaces, &'a str>,
}

impl Prospect<'_> {
    /// Bytes that are read where everything is: without holes and the redo log, of which little is stored.
    pub fn bytes_to_read(&self) -> u64 {
        self.files.stored.saturating_sub(redo_bytes(self.files))
    }
}

/// What is read, compressed and stored in about a second or less while a server stands still, bytes: see doc/methods.md.
pub(super) const READ_IN_A_SECOND: u64 = 256 << 20;
/// For each file of a server that stands still: it is listed, looked at twice, and cloned or read. Seen on XFS and btrfs, rounded up.
pub(super) const PER_FILE: Duration = Duration::from_micros(60);

/// What a method would cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimate {
    /// The server stands still while all its data is read: at least, and at most, for so long where that is known.
    WhileRead {
        /// Holes are not read.
        least: Option<Duration>,
        /// With them.
        most: Option<Duration>,
    },
    /// Beyond its own flush, about so long.
    About(Duration),
    /// Beyond its own flush, while the administrator's own snapshot is taken: so long at most.
    Commanded(Duration),
    /// It is not made to stand still.
    Unfrozen,
}

impl Estimate {
    /// For how long the server is held up at least, to compare methods: mariadb-backup holds it up by itself while it copies definitions. None where
    /// the administrator has a snapshot of their own.
    pub(super) fn standstill(self, prospect: &Prospect<'_>) -> Option<Duration> {
        let files = u32::try_from(prospect.files.entries.len()).unwrap_or(u32::MAX);
        let files = PER_FILE.saturating_mul(files);
        match self {
            Self::WhileRead { least, .. } => {
                let usual = prospect.bytes_to_read().saturating_mul(1000) / READ_IN_A_SECOND;
                Some(files + least.unwrap_or(Duration::from_millis(usual)))
            }
            Self::About(time) => Some(time),
            Self::Commanded(_) => None,
            Self::Unfrozen => Some(files),
        }
    }
}

/// What is asked of a method.
pub struct Task<'a, 't> {
    /// Where the server keeps its files.
    pub layout: &'t ServerLayout,
    /// What is known of it.
    pub facts: &'t mut Facts,
    /// What is to be listed.
    pub plan: Plan,
    /// Where it goes.
    pub output: Output<'a>,
    /// Gives the backup up, and counts the bytes that are read.
    pub watch: &'t Watch,
    /// How fast data may be read.
    pub limiter: &'t Limiter,
    /// Makes the server stand still.
    pub host: &'t mut dyn Host,
    /// How a program is to log in that asks the server itself.
    pub login: Login,
    /// How long such a program may be silent.
    pub stall_timeout: Duration,
    /// Bytes of the files as they were listed before.
    pub expected_bytes: u64,
    /// Whether the server is a node of a cluster, so that what is captured has a position in it.
    pub is_node: bool,
    /// What is to be dumped, where it is.
    pub dump: &'t DumpSettings,
    /// The server as a replica, where nothing is applied meanwhile.
    pub replica: Option<StandingReplica>,
    /// Nobody has asked for the method by its name.
    pub is_automatic: bool,
    /// How `precopy` works.
    pub precopy: PrecopySettings,
    /// The name of the backup, and the administrator's own snapshot, where there is one to be had.
    pub snapshot: (String, Option<SnapshotCommands>),
}

/// How `precopy` works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrecopySettings {
    /// Bytes that may wait until the server runs again (`spool-limit`).
    pub spool_limit: u64,
    /// Stock `tar` alone unpacks the archive (`plain-tar`).
    pub is_plain: bool,
}

impl PrecopySettings {
    /// As they are set.
    pub fn of(settings: &Settings) -> Self {
        Self { spool_limit: settings.spool_limit, is_plain: settings.plain_tar }
    }
}

/// A replica whose SQL threads stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingReplica {
    /// From whom it replicates, and how far it has come.
    pub connections: Vec<Connection>,
    /// `@@gtid_slave_pos`.
    pub slave_pos: Option<String>,
}

/// What a method has captured.
pub struct Captured<'a> {
    /// The server's files are in it; it is to be ended.
    pub archive: Captive<'a>,
    /// At which position, and of what.
    pub identity: BackupIdentity,
    /// The server, which runs again.
    pub resumed: Resumed,
    /// How long another program held up the server, where that was seen.
    pub paused: Option<Duration>,
    /// Files that were there when the list was made and gone when they were to be read.
    pub vanished: u64,
    /// What is to be told of files.
    pub warnings: Vec<String>,
}

impl<'a> Captured<'a> {
    /// The server's files were copied by this program: `copied` says what came of that, `list` what was told of them before.
    pub(super) fn files(
        archive: Archive<'a>,
        identity: BackupIdentity,
        resumed: Resumed,
        list: FileList,
        copied: Copied,
    ) -> Self {
        let mut warnings = list.warnings;
        warnings.extend(copied.warnings);
        let archive = Captive::Files(archive);
        Self { archive, identity, resumed, paused: None, vanished: copied.vanished, warnings }
    }
}

/// Hears how much a method is about to read.
pub trait CaptureListener {
    /// So many bytes, while the server stands still, or from what was made of it then.
    fn total(&self, bytes: u64);

    /// So many bytes from a server that is not made to stand still.
    fn reads(&self, bytes: u64);

    /// So many bytes ahead of the moment in which the server stands still.
    fn ahead(&self, bytes: u64);
}

/// The caller that takes the backup: it lends the method its server.
pub trait Host {
    /// Waits until nothing is seen that [`Host::quiesce`] would wait for: a method that has read everything ahead still has the time to read what changes meanwhile.
    fn clear_way(&mut self) -> Result<(), HostError> {
        Ok(())
    }

    /// Makes the server stand still.
    fn quiesce(&mut self) -> Result<Box<dyn Quiet>, HostError>;

    /// Who hears how much is to be read.
    fn listener(&self) -> &dyn CaptureListener;

    /// Another program has held up the server since this moment: the limits of a freeze hold until [`Watch::lift_limit`].
    fn holds_up(&mut self, since: Instant) -> Result<(), HostError>;

    /// The server was not made to stand still, and the data is there at this position, where it has one in a cluster; in the place
    /// of [`Host::quiesce`] and [`Host::resume`].
    fn pass(&mut self, gtid: Option<&WsrepGtid>) -> Result<Resumed, HostError>;

    /// Whether the server can be made to stand still once more when it runs again.
    fn may_quiesce_again(&self) -> bool {
        false
    }

    /// Lets the server run again; fails where another thread has let it run before, so that its files may have changed.
    fn resume(&mut self, quiet: Box<dyn Quiet>) -> Result<Resumed, HostError>;
}
