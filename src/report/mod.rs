//! One self-contained page about a repository: the state of each backup, and how sizes and freezes have gone.
//!
//! Pure: what is known goes in, HTML comes out. The page needs no network and no script, and forbids both to the
//! browser; it follows the reader's colours and width. All text of others (names, notes, errors) goes through
//! [`markup`], which lets none of it become markup.

mod attention;
mod axis;
mod backups;
mod cluster;
mod data;
mod markup;
mod page;
mod plot;
mod plots;
mod runs;
mod text;

pub use data::{AttemptRow, Backup, Cluster, PruneForecast, ReportData};

impl ReportData {
    /// The page.
    pub fn html(&self) -> String {
        page::page(self)
    }
}

#[cfg(test)]
mod tests;
