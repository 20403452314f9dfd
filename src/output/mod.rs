//! A backup while it is written: from two empty objects to the manifest that makes a backup of them.
//!
//! ```text
//! Destination ── open ──> Output ── begin ──> Archive ── end ──> Written ── publish ──> Manifest
//!      └───────────────────────────── discard ───────────────────────────────┘
//! ```
//!
//! Each arrow consumes what stands before it, so that nothing is written twice or out of order. Until [`Written::publish`] has put the
//! manifest there is no backup ([`crate::catalog`]); [`Destination::discard`] takes back what a failed run has left. Nothing
//! here knows of a server: the method says what stands in the identity.

mod error;
mod identity;
mod open;
mod publish;
mod stream;
mod warnings;

use std::sync::Arc;

use jiff::Timestamp;

pub use error::OutputError;
pub use identity::BackupIdentity;
pub use open::{Archive, Output, Writer, Written};
pub use publish::{Outcome, Patience, millis};
pub use stream::{Captive, StreamArchive};

use crate::archive::WriterOptions;
use crate::catalog::{INDEX, MANIFEST, SEALED, object_name};
use crate::model::{BackupId, Content, Dump, ToolIdentity, WsrepGtid};
use crate::seal::Recipient;
use crate::storage::Storage;

/// What is known of a backup before its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// wsrep_cluster_name.
    pub cluster: String,
    /// wsrep_node_name.
    pub node: String,
    /// The name in garbd's request, where there was one.
    pub request: Option<String>,
    /// The position that mysqld passed with its request, where there was one.
    pub asked: Option<WsrepGtid>,
    /// When the run began.
    pub started: Timestamp,
}

/// Where a backup goes, and how it is written.
pub struct Destination {
    /// The repository.
    pub storage: Arc<dyn Storage>,
    /// The cluster's folder.
    pub folder: String,
    /// The backup's own folder in it.
    pub id: BackupId,
    /// Cluster, node, request and time of the run.
    pub label: Label,
    /// Compression.
    pub options: WriterOptions,
    /// The recipients that archive and index are encrypted for; without any they are not encrypted.
    pub recipients: Vec<Recipient>,
}

impl Destination {
    /// The names of archive and index.
    fn names(&self, content: Content) -> (String, String) {
        let sealed = if self.recipients.is_empty() { "" } else { SEALED };
        (
            format!("{}{sealed}", self.options.compression.file_name(&content.stem(self.label.started))),
            format!("{INDEX}{sealed}"),
        )
    }

    /// The name of the users of a dump.
    fn users_name(&self) -> String {
        let sealed = if self.recipients.is_empty() { "" } else { SEALED };
        format!("{}{sealed}", Dump::users_name(self.label.started, self.options.compression))
    }

    fn object(&self, name: &str) -> String {
        object_name(&self.folder, &self.id, name)
    }

    /// Takes back what a failed run has published, the manifest first: so long as that may be there nothing else goes. What
    /// was never there is no error.
    pub fn discard(&self) {
        let index = self.names(Content::Datadir).1;
        let archives = Content::ALL.map(|content| self.names(content).0);
        let users = self.users_name();
        let names = std::iter::once(MANIFEST)
            .chain(archives.iter().map(String::as_str))
            .chain([users.as_str(), index.as_str()]);
        for name in names {
            let Err(error) = self.storage.remove(&self.object(name)) else { continue };
            if name == MANIFEST && self.may_have_manifest() {
                log::warn!(
                    "{error}; what is left of this run stays until 'prune' removes it, when it is a day old"
                );
                return;
            }
            log::warn!("{error}");
        }
    }

    fn may_have_manifest(&self) -> bool {
        let objects = self.storage.objects(&format!("{}/{}", self.folder, self.id));
        objects.map_or(true, |objects| objects.iter().any(|object| object.name == MANIFEST))
    }
}

fn tool() -> ToolIdentity {
    ToolIdentity { version: env!("CARGO_PKG_VERSION").into() }
}
