//! The method `mariadb-backup`: MariaDB's own program reads the server while it runs, and its stream is stored as it comes.
//!
//! ```text
//! mariadb-backup ── stdout, xbstream ──> XbstreamScanner (position, checksums) ──> blocks
//!        └───────── stderr ────────────> Heard (its pause, "completed OK!")
//! ```
//!
//! Nothing is quiesced: the program holds up the server by itself for a moment at its end (`BACKUP STAGE BLOCK_DDL` to `BACKUP STAGE
//! END`, in which it has the provider paused), and writes down the position that it has there. That is the position of the
//! backup; the stream must be prepared before a server can start on it. Three things make a backup of it: the program's exit status, its
//! last words, and a stream that is whole.

mod binlog;
mod checkpoints;
mod heard;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::error::CaptureError;
use super::facts::Facts;
use super::identify::server;
use super::layout::ServerLayout;
use super::method::{Captured, Estimate, Host, Method, Prospect, StandingReplica, Task};
use super::watch::Watch;
use crate::archive::{ArchiveError, XbstreamContent, XbstreamError, XbstreamScanner};
use crate::child::{self, Leashed};
use crate::model::{Content, FilesState, MariadbGtid, Owner, WsrepGtid};
use crate::output::{BackupIdentity, Captive, StreamArchive};
use crate::quiesce::Files;
use crate::throttle::Limiter;
use crate::tool::{MariadbTool, ToolKind};
use crate::users::{group_name, user_name};
use heard::{Heard, Listener};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Between two looks at what the program says, and whether the backup is still wanted.
const LOOK: u16 = 50;

/// MariaDB's own program.
pub(super) struct BackupProgram;

impl Method for BackupProgram {
    fn name(&self) -> &'static str {
        "mariadb-backup"
    }

    fn content(&self) -> Content {
        Content::Xbstream
    }

    fn accepts(&self, _: Files) -> bool {
        true
    }

    /// Where the server can stand still for a copy, that copy is the better backup: nothing is to be prepared.
    fn is_automatic(&self, files: Files) -> bool {
        files == Files::Changing
    }

    fn estimate(&self, prospect: &Prospect<'_>) -> Result<Estimate, String> {
        if let Some((variable, root)) =
            prospect.layout.external_roots().find(|(variable, _)| !variable.starts_with("log_bin"))
        {
            return Err(format!(
                "{variable} is '{}', outside the data directory, and what it leaves behind does not say where its files were: \
                 take another method",
                root.display()
            ));
        }
        let tool = MariadbTool::find(ToolKind::Backup)?;
        tool.objection(prospect.layout.version.as_deref()).map_or(Ok(Estimate::Unfrozen), Err)
    }

    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError> {
        let Task {
            layout,
            facts,
            plan,
            output,
            watch,
            limiter,
            host,
            login,
            stall_timeout,
            expected_bytes,
            is_node,
            replica,
            ..
        } = task;
        facts.warnings.extend(plan.engines.by_mariadb_backup(&layout.datadir));
        let program = MariadbTool::find(ToolKind::Backup).map_err(CaptureError::Program)?;
        host.listener().reads(expected_bytes);
        let archive = output.begin_stream()?;
        let (child, heard) = start(&program, &login.option_file("mariabackup")?)?;
        let run = ProgramRun { watch, limiter, stall_timeout, heard, host };
        let (mut archive, content, heard) = run.all(child, archive)?;
        archive.holds(content.files);
        let gtid = position(&content, is_node)?;
        let resumed = host.pass(gtid.as_ref())?;
        let paused = heard.paused();
        tell(paused, gtid.as_ref(), facts);
        let innodb_lsn = if is_node { None } else { checkpoints::to_lsn(&content) };
        let positions = binlog::positions(&content, &login, &mut facts.warnings);
        let identity = identify(gtid, (positions, replica), &heard, facts, layout);
        let identity = BackupIdentity { innodb_lsn, ..identity };
        Ok(Captured {
            archive: Captive::Stream(archive),
            identity,
            resumed,
            paused,
            vanished: 0,
            warnings: Vec::new(),
        })
    }
}

/// Starts the program. What it needs to log in stands in a file without a name, which is its stdin: nothing of it is in its
/// arguments or its environment, and nothing stays behind.
fn start(program: &MariadbTool, options: &fs::File) -> Result<(Leashed, Listener), CaptureError> {
    let failed = |error: std::io::Error| {
        CaptureError::Program(format!("cannot start '{}': {error}", program.program.display()))
    };
    log::info!("'{}' ({}) reads the server", program.program.display(), program.version);
    raise_open_files();
    let folder = std::env::temp_dir();
    let target = format!("--target-dir={}", folder.display());
    let args = [
        "--defaults-file=/proc/self/fd/0",
        "--backup",
        "--stream=xbstream",
        "--galera-info",
        target.as_str(),
    ];
    let mut command = child::command(&program.program, args);
    command.stdin(options.try_clone().map_err(failed)?).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Leashed(command.current_dir("/").spawn().map_err(failed)?);
    let stderr = child.0.stderr.take().ok_or_else(|| failed(std::io::Error::other("it has no stderr")))?;
    Ok((child, Listener::start(stderr).map_err(failed)?))
}

/// The program opens every tablespace, and has the limit for that from this process: a shell's is 1,024.
fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where that is refused the program says so itself.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The program while it runs.
struct ProgramRun<'t> {
    watch: &'t Watch,
    limiter: &'t Limiter,
    stall_timeout: Duration,
    heard: Listener,
    host: &'t mut dyn Host,
}

impl ProgramRun<'_> {
    /// Stores the whole stream, and waits for the program's end. On any error it is ended, and with it its pause.
    fn all(
        mut self,
        mut child: Leashed,
        mut archive: StreamArchive<'_>,
    ) -> Result<(StreamArchive<'_>, XbstreamContent, Heard), CaptureError> {
        let mut scanner = XbstreamScanner::default();
        if let Some(stream) = child.0.stdout.take() {
            self.copy(stream, &mut scanner, &mut archive)?;
        }
        let Self { watch, stall_timeout, heard, .. } = self;
        let status = child
            .wait(|waited| watch.aborted().is_none() && waited < stall_timeout)
            .map_err(|error| CaptureError::Program(format!("cannot wait for mariadb-backup: {error}")))?;
        drop(child);
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        let heard = heard.finish();
        watch.lift_limit();
        match status {
            None => return Err(silent(stall_timeout, &heard)),
            Some(status) if !status.success() => {
                return Err(heard.failure(&format!("mariadb-backup has failed ({status})")));
            }
            Some(_) if !heard.is_completed => {
                return Err(heard.failure("mariadb-backup has ended without its 'completed OK!'"));
            }
            Some(_) => {}
        }
        let content = scanner.finish().map_err(|error| not_whole(&error))?;
        Ok((archive, content, heard))
    }

    /// Reads until the program closes its stdout.
    fn copy(
        &mut self,
        mut stream: ChildStdout,
        scanner: &mut XbstreamScanner,
        archive: &mut StreamArchive<'_>,
    ) -> Result<(), CaptureError> {
        let mut chunk = vec![0; CHUNK];
        let mut read_last = Instant::now();
        let mut pause_is_told = false;
        loop {
            if let Some(abort) = self.watch.aborted() {
                return Err(abort.into());
            }
            let (paused, spoke) = self.heard.now();
            if let (Some(since), false) = (paused, pause_is_told) {
                self.host.holds_up(since)?;
                pause_is_told = true;
            }
            if !is_readable(&stream)? {
                // Its pause has a limit of its own, and before it the program waits for nobody.
                let silence = read_last.max(spoke).elapsed();
                if paused.is_none() && silence >= self.stall_timeout {
                    return Err(silent(self.stall_timeout, &self.heard.so_far()));
                }
                continue;
            }
            let count = stream.read(&mut chunk).map_err(|error| {
                CaptureError::Program(format!("cannot read what mariadb-backup writes: {error}"))
            })?;
            if count == 0 {
                return Ok(());
            }
            read_last = Instant::now();
            let bytes = &chunk[..count];
            scanner.take(bytes).map_err(|error| not_whole(&error))?;
            let stored = self.watch.read(count as u64).and_then(|()| archive.write_all(bytes));
            stored.map_err(|cause| match self.watch.aborted() {
                Some(abort) => abort.into(),
                None => CaptureError::from(ArchiveError::Write(cause)),
            })?;
            // While the server is held up nothing slows the program down.
            if paused.is_none() {
                self.limiter.take(count as u64);
            }
        }
    }
}

fn is_readable(stream: &ChildStdout) -> Result<bool, CaptureError> {
    match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], PollTimeout::from(LOOK)) {
        Ok(ready) => Ok(ready > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(errno) => {
            Err(CaptureError::Program(format!("cannot wait for what mariadb-backup writes: {errno}")))
        }
    }
}

fn not_whole(error: &XbstreamError) -> CaptureError {
    CaptureError::Program(format!("the stream of mariadb-backup is not whole: {error}"))
}

fn silent(limit: Duration, heard: &Heard) -> CaptureError {
    heard.failure(&format!(
        "mariadb-backup has neither written nor said anything for {} s (stall-timeout), and was ended",
        limit.as_secs()
    ))
}

/// The position that the program has written down under its own lock. Its last file proves that nothing is missing at the end.
/// A server that is no node has none.
fn position(content: &XbstreamContent, is_node: bool) -> Result<Option<WsrepGtid>, CaptureError> {
    let missing = |name: &str| {
        CaptureError::Program(format!("the stream of mariadb-backup is not whole: {name} is not in it"))
    };
    content.told("info").ok_or_else(|| missing("xtrabackup_info (mariadb_backup_info)"))?;
    if !is_node {
        return Ok(None);
    }
    let told = content.told("galera_info").ok_or_else(|| {
        missing("xtrabackup_galera_info (mariadb_backup_galera_info), which tells its position,")
    })?;
    let text = String::from_utf8_lossy(told);
    text.trim().parse().map(Some).map_err(|error| {
        CaptureError::Program(format!("mariadb-backup tells '{}' as its position: {error}", text.trim()))
    })
}

fn tell(paused: Option<Duration>, gtid: Option<&WsrepGtid>, facts: &mut Facts) {
    match paused {
        Some(time) => {
            let at = gtid.map_or_else(String::new, |gtid| format!(", at {gtid}"));
            log::info!("mariadb-backup held up the server for {} ms{at}", time.as_millis());
        }
        None => facts.warnings.push(
            "how long mariadb-backup held up the server is not known: its words are not those of a version that is known here"
                .into(),
        ),
    }
}

/// Whose its files are: that of a log file that every server has, where that can be seen. The folder itself may be of another group.
fn owner(layout: &ServerLayout) -> Option<Owner> {
    let one = layout.datadir.join("aria_log_control");
    let data = fs::metadata(one).or_else(|_| fs::metadata(&layout.datadir)).ok()?;
    Some(Owner {
        uid: data.uid(),
        gid: data.gid(),
        user: user_name(data.uid()),
        group: group_name(data.gid()),
    })
}

fn identify(
    gtid: Option<WsrepGtid>,
    (positions, replica): (MariadbGtid, Option<StandingReplica>),
    heard: &Heard,
    facts: &mut Facts,
    layout: &ServerLayout,
) -> BackupIdentity {
    let mut server = server(layout, facts);
    server.owner = owner(layout);
    let frozen_at = heard.resumed_at.unwrap_or_else(Timestamp::now);
    let slave_pos = replica.as_ref().and_then(|replica| replica.slave_pos.clone());
    let mariadb_gtid = MariadbGtid { slave_pos, ..positions };
    let replication = match replica {
        Some(replica) => Some(replica.connections),
        None => facts.no_replication(),
    };
    BackupIdentity {
        gtid,
        files: FilesState::Clean,
        frozen_at,
        flush_time: Duration::ZERO,
        mariadb_gtid,
        innodb_lsn: None,
        replication,
        server,
        dump: None,
    }
}
