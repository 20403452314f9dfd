//! The commands that an administrator types after a restore.

use std::path::Path;

use super::destinations::replica_position;
use super::request::{Purpose, RestoreRequest};
use super::restored::Restored;
use super::{partial_server_options, replication, wsrep_home};
use crate::model::{Connection, FilesState, Manifest};
use crate::ui::shell_word;

/// How many of a backup's warnings are repeated.
const WARNINGS: usize = 20;

/// Text for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What to know before the server is started.
    pub notes: Vec<String>,
    /// The options of a server with some tables.
    pub options: Option<Listing>,
    /// Numbered steps.
    pub steps: Vec<String>,
}

/// A note with lines below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What they are.
    pub note: String,
    /// The lines, indented.
    pub lines: Vec<String>,
}

impl Advice {
    /// The notes for programs, with the lines of the one that has some.
    pub fn all_notes(&self) -> Vec<String> {
        let listing =
            self.options.iter().map(|Listing { note, lines }| format!("{note}\n{}", lines.join("\n")));
        self.notes.iter().cloned().chain(listing).collect()
    }
}

/// The advice for what was restored. `defaults` are the arguments that lead a server to its option files, where those have other places than usual.
pub fn advice(
    manifest: &Manifest,
    request: &RestoreRequest,
    restored: &Restored,
    defaults: &[String],
) -> Advice {
    let mut notes = Vec::new();
    if let Some(owner) = &restored.owner_kept {
        notes.push(format!(
            "The files belong to you, not to '{owner}': run  {}  before you start the server.",
            chown(owner, restored)
        ));
    }
    if restored.datadir != request.target {
        notes.push(format!(
            "'{}' leads to '{}' by a symbolic link; the files are there.",
            request.target.display(),
            restored.datadir.display()
        ));
    }
    for directory in &restored.external {
        notes.push(format!("Files outside the data directory were restored to '{}'.", directory.display()));
    }
    if let Some(stranger) = &restored.stranger {
        notes.push(format!(
            "Before you start the server: {stranger}. Make that user (installing the server does), then run  {}",
            chown(&stranger.name, restored)
        ));
    }
    let warnings = manifest.warnings.iter().take(WARNINGS);
    notes.extend(warnings.map(|text| format!("A warning of the backup: {text}")));
    if let Some(more) = manifest.warnings.len().checked_sub(WARNINGS).filter(|more| *more > 0) {
        notes.push(format!("The backup has {more} more warnings: wsrep_sst_backup show {}", manifest.id));
    }
    for link in &restored.links_left {
        notes.push(format!(
            "The link '{link}' was not made: it leads to a place outside of the data directory that you have not named. \
             --external DIR names one."
        ));
    }
    notes.extend(wsrep_home::note(manifest, request));
    if request.only.is_none() {
        // The statements for a replica have them.
        if request.purpose != Purpose::Replica || masters(manifest).is_none() {
            notes.extend(replication::notes(manifest, request.purpose));
        }
    }
    let mut steps = match request.purpose {
        Purpose::Standalone if restored.tables.is_some() => partial_server_options::steps(&restored.datadir),
        Purpose::Node => node_steps(&request.target, manifest),
        Purpose::Cluster => cluster_steps(&request.target, manifest),
        Purpose::Standalone => standalone_steps(&request.target),
        Purpose::Replica => replica_steps(&request.target, manifest),
    };
    if matches!(request.purpose, Purpose::Node | Purpose::Cluster) && restored.tables.is_none() {
        steps.splice(0..0, recovery_step(&request.target, manifest, defaults));
    }
    if let Some(tables) = &restored.tables {
        notes.extend(tables.notes.iter().cloned());
        let note = format!(
            "The server needs these options, which are in '{}' (add those of the key plugin where tables are encrypted):",
            restored.datadir.join(partial_server_options::OPTIONS_FILE).display()
        );
        let options = Some(Listing { note, lines: indented(&tables.options) });
        return Advice { notes, options, steps };
    }
    for account in &restored.sst_accounts {
        notes.push(format!(
            "The backup holds the account '{account}'@'localhost', which the donor had made for the state transfer \
             and which has all privileges."
        ));
        if request.init_file.is_none() {
            steps.push(format!(
                "Drop that account:  mariadb -e \"DROP USER IF EXISTS '{account}'@'localhost'\""
            ));
        }
    }
    if let (Some(file), false) = (&request.init_file, restored.sst_accounts.is_empty()) {
        steps.insert(0, drop_at_start(file));
    }
    Advice { notes, options: None, steps }
}

fn drop_at_start(init_file: &Path) -> String {
    format!(
        "For the first start write  init_file = {}  into the group [mysqld]: it drops that account before anybody can log in; take the line away \
         afterwards",
        init_file.display()
    )
}

/// The lines behind the comments, for a terminal.
fn indented(options: &str) -> Vec<String> {
    options.lines().filter(|line| !line.starts_with('#')).map(|line| format!("  {line}")).collect()
}

fn point_to(target: &Path) -> String {
    format!("See that the server's option files say  datadir = {}", target.display())
}

/// Files of a crashed server say where they stand when they have recovered.
fn recovery_step(target: &Path, manifest: &Manifest, defaults: &[String]) -> Option<String> {
    (manifest.files_state == FilesState::Crashed).then(|| {
        let defaults: String =
            defaults.iter().flat_map(|option| [" ".to_owned(), shell_word(Path::new(option))]).collect();
        format!(
            "Let InnoDB recover (the files are those of a crashed server), and see where it stands:  mariadbd{defaults} --user=mysql \
             --datadir={} --wsrep-on=ON --wsrep-recover --skip-log-error 2>&1 | grep 'Recovered position'  - it must say {}; start nothing on files that say anything else",
            shell_word(target),
            manifest.position()
        )
    })
}

fn node_steps(target: &Path, manifest: &Manifest) -> Vec<String> {
    vec![
        point_to(target),
        format!(
            "Start the node:  systemctl start mariadb  - it joins cluster '{}' by IST from seqno {} on, as long as a \
             member still has the write sets after it",
            manifest.cluster,
            manifest.seqno()
        ),
        "See that it did:  mariadb -e \"SHOW STATUS LIKE 'wsrep_local_state_comment'\"  says Synced, and the error \
         log says 'Receiving IST'"
            .into(),
    ]
}

fn cluster_steps(target: &Path, manifest: &Manifest) -> Vec<String> {
    vec![
        point_to(target),
        "See that no server of the old cluster runs anywhere".into(),
        "On this node only, start the new cluster:  galera_new_cluster".into(),
        format!(
            "On every other node, restore the same backup:  wsrep_sst_backup restore {} --to DATADIR --as node",
            manifest.id
        ),
        "On every other node, one after the other:  systemctl start mariadb  - they join by IST, nothing is copied again".into(),
        "See that all are there:  mariadb -e \"SHOW STATUS LIKE 'wsrep_cluster_size'\"".into(),
    ]
}

fn standalone_steps(target: &Path) -> Vec<String> {
    vec![
        point_to(target),
        "See that the option files say  wsrep_on = OFF  (or have no wsrep_cluster_address), and a server_id of its own".into(),
        "Start the server:  systemctl start mariadb".into(),
    ]
}

/// The masters of a server that was a replica and in no cluster.
fn masters(manifest: &Manifest) -> Option<&[Connection]> {
    let all = manifest.replication.as_deref()?;
    (manifest.gtid.is_none() && !all.is_empty()).then_some(all)
}

fn script_of_masters(manifest: &Manifest, masters: &[Connection]) -> String {
    let mut lines = vec![
        format!(
            "-- Replica of the masters of '{}', from its backup {} ({}).",
            sql_text(&manifest.node),
            manifest.id,
            sql_text(&manifest.position())
        ),
        "-- Replace the passwords.".to_owned(),
    ];
    let position = manifest.mariadb_gtid.slave_pos.as_deref().filter(|position| !position.is_empty());
    lines.extend(position.map(|position| format!("SET GLOBAL gtid_slave_pos = '{}';", sql_text(position))));
    lines.extend(masters.iter().map(|master| format!("{};", master.statement())));
    lines.push("START ALL SLAVES;".to_owned());
    lines.join("\n") + "\n"
}

fn replica_steps(target: &Path, manifest: &Manifest) -> Vec<String> {
    let mut steps = standalone_steps(target);
    steps.push(format!(
        "Copy {} to a place that only you can write to, edit host, user and password in the copy, then run it:  \
         mariadb --sandbox < COPY",
        shell_word(&target.join(replication::REPLICA_FILE))
    ));
    if masters(manifest).is_some() {
        steps.push(
            "The masters are those of the server that was backed up, from where it had come to on".into(),
        );
        steps.push("See that it follows:  mariadb -e 'SHOW ALL REPLICAS STATUS\\G'".into());
        return steps;
    }
    if manifest.gtid.is_none() {
        steps.push(format!("The master must be the server '{}' itself", manifest.node));
        steps.push("See that it follows:  mariadb -e 'SHOW REPLICA STATUS\\G'".into());
        return steps;
    }
    steps.push(format!(
        "The master must be the donor '{}' itself, unless the cluster runs with wsrep_gtid_mode = ON: only then have \
         all nodes the same GTIDs",
        manifest.node
    ));
    steps.push("See that it follows:  mariadb -e 'SHOW REPLICA STATUS\\G'".into());
    steps
}

fn chown(owner: &str, restored: &Restored) -> String {
    let directories = std::iter::once(&restored.datadir).chain(&restored.external);
    let list: Vec<String> = directories.map(|directory| shell_word(directory)).collect();
    format!("chown -R {}: {}", shell_word(Path::new(owner)), list.join(" "))
}

/// Text inside quotes and comments of SQL, where a node may have any name.
fn sql_text(text: &str) -> String {
    text.replace(char::is_control, " ").replace('\\', "\\\\").replace('\'', "''")
}

/// The SQL for a replica, or why there is none.
///
/// Of a server that is in no cluster and replicates itself a replica of the same masters is made.
pub(super) fn replica_script(manifest: &Manifest) -> Result<String, String> {
    if let Some(masters) = masters(manifest) {
        return Ok(script_of_masters(manifest, masters));
    }
    let position = replica_position(manifest).ok_or_else(|| {
        format!(
            "backup {} has no binlog position: the donor had no binary log, or SQL did not answer. A replica cannot \
             be built from it",
            manifest.id
        )
    })?;
    Ok(format!(
        "-- Replica from backup {id} of node '{node}' (cluster '{cluster}', {gtid}).\n\
         -- Replace host, user and password; the master must be that node, or any node where wsrep_gtid_mode = ON.\n\
         SET GLOBAL gtid_slave_pos = '{position}';\n\
         CHANGE MASTER TO\n  MASTER_HOST = '{node}',\n  MASTER_PORT = 3306,\n  MASTER_USER = 'repl',\n  \
         MASTER_PASSWORD = '',\n  MASTER_USE_GTID = slave_pos;\n\
         START SLAVE;\n",
        id = manifest.id,
        node = sql_text(&manifest.node),
        cluster = sql_text(&manifest.cluster),
        position = sql_text(position),
        gtid = manifest.position(),
    ))
}
