//! What has happened on a donor whose backup the repository does not know: was the server frozen or not?
//!
//! A program that answers mysqld asks for `flush tables`, which mysqld runs as a statement of its own
//! (`sql/wsrep_sst.cc`, `sst_flush_tables`): `Com_flush` grows by one (seen on 10.11.19 with the stock script and with ours,
//! and that it does not grow where the program fails at once or is not there). So a grown count without a backup in
//! this repository hints that another program has answered, or that ours writes elsewhere. It is a hint only: whoever flushes
//! tables there counts too, such as another `backup` that looks whether the lock is to be had.

use std::collections::HashMap;

use crate::cluster::{Access, NodeReport, Survey};
use crate::sql::Endpoint;

/// `Com_flush` of the members, before the request.
#[derive(Debug, Clone, Default)]
pub struct Flushes(HashMap<String, u64>);

impl Flushes {
    /// Counts those of the members that answer.
    pub fn look(access: &Access, survey: &Survey) -> Self {
        let count = |report: &NodeReport| Some((report.name().to_owned(), count(access, &report.endpoint)?));
        Self(survey.reports.iter().filter_map(count).collect())
    }

    /// Whether the tables of this member were flushed since; nothing where that is not known.
    pub(super) fn have_grown(&self, access: &Access, donor: &str, endpoint: &Endpoint) -> Option<bool> {
        let before = self.0.get(donor)?;
        Some(count(access, endpoint)? > *before)
    }
}

fn count(access: &Access, endpoint: &Endpoint) -> Option<u64> {
    let status = access.connect(endpoint).and_then(|mut session| session.status("com_flush")).ok()?;
    status.get("com_flush")?.parse().ok()
}
