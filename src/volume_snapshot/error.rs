//! Why there is no snapshot of the administrator's.

use thiserror::Error;

/// Why there is none, or why it is still there.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// A command has failed, or says what cannot be.
    #[error("{0}")]
    Command(String),
    /// Whoever runs the commands.
    #[error("{who} cannot be used: {cause}")]
    Helper {
        /// The socket, or this program's child.
        who: String,
        /// Why not.
        cause: String,
    },
    /// The backup was given up meanwhile; the caller knows why.
    #[error("the snapshot was not waited for")]
    GivenUp,
}
