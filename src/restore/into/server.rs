//! The server that a dump is to be loaded into: what it is, and what speaks against it.

use std::collections::BTreeMap;
use std::path::Path;

use super::accounts::Grantee;
use super::error::LoadError;
use super::filter::WantedUnits;
use super::request::LoadRequest;
use super::sections::SYSTEM;
use super::survey::DumpSurvey;

use crate::cluster::{NodeReport, NodeState};
use crate::model::HostPort;
use crate::sql::{Endpoint, SqlSession};
use crate::tool::ReleaseSeries;
use crate::ui::bytes;

/// Bytes of a packet beside its statement.
const PACKET_HEAD: u64 = 1024;
/// What `max_allowed_packet` can be at most.
const LARGEST_PACKET: u64 = 1 << 30;
/// Most names in a message.
const MOST_NAMES: usize = 10;

/// What a server says of itself.
#[derive(Debug)]
pub(super) struct TargetServer {
    pub(super) version: String,
    /// The number of nodes, where it is one.
    pub(super) nodes: Option<u64>,
    report: NodeReport,
    max_allowed_packet: u64,
    read_only: bool,
    /// Databases, with the number of their tables.
    databases: BTreeMap<String, u64>,
    pub(super) accounts: Vec<Grantee>,
    pub(super) own: Grantee,
}

impl TargetServer {
    /// Asks it.
    pub(super) fn look(endpoint: &Endpoint, session: &mut SqlSession) -> Result<Self, String> {
        let report = NodeReport::ask(endpoint.clone(), session)?;
        let variables = session.variables(&["max_allowed_packet", "read_only"])?;
        let number = |name: &str| variables.get(name).and_then(|value| value.parse().ok());
        let is_galera = report.variable("wsrep_on") == Some("ON")
            && report.status("wsrep_cluster_status").is_some_and(|status| status != "Disconnected");
        let size = report.number("wsrep_cluster_size").and_then(|size| u64::try_from(size).ok());
        let own = session.current_user()?;
        let (user, host) = own.rsplit_once('@').unwrap_or((&own, ""));
        Ok(Self {
            version: report.variable("version").unwrap_or_default().to_owned(),
            nodes: is_galera.then(|| size.unwrap_or(1)),
            max_allowed_packet: number("max_allowed_packet").unwrap_or(LARGEST_PACKET),
            read_only: variables.get("read_only").is_some_and(|value| value.eq_ignore_ascii_case("ON")),
            databases: session.databases()?.into_iter().collect(),
            accounts: session.accounts()?,
            own: (user.to_owned(), host.to_owned()),
            report,
        })
    }

    /// What speaks against any load.
    pub(super) fn refuse_as_it_is(&self, place: &Endpoint) -> Result<(), LoadError> {
        let refused = |why: String| Err(LoadError::Refused(why));
        if self.nodes.is_some() && !self.report.is_synced() {
            let (state, component) =
                (self.report.state(), self.report.status("wsrep_cluster_status").unwrap_or("?"));
            let cure = match state {
                _ if !self.report.is_primary() => {
                    "its cluster has no quorum: mend that first, or name a node of the Primary component"
                }
                NodeState::Donor => {
                    "it gives a state transfer or is desynced: wait for its end, or name another node"
                }
                _ => "wait until it is Synced, or name another node",
            };
            return refused(format!("the node at '{place}' is {state}, {component}: {cure}"));
        }
        if self.read_only {
            return refused(format!(
                "the server at '{place}' is read_only: if it is a replica, load the dump into its master; else SET GLOBAL \
                 read_only=OFF first"
            ));
        }
        Ok(())
    }

    /// What speaks against this dump.
    pub(super) fn refuse(
        &self,
        request: &LoadRequest,
        survey: &DumpSurvey,
        wanted: &WantedUnits,
    ) -> Result<(), LoadError> {
        let dump = survey.version.as_deref().and_then(ReleaseSeries::read);
        let here = ReleaseSeries::read(&self.version);
        if let (Some(dump), Some(here), false) = (dump, here, request.any_server)
            && dump > here
        {
            return Err(LoadError::Refused(format!(
                "the dump is of a server of {dump}, and the one at '{}' is of {here} ({}): it may not know what stands in the dump; \
                 load it into a server of {dump} or later, or add --any-server to try it: it stops at the first statement that \
                 the server refuses",
                request.endpoint, self.version
            )));
        }
        if wanted.system_tables {
            self.refuse_system_tables(request, dump, here)?;
        }
        self.refuse_existing(request, survey, wanted)?;
        let needed = survey.longest.saturating_add(PACKET_HEAD);
        if needed > self.max_allowed_packet {
            let value = needed.next_multiple_of(1 << 20).min(LARGEST_PACKET);
            return Err(LoadError::Refused(format!(
                "the statement at line {} of the dump has {}, and the server at '{}' takes no more than {} \
                 (max_allowed_packet): SET GLOBAL max_allowed_packet={value} there",
                survey.longest_line,
                bytes(survey.longest),
                request.endpoint,
                bytes(self.max_allowed_packet)
            )));
        }
        self.refuse_without_room(request, survey, wanted)
    }

    fn refuse_system_tables(
        &self,
        request: &LoadRequest,
        dump: Option<ReleaseSeries>,
        here: Option<ReleaseSeries>,
    ) -> Result<(), LoadError> {
        if self.nodes.is_some() {
            return Err(LoadError::Refused(format!(
                "--system-tables: the server at '{}' is a Galera node. DROP TABLE mysql.global_priv would reach every node, and the \
                 rows only this one: nobody could log in on the others. Leave --system-tables out; --users makes users and grants \
                 by statements, which every node carries out",
                request.endpoint
            )));
        }
        if dump.is_none() || dump != here {
            let dump =
                dump.map_or_else(|| "a version that it does not tell".into(), |series| series.to_string());
            return Err(LoadError::Refused(format!(
                "--system-tables: the dump is of {dump}, the server at '{}' of {}: its own tables have another form. Leave \
                 --system-tables out; --users makes users and grants by statements",
                request.endpoint, self.version
            )));
        }
        Ok(())
    }

    fn refuse_existing(
        &self,
        request: &LoadRequest,
        survey: &DumpSurvey,
        wanted: &WantedUnits,
    ) -> Result<(), LoadError> {
        if let Some(database) = request.default_database(survey)
            && !self.databases.contains_key(database)
        {
            return Err(LoadError::Refused(format!(
                "the dump names no database, and there is none '{database}' at '{}': CREATE DATABASE `{database}` there first",
                request.endpoint
            )));
        }
        if request.overwrite {
            return Ok(());
        }
        let names = survey.held.iter().filter(|held| wanted.has(held.name.as_deref()));
        let names =
            names.filter_map(|held| held.name.as_deref().or_else(|| request.default_database(survey)));
        let full: Vec<String> = names
            .filter(|name| *name != SYSTEM)
            .filter_map(|name| Some((name, self.databases.get(name).filter(|tables| **tables > 0)?)))
            .map(|(name, tables)| format!("{name} (tables {tables})"))
            .collect();
        if full.is_empty() {
            return Ok(());
        }
        Err(LoadError::Refused(format!(
            "the server at '{}' has tables already in {}, which the dump holds too: --overwrite drops each table of the dump there and \
             makes it anew, and leaves others alone; --database takes one database of the dump",
            request.endpoint,
            some_of(&full)
        )))
    }

    /// Where its data directory is on this machine. Tables take about as much as their statements, so that only what is much less
    /// is refused.
    fn refuse_without_room(
        &self,
        request: &LoadRequest,
        survey: &DumpSurvey,
        wanted: &WantedUnits,
    ) -> Result<(), LoadError> {
        let Some(datadir) = self.report.variable("datadir").filter(|_| is_local(&request.endpoint)) else {
            return Ok(());
        };
        let Ok(stat) = nix::sys::statvfs::statvfs(Path::new(datadir)) else { return Ok(()) };
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        let held = survey.held.iter().filter(|held| wanted.has(held.name.as_deref()));
        let needed = held.fold(0_u64, |sum, held| sum.saturating_add(held.bytes));
        if free >= needed {
            return Ok(());
        }
        let text = format!(
            "'{datadir}' of the server has {} free, and the statements of the dump are {}",
            bytes(free),
            bytes(needed)
        );
        // What is there is dropped first, table by table.
        if free < needed / 2 && !request.overwrite {
            return Err(LoadError::Refused(format!("{text}: it does not fit; make room there first")));
        }
        log::warn!("{text}: it may not fit");
        Ok(())
    }
}

/// Whether a server is on this machine, by the way to it.
fn is_local(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Socket(_) => true,
        Endpoint::Tcp(HostPort { host, .. }) => {
            host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    }
}

/// The first names of a list, and how many more there are.
pub(super) fn some_of(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
