//! A page of a server.

/// Which page: the number of its tablespace, and its own in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId {
    /// Number of the tablespace.
    pub space: u32,
    /// Number of the page in it.
    pub page: u32,
}
