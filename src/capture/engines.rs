//! What the server's engines do with their data, and where they keep it.

use std::path::{Path, PathBuf};

use super::error::CaptureError;
use super::facts::Facts;
use super::objection::shown;

/// Where an engine's data is when the server is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineData {
    /// In files that stand still; or there is none.
    Frozen,
    /// In files that nothing freezes.
    Unfrozen,
    /// On other machines, in other programs' directories.
    Elsewhere,
    /// This program does not know the engine.
    Unknown,
}

impl EngineData {
    /// By the name of the engine.
    pub fn of(engine: &str) -> Self {
        match engine.to_ascii_uppercase().as_str() {
            "INNODB" | "MYISAM" | "ARIA" | "CSV" | "ARCHIVE" | "MRG_MYISAM" | "MRG_ISAM" | "MEMORY"
            | "BLACKHOLE" | "PERFORMANCE_SCHEMA" | "SEQUENCE" | "SQL_SEQUENCE" | "MROONGA" | "OQGRAPH"
            | "PARTITION" | "WSREP" | "BINLOG" | "EXAMPLE" | "FEEDBACK" => Self::Frozen,
            "ROCKSDB" | "TOKUDB" => Self::Unfrozen,
            "S3" | "SPIDER" | "CONNECT" | "COLUMNSTORE" | "FEDERATED" | "SPHINX" | "CASSANDRA"
            | "NDBCLUSTER" | "NDBINFO" => Self::Elsewhere,
            _ => Self::Unknown,
        }
    }
}

/// Variables that name directories of engines that are not frozen.
const DIRECTORIES: [(&str, &str); 4] = [
    ("rocksdb_datadir", "MyRocks"),
    ("rocksdb_wal_dir", "MyRocks"),
    ("tokudb_data_dir", "TokuDB"),
    ("tokudb_log_dir", "TokuDB"),
];

/// The directories that these variables of a server name, and whose they are.
pub fn unfrozen_directories<'v>(
    datadir: &Path,
    get: impl Fn(&str) -> Option<&'v str>,
) -> Vec<(PathBuf, &'static str)> {
    let unfrozen = DIRECTORIES.iter().filter_map(|(variable, engine)| {
        let folder: PathBuf = datadir.join(get(variable)?).components().collect();
        let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
        // TokuDB's default is the data directory itself, where its files are known by their names.
        (folder != datadir).then_some((folder, *engine))
    });
    let mut unfrozen: Vec<(PathBuf, &'static str)> = unfrozen.collect();
    unfrozen.sort();
    unfrozen.dedup();
    unfrozen
}

/// The words for data that is not in a backup.
pub(super) fn left_out(path: &Path, engine: &str) -> String {
    format!("'{}' is left out: {engine} tables are not in this backup", shown(path))
}

/// The engines of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engines {
    /// Their names; none where the server did not tell.
    pub names: Option<Vec<String>>,
    /// Directories of those that are not frozen, and whose they are.
    pub unfrozen: Vec<(PathBuf, &'static str)>,
}

impl Engines {
    /// Asks the server, where it answers; its variables say where their directories are.
    pub fn ask(facts: &mut Facts, datadir: &Path) -> Self {
        let names = facts.sql.as_mut().and_then(|sql| {
            sql.engines().inspect_err(|why| log::info!("the server does not tell its engines: {why}")).ok()
        });
        let unfrozen = unfrozen_directories(datadir, |variable| facts.get(variable));
        Self { names, unfrozen }
    }

    /// The engines whose tables cannot be copied under the freeze, and a directory of them.
    pub fn not_frozen(&self) -> Vec<(&'static str, Option<&Path>)> {
        let of = |name: &str| if name.eq_ignore_ascii_case("rocksdb") { "MyRocks" } else { "TokuDB" };
        let names = self.names.iter().flatten().filter(|name| EngineData::of(name) == EngineData::Unfrozen);
        names
            .map(|name| {
                let folder = self.unfrozen.iter().find(|(_, engine)| *engine == of(name));
                (of(name), folder.map(|(folder, _)| folder.as_path()))
            })
            .collect()
    }

    /// Warnings; an error where there is an engine whose tables would be torn, and `allow` is not set.
    pub fn admit(&self, allow: bool, datadir: &Path) -> Result<Vec<String>, CaptureError> {
        match self.not_frozen().first() {
            Some((engine, folder)) if !allow => {
                Err(CaptureError::Unfrozen { path: folder.unwrap_or(datadir).to_path_buf(), engine })
            }
            _ => Ok(self.warnings()),
        }
    }

    /// What a copy of the server's files leaves out, outside of the data directory: what lies inside is told when it is passed.
    pub fn left_out_elsewhere(&self, datadir: &Path) -> Vec<String> {
        let active = self.not_frozen();
        let folders = active.iter().filter_map(|(engine, folder)| Some((*engine, (*folder)?)));
        folders
            .filter(|(_, folder)| !folder.starts_with(datadir))
            .map(|(engine, folder)| left_out(folder, engine))
            .collect()
    }

    /// What a copy by mariadb-backup, which copies MyRocks tables too, has of these engines (seen on 10.11.19: in `#rocksdb`,
    /// wherever `rocksdb_datadir` is, and `--prepare` leaves it there).
    pub fn by_mariadb_backup(&self, datadir: &Path) -> Vec<String> {
        let usual = datadir.join("#rocksdb");
        let words = |(engine, folder): (&str, Option<&Path>)| match folder {
            Some(folder) if engine == "MyRocks" && folder != usual => format!(
                "MyRocks tables are in this backup, as mariadb-backup copies them: a restore puts them into '#rocksdb' in its data \
                 directory, and the server had them in '{}' (rocksdb_datadir); move them there, or change that variable",
                folder.display()
            ),
            _ if engine == "MyRocks" => {
                "MyRocks tables are in this backup, as mariadb-backup copies them".to_owned()
            }
            _ => left_out(folder.unwrap_or(datadir), engine),
        };
        self.not_frozen().into_iter().map(words).collect()
    }

    /// What the administrator should know of engines whose data is not here, or may not be.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |name: &String| match EngineData::of(name) {
            EngineData::Elsewhere => Some(format!(
                "the engine {name} is active: what its tables keep outside this node is not in the backup"
            )),
            EngineData::Unknown => Some(format!(
                "the engine {name} is active, which this program does not know: whether its files stand still while the \
                 server is frozen, and whether they are all here, is not known"
            )),
            EngineData::Frozen | EngineData::Unfrozen => None,
        };
        self.names.iter().flatten().filter_map(warning).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_told_by_what_becomes_of_their_data() {
        let names = ["InnoDB", "Aria", "ROCKSDB", "SPIDER", "Quantum"].map(str::to_owned).to_vec();
        let engines =
            Engines { names: Some(names), unfrozen: vec![(PathBuf::from("/fast/rocks"), "MyRocks")] };
        assert_eq!(engines.not_frozen(), [("MyRocks", Some(Path::new("/fast/rocks")))]);
        let refused = engines.admit(false, Path::new("/d")).unwrap_err().to_string();
        assert!(refused.contains("'/fast/rocks' holds MyRocks tables"), "{refused}");
        assert_eq!(engines.admit(true, Path::new("/d")).unwrap(), engines.warnings());
        let words = |list: Vec<String>, text: &str| list.len() == 1 && list[0].contains(text);
        let elsewhere = engines.left_out_elsewhere(Path::new("/d"));
        assert!(words(elsewhere, "'/fast/rocks' is left out: MyRocks tables are not in this backup"));
        assert!(engines.left_out_elsewhere(Path::new("/fast")).is_empty(), "that is told when it is passed");
        let copied = engines.by_mariadb_backup(Path::new("/d"));
        assert!(words(
            copied,
            "are in this backup, as mariadb-backup copies them: a restore puts them into '#rocksdb'"
        ));
        let warnings = engines.warnings();
        assert!(warnings.len() == 2 && warnings[0].contains("SPIDER") && warnings[1].contains("Quantum"));
    }

    #[test]
    fn directories_of_engines_that_are_not_frozen_are_those_of_the_variables() {
        let variables =
            [("rocksdb_datadir", "./rocks"), ("tokudb_data_dir", "/d"), ("tokudb_log_dir", "/far")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut facts = Facts::from_variables(variables.into());
        let engines = Engines::ask(&mut facts, Path::new("/d"));
        assert_eq!(engines.names, None);
        assert_eq!(engines.unfrozen, [("/d/rocks".into(), "MyRocks"), ("/far".into(), "TokuDB")]);
    }
}
