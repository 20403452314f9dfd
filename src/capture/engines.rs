//! What the server's engines do with their data, and where they keep it.

use std::path::{Path, PathBuf};

use super::error::CaptureError;
use super::facts::Facts;

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
        let unfrozen = DIRECTORIES.iter().filter_map(|(variable, engine)| {
            let folder: PathBuf = datadir.join(facts.get(variable)?).components().collect();
            let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
            // TokuDB's default is the data directory itself, where its files are known by their names.
            (folder != datadir).then_some((folder, *engine))
        });
        let mut unfrozen: Vec<(PathBuf, &'static str)> = unfrozen.collect();
        unfrozen.sort();
        unfrozen.dedup();
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
        let mut warnings = self.warnings();
        for (engine, folder) in self.not_frozen() {
            let path = folder.unwrap_or(datadir).to_path_buf();
            if !allow {
                return Err(CaptureError::Unfrozen { path, engine });
            }
            // Others are told when they are passed.
            if !path.starts_with(datadir) {
                warnings.push(format!(
                    "'{}' is left out: {engine} tables are not in this backup",
                    path.display()
                ));
            }
        }
        Ok(warnings)
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
        assert_eq!(engines.admit(true, Path::new("/d")).unwrap().len(), 3);
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
