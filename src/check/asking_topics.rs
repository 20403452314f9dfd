//! The topics of a check for which servers are asked once more, while they are judged.

use std::time::Duration;

use super::facts::CheckFacts;
use super::finding::Finding;
use super::gcache::{self, GcacheTraffic};
use super::left_out::{self, Masters};
use super::{data, garbd, network, node, overflow, sql};
use crate::catalog::later_but_lower;
use crate::cluster::{Coordinates, IstOutlook, NodeReport};
use crate::model::Manifest;

impl CheckFacts<'_> {
    /// The accounts with which the donor and this command ask the servers.
    pub(super) fn sql(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let login = self.answer.as_ref().ok().and_then(|answer| answer.login.as_ref());
        if let Some(login) = login {
            let version = self.local.variable("version").and_then(node::numbers);
            let is_passed = version.is_some_and(|version| version >= (11, 6));
            findings
                .push(sql::judge_donor(login, is_passed || self.local.variable("wsrep_sst_auth").is_some()));
        } else if self.local.process.is_some() {
            let text =
                "whether the donor can log in cannot be told: only root or the server's user can try it";
            findings.push(Finding::warning("SQL", text, "run this check as root".to_owned()));
        }
        let server =
            self.access.local().filter(|_| self.local.process.is_some() || self.local.report.is_some());
        let mut members_refused = None;
        match server.map(|endpoint| self.access.connect(&endpoint)) {
            Some(Ok(mut session)) => members_refused = session.cluster_members().err(),
            Some(Err(why)) => findings.push(Finding::warning(
                "SQL",
                format!("this command has {why}. Without it neither the allow-list nor the other members are looked at"),
                format!(
                    "set 'user' and 'password' in [wsrep_sst_backup], or: CREATE USER '{}'@localhost IDENTIFIED VIA \
                     unix_socket",
                    self.access.user()
                ),
            )),
            None => {}
        }
        let donor = login.map(|login| login.user.as_str());
        findings.extend(sql::judge_own(&self.survey, &self.access, members_refused.as_deref(), donor));
        findings
    }

    /// How garbd gets into the group.
    pub(super) fn group(&self) -> Vec<Finding> {
        let anybody = self.local.report.as_ref().or(self.survey.reports.first());
        let provider = anybody.and_then(NodeReport::provider_version);
        let mut findings = vec![garbd::judge(garbd::GarbdProgram::find().as_ref(), provider)];
        let Some(report) = self.local.node() else { return findings };
        let options = report.variable("wsrep_provider_options").unwrap_or_default();
        findings.push(network::judge_tls(options, &self.local.datadir));
        if let Some(Ok(mut session)) = self.access.local().map(|endpoint| self.access.connect(&endpoint)) {
            let sources = network::source_addresses(&Coordinates::from_report(report));
            findings.push(network::judge_allowlist(
                &session.allowlist(),
                &sources,
                report,
                self.access.user(),
            ));
        }
        findings
    }

    /// What a backup of this server would lack.
    pub(super) fn data(&self) -> Vec<Finding> {
        let Some(report) = &self.local.report else { return Vec::new() };
        let session = self.access.local().and_then(|endpoint| self.access.connect(&endpoint).ok());
        let answer = self.answer.as_ref().ok();
        let login = answer.and_then(|answer| answer.login.as_ref());
        let (encryption, engines) = match session {
            Some(mut session) => (session.encryption_plugins().ok(), session.engines().ok()),
            None => (None, None),
        };
        let asked = data::DataFacts {
            encryption: encryption.or_else(|| login?.encryption.clone()),
            engines: engines.or_else(|| login?.engines.clone()),
            unfrozen: answer.map(|answer| answer.unfrozen.clone()).unwrap_or_default(),
        };
        let settings = answer.and_then(|answer| answer.settings.as_ref()?.as_ref().ok());
        let mut findings =
            data::judge(report, &asked, settings.is_some_and(|settings| settings.allow_rocksdb));
        findings.extend(left_out::judge_places(report, &self.local.datadir));
        // A backup by `run` of a server that is no node has its masters.
        if self.local.node().is_some() {
            findings.extend(left_out::judge_replication(&self.masters(), self.access.user()));
        }
        findings
    }

    /// From whom this node replicates.
    fn masters(&self) -> Masters {
        let session = self.access.local().ok_or_else(|| "no SQL".to_owned());
        let status = session
            .and_then(|endpoint| self.access.connect(&endpoint))
            .and_then(|mut session| session.replica_status());
        match status {
            Ok(status) => Masters::Told(status.into_iter().map(|status| status.connection).collect()),
            Err(why) => {
                let has_files = self.answer.as_ref().is_ok_and(|answer| answer.is_replica);
                Masters::Untold { why, has_files }
            }
        }
    }

    /// Whether restored nodes would join by IST, and whether the cache holds what comes during a freeze.
    pub(super) fn ist(&self) -> Vec<Finding> {
        let newest = self.newest();
        let mut window = Vec::new();
        if let Some(report) = self.local.node() {
            let sample = self.options.sample.and_then(|time| self.sample(report, time));
            window.push(gcache::judge_window(report, sample));
            let frozen = newest.map(|newest| Duration::from_millis(newest.frozen_ms));
            window.extend(self.overflow(report, gcache::fastest(report, sample), frozen));
        }
        let outlook = newest.and_then(|newest| gcache::judge_outlook(newest, &self.outlook(newest)?));
        window.into_iter().chain(outlook).collect()
    }

    /// For a node that would be restored from this backup.
    fn outlook(&self, newest: &Manifest) -> Option<IstOutlook> {
        let records = self.catalog().into_iter().flat_map(|catalog| &catalog.records);
        let later =
            later_but_lower(records, newest).map(|later| (later.id.to_string(), later.lineage().seqno));
        IstOutlook::with_later(Some(IstOutlook::new(&self.survey, newest.gtid.as_ref()?)), later)
    }

    fn overflow(&self, report: &NodeReport, hourly: Option<u64>, last: Option<Duration>) -> Option<Finding> {
        let answer = self.answer.as_ref().ok()?;
        let settings = answer.settings.as_ref()?.as_ref().ok()?;
        overflow::judge(&overflow::Scale {
            options: report.variable("wsrep_provider_options").unwrap_or_default(),
            hourly: hourly.filter(|hourly| *hourly > 0),
            last,
            limit: settings.freeze_timeout,
            directory: &self.local.gcache(),
            free: answer.gcache_free,
        })
    }

    /// Asks once more when the time is over; what has gone by since the beginning counts.
    fn sample(&self, report: &NodeReport, time: Duration) -> Option<GcacheTraffic> {
        std::thread::sleep(time.saturating_sub(self.begun.elapsed()));
        let endpoint = self.access.local()?;
        let mut session = self.access.connect(&endpoint).ok()?;
        let again = NodeReport::ask(endpoint, &mut session).ok()?;
        GcacheTraffic::between(report, &again, self.begun.elapsed())
    }
}
