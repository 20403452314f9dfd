//! What the faults may leave behind, and that nothing else is left.

use super::stage::{DONOR, Stage};
use crate::common::{heading, say};
use crate::leftovers::{self, Around, Process};
use crate::promises::Promises;
use crate::support::program::text;

pub(super) const VERIFIES: &str = "every backup of the list verifies";
pub(super) const FILES: &str = "only killed programs leave temporary files";
pub(super) const PROCESSES: &str = "no process, descriptor, thread or lock is left";

/// The donor's server before the faults that it outlives.
pub(super) struct Before {
    process: Process,
    around: Around,
}

impl Before {
    /// Looks after one more backup: the first one makes mysqld open what it then keeps open.
    pub(super) fn look(stage: &Stage, promises: &mut Promises) -> Self {
        let told = stage.ask().finish();
        let complete = told.text("outcome") == "complete";
        promises.check(super::stage::TOLD, complete, || format!("a backup after the restarts: {told}"));
        stage.donor().wait_synced(crate::support::PATIENCE);
        Self { process: Process::of(stage.donor()), around: Around::of(stage.cluster.dir()) }
    }

    /// Looks again.
    pub(super) fn compare(&self, stage: &Stage, promises: &mut Promises) {
        heading("What is left");
        let told = stage.ask().finish();
        promises.check(super::stage::TOLD, told.text("outcome") == "complete", || {
            format!("the last backup: {told}")
        });
        let mut left = leftovers::children(stage.cluster.n(DONOR));
        left.extend(self.around.growth(stage.cluster.dir()));
        left.extend(self.process.growth(stage.donor()));
        left.extend(
            stage.left_by_administrator().into_iter().map(|folder| format!("garbd's folder {folder}")),
        );
        let last = ["tables_flushed", "sst_error", "sst_in_progress", "wsrep_sst.pid"];
        left.extend(
            last.iter().filter(|name| stage.donor().datadir().join(name).exists()).map(ToString::to_string),
        );
        promises.check(PROCESSES, left.is_empty(), || left.join("; "));
        promises.figures(PROCESSES, format!("the donor's server has {}", Process::of(stage.donor()).told()));

        let hidden = stage.hidden_files();
        let of_killed = |file: &&std::path::PathBuf| {
            file.components().any(|part| stage.killed.iter().any(|id| part.as_os_str() == id.as_str()))
        };
        let (killed, others): (Vec<_>, Vec<_>) = hidden.iter().partition(of_killed);
        promises.check(FILES, others.is_empty(), || format!("{others:?}"));
        promises
            .figures(FILES, format!("{} in {} folders of killed programs", killed.len(), stage.killed.len()));

        let manifests = stage.program.manifests();
        for manifest in &manifests {
            let id = text(manifest, "/id");
            let verified = stage.program.run(&["verify", id]);
            promises.check(VERIFIES, verified.status == Some(0), || {
                format!("{id}: {}{}", verified.out, verified.err)
            });
        }
        let outcomes: Vec<String> =
            stage.outcomes.iter().map(|(name, count)| format!("{count} {name}")).collect();
        promises.figures(super::stage::TOLD, outcomes.join(", "));
        say(&format!("{} backups; of all rounds {}", manifests.len(), outcomes.join(", ")));
    }
}
