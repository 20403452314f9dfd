//! Whether the donor program could store a backup: tried, as the server's user.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::process::{ServerProcess, mount_of};
use crate::model::safe_component;
use crate::storage::KeyRights;

const TOPIC: &str = "repository";

/// The state in which the donor program would find it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RepositoryState {
    /// It was not looked at.
    #[default]
    Unknown,
    /// An object was tried in the bucket.
    Tried(KeyRights),
    /// It could not be tried, for this reason.
    Unreachable(String),
    /// It is there. Whether it can be written was not tried.
    Present,
    /// A file could be written there.
    Writable,
    /// It is not there, and the donor program could make it.
    CanBeMade,
    /// Neither it nor the folder in which it could be made.
    Missing,
    /// It could not be used.
    Refused {
        /// The folder in which something could not be done.
        place: PathBuf,
        /// What the system said.
        why: String,
        /// The file system is read-only here.
        read_only: bool,
        /// It is not there, or not for this user.
        denied: bool,
    },
}

/// The repository as the donor program meets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RepositoryView {
    pub(super) state: RepositoryState,
    /// Device of the file system that it is on, or would be on.
    pub(super) device: Option<u64>,
    /// Bytes that this user may still write there.
    pub(super) free: Option<u64>,
}

impl RepositoryView {
    /// Whether it makes sense to speak of the space there.
    pub(super) fn is_usable(&self) -> bool {
        matches!(
            self.state,
            RepositoryState::Present | RepositoryState::Writable | RepositoryState::CanBeMade
        )
    }
}

/// Looks, and tries to write when `may_try`. What is tried leaves nothing behind.
pub(super) fn look(repository: &Path, cluster: Option<&str>, may_try: bool) -> RepositoryView {
    let above = repository.parent().unwrap_or(Path::new("/"));
    let exists = fs::metadata(repository);
    let base = if exists.is_ok() { repository } else { above };
    let state = match &exists {
        Ok(data) if !data.is_dir() => refused(repository, &io::Error::from(io::ErrorKind::NotADirectory)),
        Ok(_) if !may_try => RepositoryState::Present,
        Ok(_) => {
            // A folder that another user has made, in a run as root for example, stops the donor just as well.
            let inner =
                cluster.map(|name| repository.join(safe_component(name))).filter(|path| path.is_dir());
            let tried = std::iter::once(repository.to_path_buf()).chain(inner);
            let failed = tried.into_iter().find_map(|place| Some((try_file(&place).err()?, place)));
            failed.map_or(RepositoryState::Writable, |(error, place)| refused(&place, &error))
        }
        // It is the folder above that does not let us look.
        Err(error) if error.kind() != io::ErrorKind::NotFound => refused(above, error),
        Err(_) if !above.is_dir() || !may_try => RepositoryState::Missing,
        Err(_) => {
            try_folder(above).map_or_else(|error| refused(above, &error), |()| RepositoryState::CanBeMade)
        }
    };
    RepositoryView {
        state,
        device: fs::metadata(base).ok().map(|data| data.dev()),
        free: statvfs(base).ok().map(|stat| stat.blocks_available() * stat.fragment_size()),
    }
}

fn refused(place: &Path, error: &io::Error) -> RepositoryState {
    RepositoryState::Refused {
        place: place.to_path_buf(),
        why: error.to_string(),
        read_only: error.kind() == io::ErrorKind::ReadOnlyFilesystem,
        denied: matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound),
    }
}

/// A name that no listing of the repository shows.
fn trial(folder: &Path) -> PathBuf {
    // In a container process ids come again, and with them what a check that was killed has left.
    folder.join(format!(".check.{}.{}.tmp", std::process::id(), RandomState::new().build_hasher().finish()))
}

fn try_file(folder: &Path) -> io::Result<()> {
    let path = trial(folder);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all(b"wsrep_sst_backup check\n").and_then(|()| file.sync_all());
    fs::remove_file(&path)?;
    written
}

fn try_folder(folder: &Path) -> io::Result<()> {
    let path = trial(folder);
    DirBuilder::new().mode(0o700).create(&path)?;
    fs::remove_dir(&path)
}

/// Who the donor program will be, for words and cures.
#[derive(Debug, Clone)]
pub(super) struct DonorProgram<'a> {
    pub(super) user: &'a str,
    pub(super) server: Option<&'a ServerProcess>,
}

impl DonorProgram<'_> {
    fn unit(&self) -> &str {
        self.server.map_or("mariadb", ServerProcess::unit_name)
    }

    /// Its file systems are not those of everybody.
    fn is_apart(&self) -> bool {
        self.server.is_some_and(|server| server.own_mounts == Some(true))
    }
}

/// A repository that the donor refuses for where it is.
pub(super) fn among_the_data(text: &str) -> Finding {
    let cure = "set 'repository' to a directory outside of the server's, better on another file system, and move the backups there";
    Finding::error(TOPIC, text, cure)
}

/// What is to be told. `is_here` says whether the repository is a directory for `check` itself.
pub(super) fn judge(
    path: &Path,
    place: &RepositoryView,
    donor: &DonorProgram<'_>,
    is_here: bool,
) -> Vec<Finding> {
    let (shown, user) = (path.display(), donor.user);
    let make = || format!("install -d -o {user} -g {user} -m 0750 {shown}");
    let sandbox = || {
        let unit = donor.unit();
        format!(
            "'systemctl edit {unit}' with [Service] ReadWritePaths={shown}, then systemctl restart {unit}; or another repository"
        )
    };
    let hidden = || {
        format!(
            "ProtectHome or another setting of the service hides it ('systemctl cat {}'): put the repository \
             elsewhere, not below /home, /root or /run/user",
            donor.unit()
        )
    };
    let finding = match &place.state {
        // Those of a bucket are judged elsewhere.
        RepositoryState::Unknown | RepositoryState::Tried(_) | RepositoryState::Unreachable(_) => {
            return Vec::new();
        }
        RepositoryState::Writable => Finding::ok(TOPIC, format!("{shown} can be written by '{user}'")),
        RepositoryState::CanBeMade => Finding::ok(
            TOPIC,
            format!("{shown} is not there yet; '{user}' can make it, with the first backup"),
        ),
        RepositoryState::Present => untried(path, donor, sandbox()),
        RepositoryState::Missing if is_here && donor.is_apart() => Finding::error(
            TOPIC,
            format!("{shown} is there, but not for the server, whose service runs in a sandbox"),
            hidden(),
        ),
        RepositoryState::Missing => {
            let above = path.parent().unwrap_or(Path::new("/")).display();
            let text = format!("{shown} does not exist, and neither does {above}; is something not mounted?");
            Finding::error(TOPIC, text, make())
        }
        RepositoryState::Refused { why, read_only: true, .. } => {
            let text = format!("'{user}' cannot write to {shown}: {why}");
            if donor.is_apart() {
                Finding::error(TOPIC, format!("{text}; the server's service runs in a sandbox"), sandbox())
            } else {
                let point = donor.server.and_then(|server| mount_of(&server.mounts, path));
                let point = point.map_or_else(|| shown.to_string(), |(point, _)| point.display().to_string());
                Finding::error(
                    TOPIC,
                    text,
                    format!("mount -o remount,rw {point}; it may be read-only after an error: see dmesg"),
                )
            }
        }
        RepositoryState::Refused { place, denied: true, .. }
            if is_here && donor.is_apart() && !place.starts_with(path) =>
        {
            Finding::error(
                TOPIC,
                format!("{shown} is hidden from the server by the sandbox of its service"),
                hidden(),
            )
        }
        RepositoryState::Refused { place, why, denied, .. } => {
            let at = if place == path { String::new() } else { format!(" (at {})", place.display()) };
            let text = format!("'{user}' cannot write to {shown}{at}: {why}");
            let cure = if !denied {
                format!("look at {} and at dmesg", place.display())
            } else if place == path {
                make()
            } else if place.starts_with(path) {
                format!("chown -R {user}:{user} {}", place.display())
            } else {
                format!(
                    "{}, and let '{user}' enter the folders above it (namei -l {shown} shows which it cannot)",
                    make()
                )
            };
            Finding::error(TOPIC, text, cure)
        }
    };
    vec![finding]
}

/// It is there, and this user cannot try it as the server: what the server's mounts tell is all there is.
fn untried(path: &Path, donor: &DonorProgram<'_>, cure: String) -> Finding {
    let (shown, user) = (path.display(), donor.user);
    if let Some((point, true)) = donor.server.and_then(|server| mount_of(&server.mounts, path)) {
        let text = format!("{shown} is read-only for the server (its mount {})", point.display());
        return Finding::error(TOPIC, text, cure);
    }
    let text = format!("{shown} is there; whether '{user}' can write to it cannot be told from here");
    Finding::warning(TOPIC, text, "run this check as root".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    fn server(own_mounts: bool) -> ServerProcess {
        ServerProcess {
            pid: 1,
            uid: 103,
            gid: 110,
            groups: vec![],
            args: vec![],
            environment: Ok(vec![]),
            unit: Some("mariadb".into()),
            own_mounts: Some(own_mounts),
            root: None,
            mounts: "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /ro ro - ext4 /dev/b rw\n".into(),
        }
    }

    #[test]
    fn every_state_has_its_words_and_its_cure() {
        let refused = |place: &str, read_only, denied| RepositoryState::Refused {
            place: place.into(),
            why: "WHY".into(),
            read_only,
            denied,
        };
        for (path, state, apart, level, text, cure) in [
            ("/r", RepositoryState::Writable, false, Level::Ok, "can be written by 'mysql'", ""),
            ("/r", RepositoryState::CanBeMade, false, Level::Ok, "not there yet", ""),
            ("/r", RepositoryState::Present, false, Level::Warning, "cannot be told from here", "as root"),
            (
                "/ro/r",
                RepositoryState::Present,
                true,
                Level::Error,
                "read-only for the server",
                "ReadWritePaths=/ro/r",
            ),
            ("/x/r", RepositoryState::Missing, false, Level::Error, "neither does /x", "install -d -o mysql"),
            ("/x/r", RepositoryState::Missing, true, Level::Error, "not for the server", "ProtectHome"),
            ("/r", refused("/r", true, false), true, Level::Error, "sandbox", "ReadWritePaths=/r"),
            ("/ro/r", refused("/ro/r", true, false), false, Level::Error, "WHY", "remount,rw /ro"),
            (
                "/r",
                refused("/r", false, true),
                false,
                Level::Error,
                "cannot write to /r: WHY",
                "install -d -o mysql",
            ),
            (
                "/r",
                refused("/r/c", false, true),
                false,
                Level::Error,
                "(at /r/c): WHY",
                "chown -R mysql:mysql /r/c",
            ),
            ("/h/r", refused("/h", false, true), true, Level::Error, "hidden", "ProtectHome"),
            ("/h/r", refused("/h", false, true), false, Level::Error, "(at /h): WHY", "namei -l /h/r"),
            ("/r", refused("/r", false, false), false, Level::Error, "WHY", "dmesg"),
        ] {
            let server = server(apart);
            let donor = DonorProgram { user: "mysql", server: Some(&server) };
            let place = RepositoryView { state: state.clone(), ..RepositoryView::default() };
            let [finding] = &judge(Path::new(path), &place, &donor, true)[..] else { panic!("{state:?}") };
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.text.contains(text), "{finding:?}");
            assert!(finding.cure.as_deref().unwrap_or_default().contains(cure), "{finding:?}");
        }
    }

    #[test]
    fn a_trial_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("c")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        let state = |path: &Path, may_try| look(path, Some("c"), may_try).state;
        assert_eq!(state(root, true), RepositoryState::Writable);
        assert_eq!(state(root, false), RepositoryState::Present);
        assert_eq!(state(&root.join("new"), true), RepositoryState::CanBeMade);
        assert_eq!(state(&root.join("no/new"), true), RepositoryState::Missing);
        assert!(matches!(state(&root.join("file"), true), RepositoryState::Refused { .. }));
        let left: Vec<_> = fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(fs::read_dir(root.join("c")).unwrap().count(), 0);
        let place = look(root, None, true);
        assert!(place.free.is_some() && place.device == Some(fs::metadata(root).unwrap().dev()));
    }
}
