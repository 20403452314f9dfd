//! What a drilled server has beside its data: options, socket, log and temporary files, in a folder that only its user enters.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::error::DrillError;
use super::local::LocalOptions;
use super::scratch::ScratchFolder;
use crate::restore::{PLUGIN_LOAD, engine_libraries};
use crate::sql::{Endpoint, option_value};

/// Bytes that the name of a socket may have (`sun_path` of Linux, with its zero).
const SOCKET: usize = 107;
/// The name of its socket: of the few bytes it takes one.
const SOCKET_NAME: &str = "s";
/// The end of a log that is looked at, bytes.
const LOG_END: u64 = 64 << 10;
/// Bytes of it that are read at once.
const PIECE: usize = 16 << 10;
/// Its lines that are told.
const LINES: usize = 3;

/// Options that hold whatever the files need: nothing of the server is reached or runs by itself. `loose` where not every server knows them.
const ALWAYS: [&str; 15] = [
    "skip_networking",
    "skip_slave_start",
    "event_scheduler = OFF",
    "local_infile = OFF",
    "loose_wsrep_on = OFF",
    "loose_wsrep_provider = none",
    // What is broken is to be told, not mended.
    "aria_recover_options = OFF",
    "myisam_recover_options = OFF",
    "loose_innodb_buffer_pool_load_at_startup = OFF",
    "loose_innodb_buffer_pool_dump_at_shutdown = OFF",
    "loose_performance_schema = OFF",
    "loose_feedback = OFF",
    "general_log = OFF",
    "slow_query_log = OFF",
    // The longest that there is: a dump may have any statement.
    "max_allowed_packet = 1G",
];

/// The folder of one server.
#[derive(Debug)]
pub(super) struct ServerHome {
    folder: PathBuf,
    pub(super) datadir: PathBuf,
    /// User and group that the server runs as, where this process is root.
    pub(super) owner: Option<(u32, u32)>,
    /// Opened once: what the server's user puts in its place is neither read nor written.
    log: File,
    /// The lock of the scratch folder, which it is in.
    lock: File,
}

/// Whether a server asks who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccountUse {
    /// Accounts are made by statements.
    Known,
    /// Whatever accounts the files have, everybody who reaches the socket may do everything. Such a server reads neither `mysql.plugin` nor
    /// `mysql.event`: no plugin, event and no trigger at startup is run that nobody has asked for.
    Ignored,
}

impl ServerHome {
    /// Makes it for a server on these files. It is this process's own until [`Self::write_options`] gives it to the server's user, so that
    /// nobody else puts a link where this one writes.
    pub(super) fn make(
        scratch: &ScratchFolder,
        name: &str,
        datadir: PathBuf,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, DrillError> {
        let folder = scratch.join(name);
        let socket = folder.join(SOCKET_NAME);
        if socket.as_os_str().len() > SOCKET {
            return Err(DrillError::Undone(format!(
                "'{}' is too long for the name of a socket: name a place with a shorter one (--scratch DIR)",
                socket.display()
            )));
        }
        make_folder(&folder, None)?;
        let log = new_file(&folder.join("error.log"))?;
        let home = Self { folder, datadir, owner, log, lock: scratch.share_lock()? };
        make_folder(&home.temporary(), owner)?;
        Ok(home)
    }

    /// Its working directory.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn options(&self) -> PathBuf {
        self.folder.join("my.cnf")
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::Socket(self.socket())
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET_NAME)
    }

    fn temporary(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// Writes the option file, which may hold the password of keys, and gives the folder to the server's user.
    pub(super) fn write_options(
        &self,
        needed: &BTreeMap<String, String>,
        local: &LocalOptions,
        accounts: AccountUse,
    ) -> Result<(), DrillError> {
        let path = self.options();
        let failed = DrillError::system("write", &path);
        let text = self.text(needed, local, accounts);
        let mut file = new_file(&path)?;
        file.write_all(text.as_bytes()).map_err(&failed)?;
        self.owner.map_or(Ok(()), |(uid, gid)| fchown(&file, Some(uid), Some(gid))).map_err(&failed)?;
        give_folder(&self.folder, self.owner)
    }

    /// What decides how files are made, then what this machine gives, then what nobody may change: of two settings the later one holds.
    fn text(&self, needed: &BTreeMap<String, String>, local: &LocalOptions, accounts: AccountUse) -> String {
        let mut lines = vec!["[mysqld]".to_owned()];
        for (name, value) in needed {
            if name == PLUGIN_LOAD {
                lines.extend(value.split(';').map(|plugin| format!("{PLUGIN_LOAD} = {plugin}")));
            } else {
                lines.push(format!("loose_{name} = {}", option_value(value)));
            }
        }
        // One that is missing is told in the log, and no more.
        lines.extend(engine_libraries().map(|library| format!("{PLUGIN_LOAD} = {library}")));
        lines.extend(
            local.options.iter().map(|(name, value)| format!("loose_{name} = {}", option_value(value))),
        );
        lines.extend(ALWAYS.map(str::to_owned));
        lines.push(match accounts {
            AccountUse::Ignored => "skip_grant_tables".into(),
            // A dump is loaded: its `DATA DIRECTORY` may be a place of the live server's.
            AccountUse::Known => "skip_symbolic_links".into(),
        });
        for (name, path) in [
            ("datadir", self.datadir.clone()),
            ("socket", self.socket()),
            ("pid_file", self.folder.join("pid")),
            ("tmpdir", self.temporary()),
            ("slave_load_tmpdir", self.temporary()),
            ("secure_file_priv", self.temporary()),
        ] {
            lines.push(format!("{name} = {}", option_value(&path.to_string_lossy())));
        }
        lines.join("\n") + "\n"
    }

    /// The log, to write on.
    pub(super) fn open_log(&self) -> Result<File, DrillError> {
        self.log.try_clone().map_err(DrillError::system("open the log of", &self.folder))
    }

    /// What the server, or its guard and the server, have as standard input, which they do not read: the lock of the scratch folder, so that no other
    /// drill sweeps it while one of them runs. A server that is ready opens its standard input anew, and has the lock no more. Where it outlives this
    /// program, however shortly, it has a guard, which keeps the lock until it has ended.
    pub(super) fn open_lock(&self) -> Result<File, DrillError> {
        self.lock.try_clone().map_err(DrillError::system("share the lock of", &self.folder))
    }

    /// How long the log is now.
    pub(super) fn log_end(&self) -> u64 {
        self.log.metadata().map_or(0, |data| data.len())
    }

    /// All that comes into the log from now on.
    pub(super) fn log_reader(&self) -> LogReader<'_> {
        LogReader { log: &self.log, at: self.log_end() }
    }

    /// What has come into the log since; no more than its end.
    pub(super) fn log_since(&self, mark: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let end = self.log.metadata()?.len();
            let begin = mark.max(end.saturating_sub(LOG_END));
            let mut bytes = vec![0; usize::try_from(end.saturating_sub(begin)).unwrap_or_default()];
            self.log.read_exact_at(&mut bytes, begin)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}

/// Reads a log piece by piece, and nothing of it twice.
#[derive(Debug)]
pub(super) struct LogReader<'a> {
    log: &'a File,
    at: u64,
}

impl LogReader<'_> {
    /// What has come since the last time.
    pub(super) fn more(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = self.log.read_at(&mut piece, self.at) {
            all.extend_from_slice(&piece[..count]);
            self.at += count as u64;
        }
        all
    }
}

/// A new file that only this user reads, to read and to append to.
fn new_file(path: &Path) -> Result<File, DrillError> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path).map_err(DrillError::system("make", path))
}

/// A folder that only this user enters.
pub(super) fn make_folder(path: &Path, owner: Option<(u32, u32)>) -> Result<(), DrillError> {
    DirBuilder::new().mode(0o700).create(path).map_err(DrillError::system("make", path))?;
    give_folder(path, owner)
}

/// Gives a folder to a user; what is no folder, or is a link by now, is refused.
fn give_folder(path: &Path, owner: Option<(u32, u32)>) -> Result<(), DrillError> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let flags = (OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    open.and_then(|folder| fchown(&folder, Some(uid), Some(gid)))
        .map_err(DrillError::system("give to the server's user", path))
}

/// The last errors in a log, or its last lines where there are none; in one line.
pub(super) fn last_words(log: &str) -> String {
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("[ERROR]")).collect();
    let lines: Vec<&str> = if errors.is_empty() { log.lines().collect() } else { errors };
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() { "it has said nothing".into() } else { last.join(" | ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_comes_last_and_every_path_is_inside() {
        let file = || tempfile::tempfile().unwrap();
        let home = ServerHome {
            folder: "/s/home".into(),
            datadir: "/s/data".into(),
            owner: None,
            log: file(),
            lock: file(),
        };
        let local = LocalOptions {
            options: vec![("file-key-management-filename".into(), "/etc/k # 1".into())],
            user: "mysql".into(),
        };
        let needed = [
            ("datadir", "/live"),
            ("innodb_page_size", "4096"),
            (PLUGIN_LOAD, "file_key_management;provider_lz4"),
        ];
        let needed = needed.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let text = home.text(&needed, &local, AccountUse::Ignored);
        let at = |line: &str| text.find(line).unwrap_or_else(|| panic!("no {line} in {text}"));
        assert!(at("loose_datadir = \"/live\"") < at("\ndatadir = \"/s/data\"\n"));
        assert!(at("file-key-management-filename = \"/etc/k # 1\"") < at("skip_networking"));
        at("loose_innodb_page_size = \"4096\"\n");
        at("plugin_load_add = provider_lz4\n");
        at("skip_grant_tables\n");
        assert!(!text.contains("skip_symbolic_links"));
        let of_dump = home.text(&needed, &local, AccountUse::Known);
        assert!(!of_dump.contains("skip_grant_tables") && of_dump.contains("skip_symbolic_links\n"));
        assert!(!text.contains("ha_spider") && text.contains("ha_archive"));
    }

    /// Root writes to the log after the folder is the server's user's, who may put a link in its place.
    #[test]
    fn what_the_servers_user_puts_in_the_place_of_a_file_is_neither_read_nor_written_nor_given_away() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "nobody else's").unwrap();
        let scratch = ScratchFolder::take(folder.path()).unwrap();
        let place = scratch.join("home");
        let home = ServerHome::make(&scratch, "home", scratch.join("data"), None).unwrap();
        let local = LocalOptions { options: Vec::new(), user: "mysql".into() };
        home.write_options(&BTreeMap::new(), &local, AccountUse::Ignored).unwrap();
        let log = place.join("error.log");
        std::fs::remove_file(&log).unwrap();
        std::os::unix::fs::symlink(&secret, &log).unwrap();
        home.open_log().unwrap().write_all(b"said").unwrap();
        assert_eq!(home.log_since(0), "said");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "nobody else's");
        // Nor is a link followed where a file or a folder is made.
        for name in ["my.cnf", "tmp"] {
            let path = place.join(name);
            std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)).unwrap();
            std::os::unix::fs::symlink(&secret, &path).unwrap();
        }
        assert!(home.write_options(&BTreeMap::new(), &local, AccountUse::Ignored).is_err());
        assert!(make_folder(&place.join("tmp"), None).is_err());
        let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        assert!(give_folder(&place.join("tmp"), Some(own)).is_err());
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "nobody else's");
    }

    #[test]
    fn a_log_is_read_once_whatever_its_length() {
        let log = tempfile::tempfile().unwrap();
        let mut reader = LogReader { log: &log, at: 0 };
        let text = vec![b'x'; 3 * PIECE + 5];
        (&log).write_all(&text).unwrap();
        assert_eq!(reader.more(), text);
        assert!(reader.more().is_empty());
        (&log).write_all(b"more").unwrap();
        assert_eq!(reader.more(), b"more");
    }

    #[test]
    fn errors_are_told_before_anything_else() {
        assert_eq!(last_words("a\nb [ERROR] x\nc\n"), "b [ERROR] x");
        assert_eq!(last_words("a\nb\nc\nd\n"), "b | c | d");
        assert_eq!(last_words(""), "it has said nothing");
    }
}
