//! A data directory from a backup by mariadb-backup: its stream is unpacked by `mbstream` and prepared by `mariadb-backup
//! --prepare`, aside; what comes of it is held against the manifest, and only then becomes a data directory.
//!
//! Both programs work in a folder below the target that they cannot leave by its name: it is their working directory. Where this
//! process is root they are run as the owner of the data, so that a stream that somebody has made up writes nowhere else; and
//! its paths are looked at before `mbstream` sees them.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::Ordering;

use super::archive_stream::open_stream;
use super::destinations::Destinations;
use super::error::{RestoreError, SystemError, Undone};
use super::feed::{Fed, Feed};
use super::frame::{begin, check_rest, write_state};
use super::request::{Control, RestoreRequest};
use super::restored::Restored;
use super::stage::StagingFolder;
use super::stand_in::stand_in;
use super::start_file::StartFileGuard;
use super::target_lock::TargetLock;
use super::undo_log::UndoLog;
use super::{accounts, old_datadir, options, target, wsrep_home};
use crate::archive::{StreamReader, XbstreamContent, XbstreamScanner};
use crate::catalog::BackupReader;
use crate::child::{self, LastWords, Leashed};
use crate::model::{Manifest, WsrepGtid};
use crate::tool::{MariadbTool, ToolKind};

/// Bytes handed on at once.
const CHUNK: usize = 256 << 10;
/// Lines of a program that has failed.
const WORDS: usize = 12;
/// Largest file that tells a position, bytes.
const SMALL: u64 = 4 << 10;
/// Its last words when all went well.
const COMPLETED: &str = "completed OK!";
/// Where `mariadb-backup` (11.1 and later; before) writes the position that it has found.
const POSITIONS: [&str; 2] = ["mariadb_backup_galera_info", "xtrabackup_galera_info"];

/// Where it writes what it has made of the files (`write_metadata` in `xtrabackup.cc`).
const CHECKPOINTS: [&str; 2] = ["mariadb_backup_checkpoints", "xtrabackup_checkpoints"];

/// Its word there for files that are prepared; before it is another one.
const PREPARED: &str = "log-applied";

/// The programs, which are those of the server's own series.
struct Tools {
    backup: PathBuf,
    mbstream: PathBuf,
}

impl Tools {
    fn find(manifest: &Manifest) -> Result<Self, RestoreError> {
        let refused = |why: String| {
            RestoreError::Refused(format!(
                "backup '{}' needs mariadb-backup to be restored: {why}",
                manifest.id
            ))
        };
        let found = MariadbTool::find(ToolKind::Backup).map_err(refused)?;
        if let Some(why) = found.objection(manifest.server.version.as_deref()) {
            return Err(refused(why));
        }
        let mbstream = found.program.with_file_name("mbstream");
        if !mbstream.is_file() {
            return Err(refused(format!(
                "'{}' is not there; it comes with mariadb-backup and unpacks the stream",
                mbstream.display()
            )));
        }
        Ok(Self { backup: found.program, mbstream })
    }
}

/// Restores it.
pub(super) fn restore(
    source: &BackupReader,
    request: &RestoreRequest,
    control: &Control<'_>,
) -> Result<Restored, RestoreError> {
    let manifest = source.manifest();
    let tools = Tools::find(manifest)?;
    let index = source.index()?;
    let stream = open_stream(source, &index, index.plan(), request.threads)?;
    let expected = stand_in(manifest, &index);
    let places = Destinations::new(Path::new(&manifest.server.datadir), &expected, request)?;
    target::check_writable(places.external_roots().iter().map(AsRef::as_ref).chain([places.target()]))?;
    refuse_root(&places)?;
    old_datadir::refuse(&places)?;
    wsrep_home::check(request, manifest, &places)?;
    let lock = TargetLock::take(places.target())?;
    target::check(&places, &expected, &source.location())?;
    if let Some(stranger) = places.stranger() {
        log::warn!("{stranger}");
    }
    let mut created = UndoLog::below(vec![places.target().to_path_buf()]);
    let begun = begin(&places, lock, &mut created);
    let work = Preparation { source, request, places: &places, tools: &tools, control };
    begun.and_then(|_lock| work.fill(stream, &mut created)).map_err(|error| error.undo(&mut created))
}

/// `mariadb-backup --prepare` does what stands in the files of the backup, and so never runs as root.
fn refuse_root(places: &Destinations) -> Result<(), RestoreError> {
    if !places.owner().is_some_and(|(uid, gid)| uid == 0 || gid == 0) {
        return Ok(());
    }
    Err(RestoreError::Refused(
        "by its manifest the files of this backup belong to root, and mariadb-backup, which does what stands in them, is not run as root: \
         restore it as the server's user (runuser -u mysql -- wsrep_sst_backup restore …)"
            .into(),
    ))
}

struct Preparation<'a> {
    source: &'a BackupReader,
    request: &'a RestoreRequest,
    places: &'a Destinations,
    tools: &'a Tools,
    control: &'a Control<'a>,
}

impl Preparation<'_> {
    fn fill(&self, stream: StreamReader, created: &mut UndoLog) -> Result<Restored, RestoreError> {
        let Self { source, request, places, .. } = *self;
        let manifest = source.manifest();
        let guard = StartFileGuard::hide(created, places)?;
        let stage = StagingFolder::make(created, places)?;
        let content = self.unpack(stream, &stage)?;
        self.check_unpacked(&content, &stage)?;
        self.check_inside(&stage)?;
        // What the program has written down at the backup; what it finds in the files is to be written anew.
        for name in POSITIONS {
            stage.remove(name)?;
        }
        self.prepare(&stage)?;
        self.check_position(&stage)?;
        stage.remove_what_is_about_the_backup()?;
        stage.sync()?;
        let start = places.start_file().unwrap_or(places.target());
        let binlogs = stage.binlogs(manifest.server.options.get("log_bin_basename").map(String::as_str))?;
        if !stage.become_datadir(created, places, start, &guard.hidden_place(start))? {
            return Err(
                self.damaged(format!("it holds no '{}', without which no server starts", start.display()))
            );
        }
        if let Some((name, text)) = binlogs {
            created.file_of_ours(&places.target().join(name), text.as_bytes(), places.owner())?;
        }
        let sst_accounts = accounts::sst_accounts(places.target());
        write_state(manifest, request, places, created)?;
        created.sync()?;
        guard.publish(created)?;
        Ok(Restored {
            datadir: places.target().to_path_buf(),
            files: content.files,
            bytes: content.bytes,
            external: places.external_roots(),
            links_left: Vec::new(),
            needed: options::needed(&manifest.server, places),
            sst_accounts,
            owner_kept: places.owner_kept(),
            tables: None,
            stranger: places.stranger(),
        })
    }

    /// Feeds `mbstream`, and sees that the object is the one that the manifest names.
    fn unpack(
        &self,
        mut stream: StreamReader,
        stage: &StagingFolder,
    ) -> Result<XbstreamContent, RestoreError> {
        let Self { source, control, .. } = *self;
        let (mut child, words) = self.start(stage, &self.tools.mbstream, &["-x"])?;
        let mut scanner = XbstreamScanner::default();
        let mut chunk = vec![0; CHUNK];
        let fed = SystemError::of("write to", &self.tools.mbstream);
        let input = child.0.stdin.take().ok_or_else(|| fed(io::Error::other("it has no stdin")))?;
        let mut input = Feed::new(input).map_err(&fed)?;
        let mut is_closed = false;
        while !is_closed {
            self.go_on()?;
            (control.progress)(stream.position());
            let count = match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(self.damaged(error.to_string()));
                }
                Err(cause) => {
                    return Err(RestoreError::Read(source.archive_failed(cause), Undone::default()));
                }
            };
            scanner.take(&chunk[..count]).map_err(|error| self.damaged(error.to_string()))?;
            match input.write(&chunk[..count], || self.go_on().is_ok()).map_err(&fed)? {
                Fed::All => {}
                Fed::Closed => is_closed = true,
                Fed::GivenUp => return Err(RestoreError::interrupted()),
            }
            control.limiter.take(count as u64);
        }
        drop(input);
        let status = self.wait(&mut child, &self.tools.mbstream)?;
        let said = words.finish();
        if !status.success() {
            return Err(failed(&self.tools.mbstream, &status.to_string(), &said));
        }
        if is_closed {
            return Err(failed(&self.tools.mbstream, "it has not read its whole input", &said));
        }
        check_rest(stream, source, control)?;
        let content = scanner.finish().map_err(|error| self.damaged(error.to_string()))?;
        let told = content.told("galera_info").map(|text| String::from_utf8_lossy(text).trim().to_owned());
        self.compare(told, "its galera_info says")?;
        Ok(content)
    }

    /// What `mbstream` has been given is there: what it has left out nothing behind it would miss.
    fn check_unpacked(&self, content: &XbstreamContent, stage: &StagingFolder) -> Result<(), RestoreError> {
        let (files, bytes) = stage.measure()?;
        if files == content.files && bytes >= content.bytes {
            return Ok(());
        }
        let how = format!(
            "it has ended with success, and of the {} files with {} bytes in the stream {files} files with {bytes} bytes are there",
            content.files, content.bytes
        );
        Err(failed(&self.tools.mbstream, &how, &[]))
    }

    /// Nothing in the stream leads out of the folder.
    fn check_inside(&self, stage: &StagingFolder) -> Result<(), RestoreError> {
        match stage.leads_out()? {
            None => Ok(()),
            Some(how) => Err(self.damaged(format!(
                "{how}, outside of the data directory: mariadb-backup would go there when it prepares it"
            ))),
        }
    }

    fn prepare(&self, stage: &StagingFolder) -> Result<(), RestoreError> {
        let tool = &self.tools.backup;
        let (mut child, words) =
            self.start(stage, tool, &["--no-defaults", "--prepare", "--target-dir=."])?;
        drop(child.0.stdin.take());
        let status = self.wait(&mut child, tool)?;
        let said = words.finish();
        if !status.success() {
            return Err(failed(tool, &status.to_string(), &said));
        }
        if !said.last().is_some_and(|line| line.ends_with(COMPLETED)) {
            return Err(failed(tool, "it has ended without its 'completed OK!'", &said));
        }
        let state = CHECKPOINTS.iter().find_map(|name| stage.read(name, SMALL)).unwrap_or_default();
        if !state.lines().any(|line| line.split('=').map(str::trim).eq(["backup_type", PREPARED])) {
            return Err(failed(tool, "it has not written down that the files are prepared", &said));
        }
        Ok(())
    }

    /// The position that InnoDB has found in its files, which is what the server will find.
    fn check_position(&self, stage: &StagingFolder) -> Result<(), RestoreError> {
        let found = POSITIONS.iter().find_map(|name| stage.read(name, SMALL));
        self.compare(found.map(|text| text.trim().to_owned()), "prepared, its files stand at")
    }

    fn compare(&self, told: Option<String>, what: &str) -> Result<(), RestoreError> {
        // A server that is no node may have been one before, and its files still tell of that.
        let Some(wanted) = &self.source.manifest().gtid else { return Ok(()) };
        let is_same = |gtid: WsrepGtid| gtid.uuid == wanted.uuid && gtid.seqno == wanted.seqno;
        match told {
            Some(text) if text.parse().is_ok_and(is_same) => Ok(()),
            told => Err(self.damaged(format!(
                "{what} '{}', the manifest says {}",
                told.unwrap_or_else(|| "nothing".into()),
                wanted.position()
            ))),
        }
    }

    fn start(
        &self,
        stage: &StagingFolder,
        tool: &Path,
        args: &[&str],
    ) -> Result<(Leashed, LastWords), RestoreError> {
        let failed = SystemError::of("start", tool);
        let mut command = child::command(tool, args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // By its handle, so that nobody can put another folder into its place.
        command.current_dir(format!("/proc/self/fd/{}", stage.handle().as_raw_fd()));
        if let Some((uid, gid)) = self.places.owner() {
            // The stream decides what these programs do; of this process they get nothing but where programs are.
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
            command.uid(uid).gid(gid);
        }
        let mut child = Leashed(command.spawn().map_err(&failed)?);
        let stderr = child.0.stderr.take().ok_or_else(|| failed(io::Error::other("it has no stderr")))?;
        Ok((child, LastWords::of(stderr, WORDS).map_err(&failed)?))
    }

    fn wait(&self, child: &mut Leashed, tool: &Path) -> Result<ExitStatus, RestoreError> {
        let interrupted = self.control.interrupted;
        let status = child.wait(|_| !interrupted.load(Ordering::Relaxed));
        status.map_err(SystemError::of("wait for", tool))?.ok_or_else(RestoreError::interrupted)
    }

    fn go_on(&self) -> Result<(), RestoreError> {
        if self.control.interrupted.load(Ordering::Relaxed) {
            Err(RestoreError::interrupted())
        } else {
            Ok(())
        }
    }

    fn damaged(&self, what: String) -> RestoreError {
        let Manifest { id, archive, .. } = self.source.manifest();
        RestoreError::Damaged {
            id: id.to_string(),
            path: archive.name.clone(),
            what,
            undone: Undone::default(),
        }
    }
}

fn failed(tool: &Path, how: &str, said: &[String]) -> RestoreError {
    let words = if said.is_empty() { "it has said nothing".into() } else { said.join(" | ") };
    let what = format!("'{}' has failed ({how}): {words}", tool.display());
    RestoreError::Program { what, undone: Undone::default() }
}
