//! The topics that are judged from the facts of a check alone.

use std::path::PathBuf;

use super::backups::{self, Terms};
use super::dumps;
use super::facts::CheckFacts;
use super::finding::Finding;
use super::local::Local;
use super::probe::ProbeAnswer;
use super::process::ServerProcess;
use super::repository::{self, DonorProgram};
use super::{
    bucket, capture_method, desync, files, flow_control, freeze, lock, node, own_settings, program, rest,
    run_service, service, snapshot, space,
};
use crate::config::RepositoryUrl;

impl CheckFacts<'_> {
    /// What a `run` that was killed has left.
    pub(super) fn left(&self) -> Vec<Finding> {
        desync::judge(&self.left).into_iter().collect()
    }

    /// The server and its place in the cluster.
    pub(super) fn server(&self) -> Vec<Finding> {
        let Local { process, report, .. } = &self.local;
        let identity = match process {
            Some(process) => {
                let root = process.root.as_ref();
                let root = root.map_or_else(String::new, |root| {
                    format!(", in the root directory {}: paths are those in there", root.display())
                });
                format!("pid {}, user '{}'{root}", process.pid, self.local.user())
            }
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
                format!(
                    "this machine is configured as a node, and no server runs{}: it cannot be a donor",
                    if self.local.others.is_empty() { "" } else { " with these option files" }
                ),
                "systemctl start mariadb; its error log says why it has ended",
            )],
            (None, None) if !self.local.others.is_empty() => vec![strangers(&self.local)],
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
            findings.extend(own_settings::judge_donor(settings, &self.options.settings.repository, &user));
            if let Ok(settings) = settings {
                let (url, place) = (&settings.repository, &answer.repository);
                let donor = DonorProgram { user: &user, server: Some(process) };
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

    fn program(&self, process: &ServerProcess, answer: &ProbeAnswer) -> Vec<Finding> {
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
        let Ok(ProbeAnswer { data: Some(data), settings: Some(Ok(settings)), repository: place, .. }) =
            &self.answer
        else {
            return Vec::new();
        };
        let RepositoryUrl::Directory(repository) = &settings.repository else { return Vec::new() };
        if !place.is_usable() {
            return Vec::new();
        }
        let ratio = self.newest().and_then(space::Ratio::of);
        space::judge(repository, place, &data.size, ratio, settings.compressed)
    }

    /// By what a backup would be taken. Whoever is not the server's user cannot try what the donor can.
    pub(super) fn capture_method(&self) -> Vec<Finding> {
        let Ok(ProbeAnswer { data: Some(data), settings: Some(Ok(settings)), files: Some(_), login, .. }) =
            &self.answer
        else {
            return Vec::new();
        };
        let [of_node, of_other] = &data.run;
        let is_node = self.local.node().is_some();
        let run = if is_node { of_node } else { of_other };
        let powerless = login.as_ref().filter(|login| is_node && login.may_desync == Some(false));
        let mut findings = vec![
            capture_method::judge(&settings.method, &data.method, &data.size),
            capture_method::judge_run(&settings.method, run, powerless.map(|login| login.user.as_str())),
        ];
        findings.extend(run_service::look(&self.local.places_of_run()));
        findings
    }

    /// The administrator's own snapshot.
    pub(super) fn snapshot(&self) -> Vec<Finding> {
        self.snapshot.iter().flat_map(|seen| snapshot::judge(seen, &self.local.user())).collect()
    }

    /// The freeze: what it does to the server and to its cluster, and what may hold it up.
    pub(super) fn freeze(&self) -> Vec<Finding> {
        let Ok(ProbeAnswer { data, settings: Some(Ok(settings)), login, .. }) = &self.answer else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        if let Some(report) = self.local.node() {
            findings.push(flow_control::judge(report, settings.allow_sync_donor));
            findings.extend(lock::judge(report, settings.flush_timeout, login.as_ref()));
            findings.extend(rest::judge(report));
        }
        let limited = data.as_ref().zip(settings.limit_rate);
        findings.extend(limited.and_then(|(data, rate)| {
            freeze::judge(data.method.as_ref().ok()?, &data.size, rate, settings.freeze_timeout)
        }));
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
        if let Some(found) = &self.too_deep {
            let text = format!("{}{}", found.words(), found.strays());
            let cure = "correct the setting 'repository', also on the other nodes, or --repository";
            return vec![Finding::error("repository", text, cure)];
        }
        if let Some(why) = &self.unusable {
            return if self.donor_has_told_of(own) {
                Vec::new()
            } else {
                vec![repository::unusable(own, why)]
            };
        }
        match &self.catalog {
            None => Vec::new(),
            // What a donor can do about it is told already.
            Some(Ok(_)) if !self.is_node() && own.is_missing_here() => {
                let text = format!("{location} does not exist here: there is nothing to list or to restore");
                let cure = "mount it, or name it with --repository or the setting 'repository'".to_owned();
                vec![Finding::warning("backups", text, cure)]
            }
            Some(Ok(catalog)) => dumps::judge(catalog, &terms),
            Some(Err(error)) => vec![backups::unreadable(error.to_string(), &terms)],
        }
    }

    /// Whether that this repository cannot be used is told of the donor, who has the same.
    fn donor_has_told_of(&self, own: &RepositoryUrl) -> bool {
        let Ok(ProbeAnswer { settings: Some(Ok(settings)), repository: place, .. }) = &self.answer else {
            return false;
        };
        self.local.process.is_some() && settings.repository == *own && place.is_refused()
    }

    /// The command that takes a backup of this node.
    fn take_one(&self) -> String {
        let node = self.local.variable("wsrep_node_name");
        let donor = node.map_or_else(String::new, |name| format!(" --donor '{name}'"));
        format!("wsrep_sst_backup backup{donor}")
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
}

/// Servers that run here and are none of these option files.
fn strangers(local: &Local) -> Finding {
    let file =
        |file: &Option<PathBuf>| file.as_ref().map(|file| format!("--defaults-file={}", file.display()));
    let told = local.others.iter().map(|(pid, named)| match file(named) {
        Some(flag) => format!("pid {pid} ({flag})"),
        None => format!("pid {pid}"),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let (runs, none) = match local.others.len() {
        1 => ("a server runs here", "it does not belong"),
        _ => ("servers run here", "none of them belongs"),
    };
    let text = format!(
        "{runs} ({told}), and {none} to these option files (data directory {}): what concerns a node is left out",
        local.datadir.display()
    );
    let flag = match local.others.as_slice() {
        [(_, named)] => file(named),
        _ => None,
    };
    let flag = flag.unwrap_or_else(|| "--defaults-file=FILE, with the option file of that server".into());
    Finding::warning("server", text, format!("wsrep_sst_backup check {flag}"))
}
