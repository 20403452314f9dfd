//! Whether the donor program could store a backup: tried, as the server's user, by the same calls as a backup.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::process::{ServerProcess, mount_of};
use crate::config::RepositoryUrl;
use crate::model::safe_component;
use crate::storage::{KeyRights, LocalStorage, Storage, StorageError};

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
    /// What a backup does could be done there.
    Writable,
    /// It is not there, and the donor program could make it.
    CanBeMade,
    /// Neither it nor the folder in which it could be made.
    Missing,
    /// Nothing is mounted at this place of `/etc/fstab`, on which it should lie.
    NotMounted(PathBuf),
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

    /// Whether it is an error for the donor program.
    pub(super) fn is_refused(&self) -> bool {
        matches!(
            self.state,
            RepositoryState::Unreachable(_)
                | RepositoryState::Missing
                | RepositoryState::NotMounted(_)
                | RepositoryState::Refused { .. }
        )
    }
}

/// A repository that this command cannot use, of whose backups nothing is known then.
pub(super) fn unusable(url: &RepositoryUrl, why: &str) -> Finding {
    let cure = match url {
        RepositoryUrl::Directory(_) => {
            "mount it, or see what the system says of its disk (dmesg); a directory that is made in its place would lie on another disk"
        }
        RepositoryUrl::S3 { .. } => {
            "see that the server of the bucket answers, and correct what it says in [wsrep_sst_backup]"
        }
    };
    Finding::error(
        TOPIC,
        format!("the repository cannot be used, and its backups are not known: {why}"),
        cure,
    )
}

/// Looks, and tries what a backup does when `may_try`. What is tried leaves nothing behind.
pub(super) fn look(repository: &Path, cluster: Option<&str>, may_try: bool) -> RepositoryView {
    let above = repository.parent().unwrap_or(Path::new("/"));
    let exists = fs::metadata(repository);
    let base = if exists.is_ok() { repository } else { above };
    let storage = LocalStorage::new(repository);
    let state = match (storage.missing_mount(), &exists) {
        (Some(point), _) => RepositoryState::NotMounted(point),
        (_, Ok(data)) if !data.is_dir() => {
            let cause = io::Error::from(io::ErrorKind::NotADirectory);
            refused(repository, &cause, cause.to_string())
        }
        (_, Ok(_)) if !may_try => RepositoryState::Present,
        (_, Ok(_)) => try_out(&storage, repository, cluster)
            .map_or_else(|(place, error)| refused_by(&place, &error), |()| RepositoryState::Writable),
        // It is the folder above that does not let us look.
        (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => {
            refused(above, error, error.to_string())
        }
        (_, Err(_)) if !above.is_dir() || !may_try => RepositoryState::Missing,
        (_, Err(_)) => LocalStorage::new(above)
            .try_backup("")
            .map_or_else(|error| refused_by(above, &error), |()| RepositoryState::CanBeMade),
    };
    RepositoryView {
        state,
        device: fs::metadata(base).ok().map(|data| data.dev()),
        free: statvfs(base).ok().map(|stat| stat.blocks_available() * stat.fragment_size()),
    }
}

/// The first place where it cannot be done. A folder that another user has made, in a run as root for example, stops the donor
/// just as well as the repository itself.
fn try_out(
    storage: &LocalStorage,
    repository: &Path,
    cluster: Option<&str>,
) -> Result<(), (PathBuf, StorageError)> {
    let at_root = |error| (repository.to_path_buf(), error);
    storage.probe().and_then(|()| storage.try_backup("")).map_err(at_root)?;
    let inner = cluster.map(safe_component).filter(|name| repository.join(name).is_dir());
    inner.map_or(Ok(()), |name| storage.try_backup(&name).map_err(|error| (repository.join(&name), error)))
}

/// Where the system's words do not say what was refused, that is said.
fn refused_by(place: &Path, error: &StorageError) -> RepositoryState {
    let cause = error.cause();
    let says_all = matches!(
        cause.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem
    );
    refused(place, cause, if says_all { cause.to_string() } else { error.to_string() })
}

fn refused(place: &Path, cause: &io::Error, why: String) -> RepositoryState {
    RepositoryState::Refused {
        place: place.to_path_buf(),
        why,
        read_only: cause.kind() == io::ErrorKind::ReadOnlyFilesystem,
        denied: matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound),
    }
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
        RepositoryState::NotMounted(point) => not_mounted(path, point),
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

/// A directory that is made in the place of a missing mount would be on another disk, and hidden when it is mounted.
fn not_mounted(path: &Path, point: &Path) -> Finding {
    let (shown, point) = (path.display(), point.display());
    let text = format!(
        "nothing is mounted at {point}, which is in /etc/fstab and where {shown} should lie: each backup is refused"
    );
    Finding::error(
        TOPIC,
        text,
        format!("mount {point}; or take it out of /etc/fstab, where it is not to come back"),
    )
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
#[path = "repository_tests.rs"]
mod tests;
