//! What others have done to a data directory while its files were replaced. The text that mysqld refuses keeps no state transfer out, which writes before
//! the engines start.

use std::path::{Path, PathBuf};

use super::extras::{Extra, Extras};
use super::lineage::SavedState;
use super::plan::DeltaPlan;
use super::removal::remove_extra;
use crate::archive::GRASTATE_MEMBER;
use crate::restore::error::RestoreError;
use crate::restore::frame::state_of;
use crate::restore::no_follow;
use crate::restore::replication::REPLICA_FILE;

/// What a state transfer makes before it writes to the data directory of the joiner (`wsrep_sst_rsync.sh`, `wsrep_sst_mariabackup.sh`).
const OF_TRANSFERS: [&str; 2] = ["sst_in_progress", "wsrep_sst.pid"];
/// More than `grastate.dat` has, bytes.
const LONGEST_STATE: u64 = 4 << 10;

impl DeltaPlan<'_> {
    /// Where a server may find a position.
    pub(super) fn positions(&self) -> impl Iterator<Item = PathBuf> {
        let homes = self.state.homes.iter().map(PathBuf::as_path);
        std::iter::once(self.places.target()).chain(homes).map(|home| home.join(GRASTATE_MEMBER))
    }

    /// A server that somebody has started meanwhile has ended at the text, and may have left files of its own before: they go, as they would if all
    /// was done again. One that has got a position was more than started, and so was one that has taken a state transfer.
    pub(super) fn clear_attempts(&self) -> Result<(), RestoreError> {
        for file in self.positions().filter(|file| file.symlink_metadata().is_ok()) {
            if let Some(state) = SavedState::read(&file).filter(SavedState::is_known) {
                let what = format!(", with the position {}:{}", state.uuid, state.seqno);
                return Err(came_meanwhile(&file, &what));
            }
            tell_attempt(&file);
            remove_extra(&Extra::File(file))?;
        }
        let new = self.extras_since()?;
        let is_at_the_top = |path: &Path| path.parent() == Some(self.places.target());
        let of_transfer = |path: &Path| OF_TRANSFERS.iter().any(|name| path.ends_with(name));
        let is_harmless = |extra: &&Extra| match extra {
            Extra::File(path) => is_at_the_top(path) && !of_transfer(path),
            Extra::InTheWay(_) | Extra::Database(..) | Extra::Tree(_) => false,
        };
        // What is no server's by its name may be half of what one writes: a database without definitions, a file under another name.
        let is_note = |path: &&PathBuf| is_at_the_top(path) && !path.is_dir();
        let bad = new.gone.iter().find(|extra| !is_harmless(extra)).map(Extra::path);
        if let Some(path) = bad.or_else(|| new.left.iter().find(|path| !is_note(path))) {
            return Err(came_meanwhile(path, ""));
        }
        for extra in &new.gone {
            extra.paths().for_each(|path| tell_attempt(path));
            remove_extra(extra)?;
        }
        Ok(())
    }

    /// Refuses where anything has come since then: it would stand beside files that it is not of.
    pub(super) fn check_untouched(&self) -> Result<(), RestoreError> {
        let ours = state_of(self.source.manifest(), self.request.purpose)?;
        for file in self.positions() {
            let is_ours = match &ours {
                Some(text) => {
                    no_follow::read_file(&file, LONGEST_STATE).is_ok_and(|found| found == text.as_bytes())
                }
                None => file.symlink_metadata().is_err(),
            };
            if !is_ours {
                return Err(came_meanwhile(&file, ""));
            }
        }
        self.extras_since()?.gone.first().map_or(Ok(()), |extra| Err(came_meanwhile(extra.path(), "")))
    }

    /// Of what the backup has not that which was not there before: by now all is gone that was to go.
    fn extras_since(&self) -> Result<Extras, RestoreError> {
        let statements = self.places.target().join(REPLICA_FILE);
        let was_left = |path: &PathBuf| self.extras.left.iter().any(|left| path.starts_with(left));
        let mut now = self.extras_now()?;
        now.gone.retain(|extra| *extra.path() != statements && !extra.paths().any(was_left));
        now.left.retain(|path| !was_left(path));
        Ok(now)
    }
}

/// Somebody else has written there.
fn came_meanwhile(path: &Path, what: &str) -> RestoreError {
    RestoreError::Refused(format!(
        "'{}' has come while the files were replaced{what}: a server was started, and has perhaps written to the data directory. See that none starts \
         (systemctl mask mariadb)",
        path.display()
    ))
}

fn tell_attempt(path: &Path) {
    log::warn!(
        "'{}' has come while the files were replaced, and goes: a server was started meanwhile, perhaps; it cannot have come far",
        path.display()
    );
}
