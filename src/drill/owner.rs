//! The user that a drilled server runs as, where this process is root: mysqld refuses to be root's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::geteuid;

use super::error::DrillError;
use crate::users::{primary_group, user_id};

/// The one that files belong to.
pub(super) fn of_files(datadir: &Path) -> Result<Option<(u32, u32)>, DrillError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let data = fs::metadata(datadir).map_err(DrillError::system("look at", datadir))?;
    if data.uid() == 0 || data.gid() == 0 {
        return Err(DrillError::Undone(
            "the files of the backup belong to root or its group here, and a server is not run as root: drill it as the server's user \
             (runuser -u mysql -- wsrep_sst_backup drill …)"
                .into(),
        ));
    }
    Ok(Some((data.uid(), data.gid())))
}

/// That of the servers of this machine.
pub(super) fn of_servers(user: &str) -> Result<Option<(u32, u32)>, DrillError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = user_id(user).filter(|uid| *uid != 0).and_then(|uid| Some((uid, primary_group(uid)?)));
    found.map(Some).ok_or_else(|| {
        DrillError::Undone(format!(
            "there is no user '{user}' here that a server could run as: install the server"
        ))
    })
}
