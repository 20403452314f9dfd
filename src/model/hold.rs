//! `hold.json`: this backup is not to be removed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The content of `hold.json`. The file holds a backup whatever is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub held: Timestamp,
    /// Who: `user@host`.
    pub by: String,
    /// Why.
    #[serde(default)]
    pub note: Option<String>,
}
