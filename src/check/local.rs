//! The server of this machine, from all who can tell something about it.

use std::path::{Path, PathBuf};

use super::probe::ProbeAnswer;
use super::probe_request::{ProbeRequest, ProbeUser};
use super::process::ServerProcess;
use super::program;
use crate::capture::gcache_option;
use crate::cluster::{Access, NodeReport, Survey};
use crate::config::{ServerOptions, Settings};
use crate::server::DEFAULT_DATADIR;
use crate::sql::Endpoint;
use crate::users::user_name;

/// Where MariaDB's packages install it; `basedir` of a server that does not answer.
const BASEDIR: &str = "/usr/";

/// Variables that name directories of the server's files.
const DIRECTORIES: [&str; 4] =
    ["innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory", "aria_log_dir_path"];

/// What is known of it.
pub(super) struct Local {
    pub(super) process: Option<ServerProcess>,
    /// The servers that run here, where none of them is the one of these option files: process and option file.
    pub(super) others: Vec<(i32, Option<PathBuf>)>,
    pub(super) report: Option<NodeReport>,
    pub(super) datadir: PathBuf,
    socket: Option<PathBuf>,
}

impl Local {
    /// By its own answer, else by its option files.
    pub(super) fn find(survey: &Survey, access: &Access, options: &ServerOptions) -> Self {
        let report = survey.local().cloned();
        let variable = |name: &str| report.as_ref().and_then(|report| report.variable(name));
        let datadir = variable("datadir").or_else(|| options.get("datadir")).unwrap_or(DEFAULT_DATADIR);
        let datadir: PathBuf = Path::new(datadir).components().collect();
        let pid_file =
            variable("pid_file").or_else(|| options.get("pid-file")).map(|file| datadir.join(file));
        let process = ServerProcess::find(pid_file.as_deref(), &datadir);
        let is_here = process.is_some() || report.is_some();
        let others = if is_here { Vec::new() } else { ServerProcess::all() };
        Self { process, others, report, datadir, socket: access.socket.clone() }
    }

    /// Takes over what the server has told the donor's account, where it has not answered ours.
    pub(super) fn learn(&mut self, answer: &ProbeAnswer) {
        if let (None, Some(login)) = (&self.report, &answer.login)
            && !login.variables.is_empty()
        {
            let endpoint = Endpoint::Socket(login.socket.clone().into());
            let report = NodeReport::from_parts(endpoint, login.variables.clone(), login.status.clone());
            self.report = Some(report);
        }
    }

    /// A variable of the server, where it has answered.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.report.as_ref()?.variable(name)
    }

    /// Its answer, if it is a node of a cluster.
    pub(super) fn node(&self) -> Option<&NodeReport> {
        self.report.as_ref().filter(|report| report.provider_version().is_some())
    }

    /// The name of its user.
    pub(super) fn user(&self) -> String {
        let Some(process) = &self.process else { return "mysql".into() };
        user_name(process.uid).unwrap_or_else(|| process.uid.to_string())
    }

    /// The folders in which mysqld looks for the program.
    pub(super) fn program_folders(&self, process: &ServerProcess) -> Vec<PathBuf> {
        program::folders(process.variable("PATH"), Path::new(self.variable("basedir").unwrap_or(BASEDIR)))
    }

    /// Where Galera keeps its write-set cache, and puts what that has no room for.
    pub(super) fn gcache(&self) -> PathBuf {
        let named = self.variable("wsrep_provider_options").and_then(gcache_option);
        let home = named.or_else(|| self.variable("wsrep_data_home_dir"));
        home.map_or_else(|| self.datadir.clone(), |home| self.datadir.join(home).components().collect())
    }

    /// The directories in which a `run` makes clones of the server's files, and that of the socket, beside which it leaves a note.
    pub(super) fn places_of_run(&self) -> Vec<PathBuf> {
        let named = DIRECTORIES.iter().filter_map(|name| self.variable(name)).filter(|path| !path.is_empty());
        let named = named.map(|path| self.datadir.join(path).components().collect());
        let of_socket = self.socket.as_deref().and_then(Path::parent).map(Path::to_path_buf);
        [self.datadir.clone()].into_iter().chain(named).chain(of_socket).collect()
    }

    /// The cluster whose backups are looked at.
    pub(super) fn cluster(&self, settings: &Settings) -> Option<String> {
        settings.cluster.clone().or_else(|| self.variable("wsrep_cluster_name").map(str::to_owned))
    }

    /// What the child is to do: as the server where we can become it, else as ourselves.
    pub(super) fn request(&self, settings: &Settings) -> ProbeRequest {
        let Some(process) = &self.process else {
            // The settings of this command, as nothing else is known.
            let repository = settings.repository.to_string();
            let environment = vec![("WSREP_SST_BACKUP_REPOSITORY".into(), repository)];
            return ProbeRequest { environment, ..ProbeRequest::default() };
        };
        let us = nix::unistd::geteuid();
        let can_become = us.is_root() || us.as_raw() == process.uid;
        let defaults = process.defaults();
        ProbeRequest {
            // Who may not enter another root says so.
            enter: ((us.is_root() && process.own_mounts == Some(true)) || process.root.is_some())
                .then_some(process.pid),
            become_user: can_become.then(|| ProbeUser {
                uid: process.uid,
                gid: process.gid,
                groups: process.groups.clone(),
            }),
            environment: process.environment.clone().unwrap_or_default(),
            defaults_file: defaults.defaults_file,
            defaults_extra_file: defaults.defaults_extra_file,
            group_suffix: defaults.group_suffix,
            arguments: process.args.clone(),
            path: self.program_folders(process),
            datadir: Some(self.datadir.clone()),
            binlog_base: self.variable("log_bin_basename").map(PathBuf::from),
            gcache: Some(self.gcache()),
            socket: self.socket.clone(),
            cluster: self.cluster(settings),
        }
    }
}
