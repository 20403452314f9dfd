//! Everything that is known when the judging begins, and which topic takes what from it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::aside::{self, Masters};
use super::backups::{self, Terms};
use super::finding::Finding;
use super::gcache::{self, Sample};
use super::local::Local;
use super::probe::{self, Answer};
use super::process::ServerProcess;
use super::repository::{self, Donor};
use super::{
    Options, bucket, data, files, flow_control, freeze, garbd, lock, network, node, overflow, program,
    service, settings, space, sql,
};
use crate::capture::user_name;
use crate::catalog::{Catalog, CatalogError};
use crate::config::{RepositoryUrl, ServerOptions};
use crate::members::{Access, Coordinates, IstOutlook, MemberReport, Survey};
use crate::model::Manifest;
use crate::storage;

/// The machine, the cluster, the repository.
pub(super) struct Scene<'a> {
    options: &'a Options<'a>,
    server_options: ServerOptions,
    access: Access,
    survey: Survey,
    local: Local,
    answer: Result<Answer, String>,
    cluster: Option<String>,
    /// None where a file system may hang.
    catalog: Option<Result<Catalog, CatalogError>>,
    begun: Instant,
}

impl<'a> Scene<'a> {
    /// Asks everybody. The repository is read here only after the child has come back from it.
    pub(super) fn look(options: &'a Options<'a>) -> Self {
        let begun = Instant::now();
        let server_options = ServerOptions::from(options.files, &[], None);
        let user = user_name(nix::unistd::geteuid().as_raw());
        let access = Access::new(options.settings, &server_options, user);
        let survey = Survey::take(&access);
        let mut local = Local::find(&survey, &access, &server_options);
        let answer = probe::ask(&local.request(options.settings));
        if let Ok(answer) = &answer {
            local.learn(answer);
        }
        let configured = || server_options.get("wsrep-cluster-name").map(str::to_owned);
        let cluster = local.cluster(options.settings).or_else(configured);
        let read = || Catalog::read(storage::open(options.settings)?.as_ref(), cluster.as_deref());
        let catalog = answer.is_ok().then(read);
        Self { options, server_options, access, survey, local, answer, cluster, catalog, begun }
    }

    /// The cluster, and what was found in the repository; a directory that is not there is none.
    pub(super) fn into_repository(self) -> (Option<String>, Option<Catalog>) {
        let repository = &self.options.settings.repository;
        (self.cluster, self.catalog.and_then(Result::ok).filter(|_| !repository.is_missing_here()))
    }

    fn catalog(&self) -> Option<&Catalog> {
        self.catalog.as_ref()?.as_ref().ok()
    }

    /// The newest backup that can be relied on.
    fn newest(&self) -> Option<&Manifest> {
        self.catalog()?.newest_in(self.survey.history(), self.options.now)
    }

    /// There is a server here, or there should be one.
    fn is_node(&self) -> bool {
        self.local.process.is_some() || self.local.report.is_some() || self.is_configured()
    }

    fn is_configured(&self) -> bool {
        self.server_options.get("wsrep-cluster-address").is_some()
    }

    /// The server and its place in the cluster.
    pub(super) fn server(&self) -> Vec<Finding> {
        let Local { process, report, .. } = &self.local;
        let identity = match process {
            Some(process) => format!("pid {}, user '{}'", process.pid, self.local.user()),
            None => "its process is not visible from here".into(),
        };
        match (report, process) {
            (Some(report), _) => node::judge(report, &self.survey, &identity),
            (None, Some(_)) => vec![Finding::warning(
                "server",
                format!(
                    "a server runs ({identity}) and does not answer SQL: what it says of itself is not known"
                ),
                "run this check as root, or set 'user', 'password' and 'socket' in [wsrep_sst_backup]"
                    .to_owned(),
            )],
            (None, None) if self.is_configured() => vec![Finding::error(
                "server",
                "this machine is configured as a node, and no server runs: it cannot be a donor",
                "systemctl start mariadb; its error log says why it has ended",
            )],
            (None, None) => {
                vec![Finding::ok("server", "no server runs here; what concerns a node is left out")]
            }
        }
    }

    /// The program, its settings and its repository, from where it would run.
    pub(super) fn donor(&self) -> Vec<Finding> {
        let as_root =
            || "run this check as root, on the machine (or in the container) of the server".to_owned();
        let (process, answer) = match (&self.local.process, &self.answer) {
            (Some(process), Ok(answer)) => (process, answer),
            (None, Ok(_)) if self.local.report.is_some() => {
                let text = "which program mysqld would start, and where it would store, cannot be told: the \
                            server's process is not visible from here";
                return vec![Finding::warning("program", text, as_root())];
            }
            (_, Ok(_)) => return Vec::new(),
            (_, Err(why)) => return vec![self.hangs(why)],
        };
        let mut findings = Vec::new();
        if let Some(why) = &answer.astray {
            let text = format!("{why}: what follows is seen from here, not from where the server is");
            findings.push(Finding::warning("server", text, as_root()));
        }
        findings.extend(self.program(process, answer));
        findings.extend(process.unit.as_deref().and_then(service::look));
        if let Some(settings) = &answer.settings {
            let user = self.local.user();
            findings.extend(settings::judge_donor(settings, &self.options.settings.repository, &user));
            if let Ok(settings) = settings {
                let (url, place) = (&settings.repository, &answer.repository);
                let donor = Donor { user: &user, server: Some(process) };
                findings.extend(answer.overlap.as_deref().map(repository::among_the_data));
                findings.extend(match url {
                    RepositoryUrl::Directory(path) => repository::judge(path, place, &donor, path.is_dir()),
                    RepositoryUrl::S3 { .. } => bucket::judge(url, place, &user),
                });
            }
        }
        findings
    }

    fn hangs(&self, why: &str) -> Finding {
        let repository = &self.options.settings.repository;
        let text =
            format!("{repository}: {why}; a file system that does not answer would hang the donor too");
        Finding::error(
            "repository",
            text,
            format!("see whether 'ls {repository}' comes back, and remount it"),
        )
    }

    fn program(&self, process: &ServerProcess, answer: &Answer) -> Vec<Finding> {
        if let Err(why) = &process.environment {
            let text = format!(
                "which program mysqld would start cannot be told, nor settings in its environment: that is hidden ({why})"
            );
            return vec![Finding::warning("program", text, "run this check as root".to_owned())];
        }
        let path = self.local.program_folders(process);
        let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("wsrep_sst_backup"));
        program::judge(&answer.programs, &path, &own, process.unit_name())
    }

    /// Whether a backup fits.
    pub(super) fn space(&self) -> Vec<Finding> {
        let Ok(Answer { data: Some(data), settings: Some(Ok(settings)), repository: place, .. }) =
            &self.answer
        else {
            return Vec::new();
        };
        let RepositoryUrl::Directory(repository) = &settings.repository else { return Vec::new() };
        if !place.is_usable() {
            return Vec::new();
        }
        let ratio = self.newest().and_then(space::Ratio::of);
        space::judge(repository, place, data, ratio, settings.compressed)
    }

    /// What the freeze does to the server and to its cluster, and who does something to the freeze.
    pub(super) fn freeze(&self) -> Vec<Finding> {
        let Ok(Answer { data, settings: Some(Ok(settings)), login, .. }) = &self.answer else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        if let Some(report) = self.local.node() {
            findings.push(flow_control::judge(report, settings.allow_sync_donor));
            findings.extend(lock::judge(report, settings.flush_timeout, login.as_ref()));
        }
        let limited = data.as_ref().zip(settings.limit_rate);
        findings.extend(limited.map(|(data, rate)| freeze::judge(data, rate, settings.freeze_timeout)));
        findings
    }

    /// The backups that there are.
    pub(super) fn backups(&self) -> Vec<Finding> {
        let own = &self.options.settings.repository;
        let location = own.to_string();
        let command = self.take_one();
        let terms = Terms {
            location: &location,
            cluster: self.cluster.as_deref(),
            history: self.survey.history(),
            max_age: self.options.max_age,
            now: self.options.now,
            command: &command,
        };
        match &self.catalog {
            None => Vec::new(),
            // What a donor can do about it is told already.
            Some(Ok(_)) if !self.is_node() && own.is_missing_here() => {
                let text = format!("{location} does not exist here: there is nothing to list or to restore");
                let cure = "mount it, or name it with --repository or the setting 'repository'".to_owned();
                vec![Finding::warning("backups", text, cure)]
            }
            Some(Ok(catalog)) => backups::judge(catalog, &terms),
            Some(Err(error)) => vec![backups::unreadable(error.to_string(), &terms)],
        }
    }

    /// The command that takes a backup of this node.
    fn take_one(&self) -> String {
        let node = self.local.variable("wsrep_node_name");
        let donor = node.map_or_else(String::new, |name| format!(" --donor '{name}'"));
        format!("wsrep_sst_backup backup{donor}")
    }

    /// Who may ask the servers, and what.
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
        let provider = anybody.and_then(MemberReport::provider_version);
        let mut findings = vec![garbd::judge(garbd::Garbd::find().as_ref(), provider)];
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

    /// What a backup of this node would lack.
    pub(super) fn data(&self) -> Vec<Finding> {
        let Some(report) = self.local.node() else { return Vec::new() };
        let session = self.access.local().and_then(|endpoint| self.access.connect(&endpoint).ok());
        let answer = self.answer.as_ref().ok();
        let login = answer.and_then(|answer| answer.login.as_ref());
        let (encryption, engines) = match session {
            Some(mut session) => (session.encryption_plugins().ok(), session.engines().ok()),
            None => (None, None),
        };
        let asked = data::Asked {
            encryption: encryption.or_else(|| login?.encryption.clone()),
            engines: engines.or_else(|| login?.engines.clone()),
            unfrozen: answer.map(|answer| answer.unfrozen.clone()).unwrap_or_default(),
        };
        let settings = answer.and_then(|answer| answer.settings.as_ref()?.as_ref().ok());
        let mut findings =
            data::judge(report, &asked, settings.is_some_and(|settings| settings.allow_rocksdb));
        findings.extend(aside::judge_places(report, &self.local.datadir));
        findings.extend(aside::judge_replication(&self.masters(), self.access.user()));
        findings
    }

    /// The files that a backup would read.
    pub(super) fn files(&self) -> Vec<Finding> {
        let Ok(answer) = &self.answer else { return Vec::new() };
        match (&answer.files, &self.local.process) {
            (Some(seen), _) => files::judge(seen),
            (None, Some(_)) => {
                let text = "whether every file of the server can be read, and whether all that it names are there, cannot \
                            be told: only root or the server's user can try it";
                vec![Finding::warning(files::TOPIC, text, "run this check as root".to_owned())]
            }
            (None, None) => Vec::new(),
        }
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
        let outlook = newest
            .and_then(|newest| gcache::judge_outlook(newest, &IstOutlook::new(&self.survey, &newest.gtid)));
        window.into_iter().chain(outlook).collect()
    }

    fn overflow(
        &self,
        report: &MemberReport,
        hourly: Option<u64>,
        last: Option<Duration>,
    ) -> Option<Finding> {
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
    fn sample(&self, report: &MemberReport, time: Duration) -> Option<Sample> {
        std::thread::sleep(time.saturating_sub(self.begun.elapsed()));
        let endpoint = self.access.local()?;
        let mut session = self.access.connect(&endpoint).ok()?;
        let again = MemberReport::ask(endpoint, &mut session).ok()?;
        Sample::between(report, &again, self.begun.elapsed())
    }
}
