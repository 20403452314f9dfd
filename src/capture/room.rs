//! Room for Galera's page files while the server is frozen.
//!
//! A frozen server goes on receiving write sets. Those that its cache (`gcache.size`) has no room for go to files of
//! `gcache.page_size` each in `gcache.dir`, and a server that cannot make the next one ends
//! (`gcache/src/gcache_page.cpp`), to find the disk still full when it is started again. So a backup is not begun, and is
//! given up, where one more file would not fit.

use std::path::PathBuf;

use super::abort::Abort;
use super::facts::Facts;
use super::layout::ServerLayout;
use crate::model::{DEFAULT_PAGE, PAGE_RESERVE, provider_option, provider_size};

/// Where page files go, and how large they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    directory: PathBuf,
    page: u64,
}

impl Room {
    /// Of this server.
    pub fn new(facts: &Facts, layout: &ServerLayout) -> Self {
        let options = facts.get("wsrep_provider_options").unwrap_or_default();
        let page = provider_option(options, "gcache.page_size").and_then(provider_size);
        Self { directory: layout.gcache.clone(), page: page.unwrap_or(DEFAULT_PAGE) }
    }

    /// Why no page file fits any more. What cannot be looked at is no reason: the server itself looks there.
    pub fn lacks(&self) -> Option<Abort> {
        let free = free_space(&self.directory)?;
        (free < self.page.saturating_add(PAGE_RESERVE)).then(|| Abort::NoRoom {
            directory: self.directory.clone(),
            free,
            page: self.page,
        })
    }
}

/// Bytes that a server without root's reserve may still write there.
pub fn free_space(directory: &std::path::Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(directory).ok()?;
    Some(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn room(folder: &std::path::Path, options: &str) -> Room {
        let variables = HashMap::from([("wsrep_provider_options".to_owned(), options.to_owned())]);
        Room::new(&Facts::from_variables(variables), &ServerLayout::bare(folder))
    }

    #[test]
    fn a_page_that_does_not_fit_is_a_reason_and_an_unknown_place_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(room(folder.path(), "gcache.page_size = 1; gcache.size = 1G").lacks(), None);
        assert_eq!(room(folder.path(), "").page, DEFAULT_PAGE);
        let why = room(folder.path(), "gcache.page_size = 9000T").lacks().unwrap().to_string();
        assert!(why.contains(folder.path().to_str().unwrap()) && why.contains("gcache.size"), "{why}");
        assert_eq!(room(&folder.path().join("missing"), "gcache.page_size = 9000T").lacks(), None);
    }
}
