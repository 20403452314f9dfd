//! The connection to whoever runs the commands. What is dropped gives the snapshot back.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::commands::SnapshotCommands;
use super::error::SnapshotError;
use super::helper::HELPER_COMMAND;
use super::mounts::SnapshotMounts;
use super::request::SnapshotRequest;
use super::wire::{Incoming, SnapshotWire};

/// How much longer than its command a helper may take.
const SLACK: Duration = Duration::from_secs(10);
/// How long a child may take to end when its connection has.
const LAST: Duration = Duration::from_secs(2);
/// Where root notes what there may be.
const ROOTS_NOTES: &str = "/run/wsrep_sst_backup";

/// Who runs the commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Whoever is behind this socket.
    Socket(PathBuf),
    /// A child of this process, with this user's rights; it notes in this folder what there may be.
    Child(PathBuf),
}

impl Reach {
    /// The socket where there is one.
    pub fn of(commands: &SnapshotCommands, datadir: &Path, socket: Option<&Path>) -> Self {
        if commands.has_socket() {
            return Self::Socket(commands.socket.clone());
        }
        let beside = socket.and_then(Path::parent).filter(|folder| folder.is_absolute() && folder.is_dir());
        let is_root = nix::unistd::geteuid().is_root();
        Self::Child(if is_root { Self::roots_notes() } else { beside.unwrap_or(datadir).to_owned() })
    }

    /// Where root notes what there may be.
    pub fn roots_notes() -> PathBuf {
        ROOTS_NOTES.into()
    }

    fn connect(&self, commands: &SnapshotCommands) -> io::Result<(UnixStream, Option<Child>)> {
        let notes = match self {
            Self::Socket(path) => return Ok((UnixStream::connect(path)?, None)),
            Self::Child(notes) => notes,
        };
        let (own, other) = UnixStream::pair()?;
        // It outlives this process, for as long as it takes to give the snapshot back, and takes no signals of this one's terminal.
        let child = Command::new("/proc/self/exe")
            .arg0("wsrep_sst_backup")
            .arg(HELPER_COMMAND)
            .arg(format!("--take={}", commands.take))
            .arg(format!("--release={}", commands.release))
            .arg(format!("--limit={}", commands.limit.as_secs()))
            .arg("--notes")
            .arg(notes)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok((own, Some(child)))
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "the socket '{}' (snapshot-socket)", path.display()),
            Self::Child(_) => f.write_str("the child of this program that runs snapshot-command"),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    /// There is no snapshot.
    Idle,
    /// There may be one: it was asked for.
    Asked,
    /// There is one.
    Held,
}

/// A connection. While it is open there may be a snapshot.
#[derive(Debug)]
pub struct SnapshotLink {
    wire: SnapshotWire,
    child: Option<Child>,
    reach: Reach,
    commands: SnapshotCommands,
    request: SnapshotRequest,
    state: LinkState,
    /// A snapshot that an earlier backup had left, and that was given back now.
    pub left: Option<String>,
}

impl SnapshotLink {
    /// Connects, and has given back what an earlier backup of this data directory may have left. Before the server stands still: that may take its time.
    pub fn open(
        reach: Reach,
        commands: &SnapshotCommands,
        datadir: &Path,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Self, SnapshotError> {
        let failed =
            |cause: io::Error| SnapshotError::Helper { who: reach.to_string(), cause: cause.to_string() };
        let (stream, child) = reach.connect(commands).map_err(failed)?;
        let mut wire = SnapshotWire::new(stream).map_err(failed)?;
        wire.say(&format!("datadir {}", datadir.display())).map_err(failed)?;
        let request = SnapshotRequest { datadir: datadir.to_owned(), ..SnapshotRequest::default() };
        let commands = commands.clone();
        let limit = commands.release_limit() * 2 + SLACK;
        let mut link = Self { wire, child, reach, commands, request, state: LinkState::Idle, left: None };
        loop {
            match link.answer(limit, goes_on)? {
                (word, _) if word == "ready" => return Ok(link),
                (word, name) if word == "left" => {
                    log::warn!("the snapshot '{name}' of an earlier backup, which was killed, is removed");
                    link.left = Some(name);
                }
                (word, why) if word == "failed" => return Err(SnapshotError::Command(why)),
                (word, _) => return Err(link.odd(&word)),
            }
        }
    }

    /// Has the snapshot taken; `goes_on` is asked all the time. Whatever comes of it, it is given back when this value is.
    pub fn take(
        &mut self,
        request: SnapshotRequest,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<SnapshotMounts, SnapshotError> {
        if let Some(why) = request.objection() {
            return Err(SnapshotError::Command(why));
        }
        self.state = LinkState::Asked;
        for line in request.lines() {
            self.wire.say(&line).map_err(|error| self.gone(&error.to_string()))?;
        }
        self.request = request;
        let mut mounts = String::new();
        loop {
            match self.answer(self.commands.limit + SLACK, goes_on)? {
                (word, line) if word == "mount" => mounts.push_str(&format!("{line}\n")),
                (word, _) if word == "taken" => {
                    self.state = LinkState::Held;
                    return SnapshotMounts::parse(&mounts);
                }
                (word, why) if word == "failed" => return Err(SnapshotError::Command(why)),
                (word, _) => return Err(self.odd(&word)),
            }
        }
    }

    /// Has it given back; an error where it may be left.
    pub fn release(mut self) -> Result<(), SnapshotError> {
        self.end()
    }

    /// Another handle, by which it is given back at once, also while this one is in use: what is read of it then fails.
    pub fn let_go(&self) -> io::Result<impl Fn() + Send + 'static> {
        let stream = self.wire.handle()?;
        Ok(move || _ = stream.shutdown(Shutdown::Both))
    }

    fn end(&mut self) -> Result<(), SnapshotError> {
        let state = std::mem::replace(&mut self.state, LinkState::Idle);
        if state == LinkState::Held {
            // Where this does not arrive the helper is gone, or hears the end.
            let _ = self.wire.say(&format!("release {}", self.request.name));
        }
        self.wire.close();
        if state == LinkState::Idle {
            return Ok(());
        }
        let limit = self.commands.release_limit() * 2 + SLACK;
        loop {
            match self.answer(limit, &mut || true) {
                Ok((word, _)) if word == "released" => return Ok(()),
                Ok((word, why)) if word == "kept" => return Err(SnapshotError::Command(why)),
                // What it said before it heard the end.
                Ok(_) => {}
                Err(error) => {
                    let text = format!(
                        "whether the snapshot '{}' is removed is not known ({error}); the next backup, and 'check', look for it",
                        self.request.name
                    );
                    return Err(SnapshotError::Command(text));
                }
            }
        }
    }

    /// The next word, and what follows it. What it has to tell is told.
    fn answer(
        &mut self,
        limit: Duration,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(String, String), SnapshotError> {
        let begun = Instant::now();
        let mut is_over = false;
        loop {
            let mut waits = || {
                is_over = begun.elapsed() >= limit;
                !is_over && goes_on()
            };
            let line = match self.wire.hear(&mut waits) {
                Ok(Incoming::Line(line)) => line,
                Ok(Incoming::End) => return Err(self.gone("it has closed the connection")),
                Ok(Incoming::Nothing) if is_over => {
                    return Err(self.gone(&format!("it has not answered within {} s", limit.as_secs())));
                }
                Ok(Incoming::Nothing) => return Err(SnapshotError::GivenUp),
                Err(error) => return Err(self.gone(&error.to_string())),
            };
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if word != "log" {
                return Ok((word.to_owned(), rest.to_owned()));
            }
            log::info!("{rest}");
        }
    }

    fn gone(&self, cause: &str) -> SnapshotError {
        SnapshotError::Helper { who: self.reach.to_string(), cause: cause.to_owned() }
    }

    fn odd(&self, word: &str) -> SnapshotError {
        self.gone(&format!("it answers '{}', which is not understood", word.escape_debug()))
    }
}

impl Drop for SnapshotLink {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::warn!("{error}");
        }
        let Some(child) = &mut self.child else { return };
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < LAST {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
