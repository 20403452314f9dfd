//! The files that a backup would read: the look that the donor takes before it freezes its server, taken beforehand.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::freeze::Forecast;
use super::probe_request::ProbeRequest;
use super::space::DataSize;
use crate::capture::{
    self, Engines, Entry, Facts, FileList, ListOptions, Login, Overlap, Prospect, ServerLayout, Tablespaces,
};
use crate::config::{OptionFiles, RepositoryUrl, Settings};
use crate::quiesce::Files;
use crate::server::Server;
use crate::sst::Credentials;
use crate::ui::grouped;
use crate::volume_snapshot::SnapshotCommands;

pub(super) const TOPIC: &str = "files";
/// Longest look; the child that takes it has other things to do.
const LIMIT: Duration = Duration::from_secs(20);
/// Of each kind of finding; the others are counted.
const TOLD: usize = 5;

/// The files that a backup would read, as far as the child has seen them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FilesSeen {
    /// Why there is no list.
    pub(super) failure: Option<String>,
    /// Files, directories and links.
    pub(super) entries: u64,
    /// Bytes with holes.
    pub(super) bytes: u64,
    /// Tablespaces that the server names, where it was asked.
    pub(super) tablespaces: Option<u64>,
    /// The time was over before all was seen.
    pub(super) is_cut: bool,
    /// The first of what a donor refuses, and how much there is.
    pub(super) objections: (Vec<String>, u64),
    /// How the repository and the server's files lie in each other, if they do.
    pub(super) overlap: Option<String>,
    /// The first of what a backup warns of, and how much there is.
    pub(super) warnings: (Vec<String>, u64),
}

/// The data as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) size: DataSize,
    /// What a backup would be taken by; the text says why by nothing.
    pub(super) method: Result<Forecast, String>,
    /// The same of one by `run`: on a node of a cluster, and on another server.
    pub(super) run: [Result<Forecast, String>; 2],
}

impl Measured {
    /// Of a list of files, as far as it was made.
    fn of(layout: &ServerLayout, facts: &mut Facts, list: &FileList, settings: &Settings) -> Self {
        let size = DataSize {
            apparent: list.bytes,
            allocated: list.stored,
            files: list.entries.len() as u64,
            complete: !list.is_cut && list.objections.is_empty(),
            device: fs::metadata(&layout.datadir).ok().map(|data| data.dev()),
        };
        let commands = SnapshotCommands::of(settings);
        let has_sql = facts.sql.is_some();
        let tablespaces = Tablespaces::of_server(facts, &layout.datadir).map_err(|why| {
            // mysqld may have a better one for its donor.
            if has_sql { why } else { format!("{why} with the account that this check has") }
        });
        let prospect = Prospect {
            is_plain: settings.plain_tar,
            layout,
            files: list,
            rate: settings.limit_rate,
            worth: Files::Clean,
            snapshot: commands.as_ref(),
            tablespaces: tablespaces.as_ref().map_err(String::as_str),
        };
        let choose = |offered: &[Files]| {
            capture::choose(&settings.method, offered, &prospect, &[]).map(Forecast::from)
        };
        Self {
            size,
            method: choose(&[Files::Clean]),
            run: [true, false].map(|is_node| choose(capture::offered_by_run(&settings.method, is_node))),
        }
    }
}

/// What the donor program knows before it lists its files.
pub(super) struct DonorFiles<'a> {
    /// The text says why there can be no look.
    server: Result<(ServerLayout, Facts), String>,
    engines: Engines,
    settings: &'a Settings,
}

impl<'a> DonorFiles<'a> {
    /// Asks the server as the donor does.
    pub(super) fn prepare(request: &ProbeRequest, datadir: &Path, settings: &'a Settings) -> Self {
        let found = server(request, datadir);
        let mut server =
            OptionFiles::read(&found.defaults).map_err(|error| error.to_string()).and_then(|files| {
                let login =
                    Login::new(datadir, found.socket.as_deref(), Some(settings), &Credentials::default());
                let facts = capture::gather(&found, &files, &login);
                let layout = ServerLayout::new(&found, &facts).map_err(|error| error.to_string())?;
                Ok((layout, facts))
            });
        let engines = match &mut server {
            Ok((layout, facts)) => Engines::ask(facts, &layout.datadir.clone()),
            Err(_) => Engines::default(),
        };
        Self { server, engines, settings }
    }

    /// Where it is a directory.
    fn repository(&self) -> Option<&'a Path> {
        match &self.settings.repository {
            RepositoryUrl::Directory(path) => Some(path),
            RepositoryUrl::S3 { .. } => None,
        }
    }

    fn options(&self) -> ListOptions {
        ListOptions {
            binlogs: self.settings.binlogs,
            // What is refused for its engine is a topic of its own.
            allow_unfrozen: true,
            unfrozen: self.engines.unfrozen.clone(),
            until: Some(Instant::now() + LIMIT),
            ..ListOptions::default()
        }
    }

    /// How large the data is, for somebody who may not read it.
    pub(super) fn measure(self) -> Option<Measured> {
        let options = self.options();
        let (layout, mut facts) = self.server.ok()?;
        let list = capture::list_files(&layout, &options).ok()?;
        Some(Measured::of(&layout, &mut facts, &list, self.settings))
    }

    /// How the repository and the directories that the server names lie in each other, if they do.
    pub(super) fn overlap(&self) -> Option<String> {
        overlap(self.repository()?, &self.server.as_ref().ok()?.0, &[])
    }

    /// The directories of engines that are not frozen, as far as they are there.
    pub(super) fn unfrozen(&self) -> Vec<(PathBuf, String)> {
        let Ok((layout, _)) = &self.server else { return Vec::new() };
        let usual = ["#rocksdb", ".rocksdb"].map(|name| (layout.datadir.join(name), "MyRocks"));
        let mut all: Vec<(PathBuf, String)> = usual
            .into_iter()
            .chain(self.engines.unfrozen.iter().cloned())
            .filter(|(folder, _)| folder.is_dir())
            .map(|(folder, engine)| (folder, engine.to_owned()))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// Looks at all files, and opens them.
    pub(super) fn take(self) -> (FilesSeen, Option<Measured>) {
        let (options, repository, settings) = (self.options(), self.repository(), self.settings);
        let outcome = self.server.and_then(|(layout, mut facts)| {
            let (list, demands) =
                capture::look_ahead(&layout, &mut facts, &options).map_err(|error| error.to_string())?;
            let overlap = repository.and_then(|path| overlap(path, &layout, &list.entries));
            let measured = Measured::of(&layout, &mut facts, &list, settings);
            Ok((list, demands, overlap, measured))
        });
        let (list, demands, overlap, measured) = match outcome {
            Ok(found) => found,
            Err(failure) => return (FilesSeen { failure: Some(failure), ..FilesSeen::default() }, None),
        };
        let objections = list.objections.into_iter().map(|objection| objection.text).collect();
        // The topic `data` tells of engines.
        let warnings =
            list.warnings.into_iter().filter(|text| !text.contains("tables are not in this backup"));
        let seen = FilesSeen {
            failure: None,
            entries: list.entries.len() as u64,
            bytes: list.bytes,
            tablespaces: demands.tablespaces().map(|count| count as u64),
            is_cut: list.is_cut,
            overlap,
            objections: first(objections),
            warnings: first(warnings.collect()),
        };
        (seen, Some(measured))
    }
}

fn overlap(repository: &Path, layout: &ServerLayout, entries: &[Entry]) -> Option<String> {
    Overlap::find(repository, layout, entries).map(|overlap| overlap.text(repository))
}

fn first(mut texts: Vec<String>) -> (Vec<String>, u64) {
    let count = texts.len() as u64;
    texts.truncate(TOLD);
    (texts, count)
}

/// The server as its process names it.
fn server(request: &ProbeRequest, datadir: &Path) -> Server {
    Server {
        datadir: datadir.to_path_buf(),
        socket: request.socket.clone(),
        defaults: request.defaults(),
        arguments: request.arguments.clone(),
        binlog: request.binlog_base.as_ref().map(|base| base.to_string_lossy().into_owned()),
        ..Server::default()
    }
}

/// What is to be told.
pub(super) fn judge(seen: &FilesSeen) -> Vec<Finding> {
    if let Some(failure) = &seen.failure {
        let cure = "correct it: the donor refuses for the same reason";
        return vec![Finding::error(TOPIC, failure.clone(), cure)];
    }
    let mut findings = Vec::new();
    let more = |count: u64| match count.saturating_sub(TOLD as u64) {
        0 => String::new(),
        more => format!("; and {} more", grouped(more)),
    };
    let (texts, count) = &seen.objections;
    if !texts.is_empty() {
        let text = format!(
            "the donor refuses, because a backup would not be complete: {}{}",
            texts.join("; "),
            more(*count)
        );
        findings.push(Finding::error(TOPIC, text, "do what stands there; then check again"));
    }
    let (texts, count) = &seen.warnings;
    if !texts.is_empty() {
        let text = format!("{}{}", texts.join("; "), more(*count));
        let cure = "nothing, if that is no data; else give it to the server's user".to_owned();
        findings.push(Finding::warning(TOPIC, text, cure));
    }
    if seen.is_cut {
        let text = format!("there are more files than could be looked at in {} s", LIMIT.as_secs());
        findings.push(Finding::warning(TOPIC, text, "a donor looks at all of them".to_owned()));
    }
    if findings.is_empty() {
        let named = match seen.tablespaces {
            Some(count) => format!("the {} tablespaces that the server names are among them", grouped(count)),
            None => "the server was not asked which tablespaces it has".to_owned(),
        };
        let text = format!("{} files and directories can be read; {named}", grouped(seen.entries));
        findings.push(Finding::ok(TOPIC, text));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn what_a_donor_refuses_and_what_it_leaves_out_is_told_and_counted() {
        let seen = |objections: usize, warnings: usize| FilesSeen {
            entries: 1200,
            tablespaces: Some(300),
            objections: first((0..objections).map(|n| format!("objection {n}")).collect()),
            warnings: first((0..warnings).map(|n| format!("warning {n}")).collect()),
            ..FilesSeen::default()
        };
        let told = |seen: &FilesSeen| -> Vec<(Level, String)> {
            judge(seen).into_iter().map(|finding| (finding.level, finding.text)).collect()
        };
        let fine = "1,200 files and directories can be read; the 300 tablespaces that the server names are among them";
        assert_eq!(told(&seen(0, 0)), [(Level::Ok, fine.to_owned())]);
        let both = told(&seen(7, 1));
        assert_eq!((both[0].0, both[1].0, both.len()), (Level::Error, Level::Warning, 2));
        assert!(both[0].1.contains("objection 4; and 2 more") && !both[0].1.contains("objection 5"));
        assert_eq!(both[1].1, "warning 0");
        let cut = told(&FilesSeen { is_cut: true, ..seen(0, 0) });
        assert_eq!(cut[0].0, Level::Warning);
        let failed = told(&FilesSeen { failure: Some("raw".into()), ..FilesSeen::default() });
        assert_eq!(failed, [(Level::Error, "raw".to_owned())]);
    }
}
