//! The options of a server that has some tables only, and what to know of these tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::definition::Definition;
use super::no_follow::read_file;
use super::table_selection::Chosen;
use super::tables::TableFile;
use crate::archive::Index;
use crate::model::{Manifest, Member};
use crate::sql::option_value;
use crate::ui::{shell_word, visible};

/// The option file in the target.
pub(super) const OPTIONS_FILE: &str = "wsrep_sst_backup.cnf";
/// What a server takes without `innodb_data_file_path`: one file of this name, of this size at least.
const DEFAULT_FILE: (&str, u64) = ("ibdata1", 12 << 20);
/// Bytes.
const DEFAULT_PAGE: u32 = 16 << 10;
/// Largest `.frm` that is looked into: a view may be long.
const LARGEST: u64 = 4 << 20;

/// The wanted tables, with their files and those of their companions.
#[derive(Debug)]
pub(super) struct ScratchTables {
    /// Names and `.frm` files, below the target.
    definitions: Vec<(String, PathBuf)>,
    /// Names of tables that lay in a `DATA DIRECTORY` or behind a link.
    elsewhere: BTreeSet<String>,
    /// Names of the other tables of the backup.
    others: BTreeSet<String>,
    notes: Vec<String>,
}

/// Notes on the tables for a person, and the plugins that the server must load.
#[derive(Debug, Default)]
pub(super) struct TableNotes {
    pub(super) notes: Vec<String>,
    pub(super) plugins: BTreeSet<&'static str>,
}

impl ScratchTables {
    pub(super) fn new(chosen: Chosen<'_>) -> Self {
        let has_frm = |member: &Member| member.size <= LARGEST;
        let definitions = chosen
            .files
            .iter()
            .filter(|file| file.has_ending("frm") && has_frm(file.member))
            .map(|file| (file.name(), file.path.clone()))
            .collect();
        let was_elsewhere =
            chosen.files.iter().filter(|file| file.member.origin.is_some() && file.makes_a_table());
        let elsewhere = was_elsewhere.map(TableFile::name).collect();
        Self { definitions, elsewhere, others: chosen.others, notes: chosen.notes }
    }

    /// Looks into the definitions, which are below the target now. One that cannot be read says nothing.
    pub(super) fn look(&self, target: &Path) -> TableNotes {
        let mut found = TableNotes { notes: self.notes.clone(), ..TableNotes::default() };
        for (name, path) in &self.definitions {
            let Ok(content) = read_file(&target.join(path), LARGEST) else { continue };
            match Definition::of(&content) {
                Definition::Table => {}
                Definition::View(tables) => found.notes.push(self.view(name, &tables)),
                Definition::Plugin(engine) => {
                    found.plugins.insert(engine.library);
                    if engine.is_elsewhere {
                        found.notes.push(format!(
                            "{name} is a table of {}: its rows are not in the backup; its definition is.",
                            engine.name
                        ));
                    }
                }
            }
        }
        found
    }

    fn view(&self, name: &str, tables: &BTreeSet<String>) -> String {
        let missing: Vec<&str> = tables.intersection(&self.others).map(String::as_str).collect();
        let mut note = format!("{name} is a view: a definition without rows.");
        if !missing.is_empty() {
            note.push_str(&format!(
                " It reads {}, and mariadb-dump wants them to be there: name them with --only too, or print the view \
                 with SHOW CREATE VIEW.",
                missing.join(", ")
            ));
        }
        note
    }

    /// A note for tables that do not lie where they lay.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let names: Vec<&str> = self.elsewhere.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| {
            format!(
                "{} had files outside the data directory (DATA DIRECTORY, or a link). Here they are inside of it, and a \
                 dump has no such clause: a server that loads it puts them into its own data directory.",
                names.join(", ")
            )
        })
    }
}

/// The option file of a server on the target: it is reached by its socket only, it follows no master, and it finds
/// everything inside the target.
pub(super) fn option_file(
    manifest: &Manifest,
    index: &Index,
    target: &Path,
    plugins: &BTreeSet<&'static str>,
) -> String {
    let path = |name: &str| quoted(&target.join(name));
    let mut lines = vec![
        format!("# For a server with some tables of backup {}, which nobody else can reach:", manifest.id),
        format!("#   mariadbd --defaults-file={} --user=mysql", shell_word(&target.join(OPTIONS_FILE))),
        "[mysqld]".into(),
        format!("datadir = {}", quoted(target)),
        format!("socket = {}", path("socket")),
        format!("pid_file = {}", path("pid")),
        format!("log_error = {}", path("error.log")),
        "skip_networking".into(),
        "skip_grant_tables".into(),
        "skip_slave_start".into(),
    ];
    lines.extend(how_files_are_made(manifest, index));
    // A plugin that is missing is told in the error log; the server starts.
    lines.extend(plugins.iter().map(|library| format!("plugin_load_add = {library}")));
    lines.push(String::new());
    lines.join("\n")
}

fn how_files_are_made(manifest: &Manifest, index: &Index) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(size) = manifest.server.innodb_page_size.filter(|size| *size != DEFAULT_PAGE) {
        lines.push(format!("innodb_page_size = {size}"));
    }
    let files: Vec<&Member> = index.members.iter().filter(|member| member.system_tablespace).collect();
    let is_default =
        |file: &Member| file.path.as_bytes() == DEFAULT_FILE.0.as_bytes() && file.size >= DEFAULT_FILE.1;
    if !matches!(files[..], [file] if is_default(file)) {
        let sizes: Vec<String> =
            files.iter().map(|file| format!("{}:{}M", in_one_line(file), (file.size >> 20).max(1))).collect();
        lines.push(format!("innodb_data_file_path = {}:autoextend", sizes.join(";")));
    }
    lines
}

/// A name that an index gives must not become another option. The server does not find a file of the name that is written.
fn in_one_line(file: &Member) -> String {
    visible(&file.path.to_string()).into_owned()
}

/// A path as a value of an option file.
fn quoted(path: &Path) -> String {
    option_value(&path.to_string_lossy())
}

/// What to do with the target.
pub(super) fn steps(target: &Path) -> Vec<String> {
    let socket = shell_word(&target.join("socket"));
    vec![
        format!(
            "Start a server on it, which nobody else can reach:  mariadbd --defaults-file={} --user=mysql &",
            shell_word(&target.join(OPTIONS_FILE))
        ),
        format!("Dump what is wanted:  mariadb-dump --no-defaults --socket={socket} DATABASE TABLE > FILE"),
        format!("Stop it:  mariadb-admin --no-defaults --socket={socket} shutdown"),
        "Load FILE into the cluster; it drops a table of that name first".into(),
    ]
}
