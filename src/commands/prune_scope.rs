//! Which clusters `prune` judges where none is named, and which history it may forget.

use serde_json::{Value, json};

use super::{CommandError, Context};
use crate::config::{OptionFiles, ServerOptions};
use crate::lease;
use crate::model::safe_component;
use crate::prune::{LivingHistory, PrunePlan, forgettable};

/// The cluster that the backups of this machine are of.
pub(super) struct OwnCluster {
    /// Its name.
    pub(super) name: String,
    /// What makes it the own one, in words that follow "Only cluster '…' is judged,".
    pub(super) why: &'static str,
}

impl OwnCluster {
    /// That no other cluster is judged, for a person.
    pub(super) fn words(&self) -> String {
        let Self { name, why } = self;
        format!("Only cluster '{name}' is judged, {why}; --all-clusters judges every one in the repository.")
    }

    /// That of the node whose option files these are; that of this host, where its server is in no cluster and `run` has made backups
    /// under its name. The policy of a machine is not meant for others, whose only copies may be here, too. Nothing where neither tells.
    pub(super) fn of(context: &Context, files: &OptionFiles) -> Result<Option<Self>, CommandError> {
        let options = ServerOptions::from(files, &[], None);
        let is_node = options.flag("wsrep-on");
        let named =
            options.get("wsrep-cluster-name").filter(|name| !name.is_empty() && is_node != Some(false));
        let there = context.storage.folders("")?;
        let has_folder = |name: &str| there.contains(&safe_component(name));
        let host = Some(lease::host()).filter(|host| is_node != Some(true) && has_folder(host));
        match (named, host) {
            (Some(name), Some(host)) if name != host && has_folder(name) => {
                Err(CommandError::Usage(format!(
                    "the option files name the cluster '{name}' without wsrep_on=ON, and there are backups of the host '{host}' by itself: say which \
                 are to be judged with --cluster; nothing was removed"
                )))
            }
            (_, Some(name)) => Ok(Some(Self { name, why: "which is named as this host" })),
            (Some(name), None) => Ok(Some(Self { name: name.to_owned(), why: "whose node this is" })),
            (None, None) => Ok(None),
        }
    }
}

/// Which cluster was judged, and why that one alone; nothing where every one in the repository was.
pub(super) fn scope_as_json(cluster: Option<&str>, own: Option<&OwnCluster>) -> Value {
    let why = own.map_or("which is named by --cluster or the setting 'cluster'", |own| own.why);
    cluster.map_or(Value::Null, |name| json!({ "cluster_folder": safe_component(name), "why": why }))
}

/// Refuses a plan for several clusters where nobody has said that one policy is meant for all of them.
pub(super) fn is_of_one_cluster(plan: &PrunePlan) -> Result<(), CommandError> {
    if plan.clusters.len() < 2 {
        return Ok(());
    }
    let names: Vec<String> = plan.clusters.iter().map(|plan| format!("'{}'", plan.cluster)).collect();
    Err(CommandError::Usage(format!(
        "there are backups of the clusters {}, and neither the option files nor the name of this host say which of them this policy is meant \
         for: name one with --cluster, or say --all-clusters; nothing was removed",
        names.join(", ")
    )))
}

/// Whether there is such a history, and whether it is none that may go on.
pub(super) fn may_be_forgotten(plan: &PrunePlan, named: &str) -> Result<(), CommandError> {
    let mut is_there = false;
    for of_one in &plan.clusters {
        let cluster = &of_one.cluster;
        let refused = match forgettable(&of_one.histories, of_one.current.as_deref(), named) {
            Ok(found) => {
                is_there |= found.is_some();
                continue;
            }
            Err(LivingHistory::OfNewest) => {
                format!("{named} is the history of the newest backup of cluster '{cluster}'")
            }
            Err(LivingHistory::Unknown) => format!(
                "no backup of cluster '{cluster}' can be relied on, so that nobody knows whether {named} is the history that goes on"
            ),
        };
        return Err(CommandError::Failed(format!(
            "--forget-history: {refused}, so nothing was removed; move these backups out of the repository if they are not wanted"
        )));
    }
    if is_there {
        return Ok(());
    }
    Err(CommandError::NotFound(format!(
        "--forget-history: there is no backup of the history {named}, so nothing was removed; 'list' names the \
         histories where there are several"
    )))
}
