//! Files and directories that variables name and that are not data, wherever they are: server logs, sockets, temporary
//! files, what Galera keeps for one run of one node, and the keys of encrypted tables.

use std::path::{Path, PathBuf};

use super::facts::Facts;
use super::resolve::{Datadir, Inode, inode, is_same_directory, is_same_entry, resolved};
use crate::model::provider_option;

/// Server logs and sockets.
const RUN_FILES: [&str; 6] =
    ["general_log_file", "log_error", "log_slow_query_file", "slow_query_log_file", "pid_file", "socket"];
/// Files with keys. Those of AWS (`aws-kms-key.*`) stay in the backup: they are encrypted themselves.
pub(super) const KEY_FILES: [&str; 2] = ["file_key_management_filename", "file_key_management_filekey"];
/// Directories of temporary files; `tmpdir` may be a list.
const TEMPORARY: [&str; 3] = ["tmpdir", "innodb_tmpdir", "slave_load_tmpdir"];
/// `gcache.name` where it is not set.
const GCACHE: &str = "galera.cache";

/// What is left out by the variables of this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excluded {
    entries: Vec<PathBuf>,
    /// Of directories among them, which may have other names as well.
    directories: Vec<Inode>,
    /// Where Galera keeps its files.
    galera: Vec<PathBuf>,
}

impl Excluded {
    /// These files and directories, for tests.
    #[cfg(test)]
    pub(super) fn of(entries: &[&str]) -> Self {
        Self { entries: entries.iter().map(PathBuf::from).collect(), ..Self::default() }
    }

    pub(super) fn new(facts: &Facts, datadir: &Datadir) -> Self {
        let mut excluded = Self::default();
        let values = RUN_FILES.iter().filter_map(|name| facts.get(name));
        for file in values.map(|value| datadir.entry(value)).chain(key_files(facts, datadir)) {
            // Behind a link stands the file itself, and the walk would follow the link.
            let target = resolved(&file);
            excluded.entries.extend((target != file).then_some(target));
            excluded.entries.push(file);
        }
        for directory in TEMPORARY.iter().filter_map(|name| facts.get(name)).flat_map(|list| list.split(':'))
        {
            let directory = datadir.directory(directory);
            // A server whose temporary files lie among its data has them by names of their own.
            if !is_same_directory(&directory, datadir.path()) {
                excluded.directories.extend(inode(&directory));
                excluded.entries.push(directory);
            }
        }
        let home = facts.get_raw("innodb_data_home_dir").unwrap_or_default();
        let temporary = facts.get("innodb_temp_data_file_path").unwrap_or_default().split(';');
        for name in temporary.filter_map(|file| file.split(':').next()).map(str::trim) {
            excluded.entries.extend((!name.is_empty()).then(|| datadir.entry(Path::new(home).join(name))));
        }
        excluded.add_galera(facts, datadir);
        excluded
    }

    fn add_galera(&mut self, facts: &Facts, datadir: &Datadir) {
        let options = facts.get("wsrep_provider_options").unwrap_or_default();
        let cache = gcache_directory(facts, datadir);
        let name = provider_option(options, "gcache.name").filter(|name| !name.is_empty()).unwrap_or(GCACHE);
        self.entries.push(datadir.entry(cache.join(name)));
        let homes = [facts.get("wsrep_data_home_dir"), provider_option(options, "base_dir")];
        self.galera.push(cache);
        self.galera.extend(homes.into_iter().flatten().map(|home| datadir.directory(home)));
        self.galera.sort();
        self.galera.dedup();
    }

    /// Whether this entry is one of them.
    pub(super) fn has(&self, path: &Path, is_directory: bool) -> bool {
        if self.entries.iter().any(|excluded| is_same_entry(excluded, path)) {
            return true;
        }
        if is_directory {
            let number = if self.directories.is_empty() { None } else { inode(path) };
            return number.is_some_and(|number| self.directories.contains(&number));
        }
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let parent = path.parent().unwrap_or(Path::new("/"));
        is_galera(&name) && self.galera.iter().any(|directory| is_same_directory(directory, parent))
    }
}

/// Files of one run of one node, in Galera's own directories.
fn is_galera(name: &str) -> bool {
    name == GCACHE
        || name == "grastate.dat"
        || name.starts_with("gvwstate.dat")
        || name.starts_with("gcache.page.")
}

/// Files with the keys of encrypted tables, as options name them; `FILE:` in front of a name is the plugin's
/// (`plugin/file_key_management/file_key_management_plugin.cc`).
pub(super) fn key_files(facts: &Facts, datadir: &Datadir) -> Vec<PathBuf> {
    let key = facts.get(KEY_FILES[1]).and_then(|value| value.strip_prefix("FILE:"));
    facts.get(KEY_FILES[0]).into_iter().chain(key).map(|file| datadir.entry(file)).collect()
}

/// Where Galera keeps its write-set cache and the page files beside it: `gcache.dir`, else the provider's home, else
/// wsrep's, else the data directory (`gcache/src/gcache_params.cpp`).
pub(super) fn gcache_directory(facts: &Facts, datadir: &Datadir) -> PathBuf {
    let options = facts.get("wsrep_provider_options").unwrap_or_default();
    let directory = gcache_option(options).or_else(|| facts.get("wsrep_data_home_dir"));
    directory.map_or_else(|| datadir.path().to_path_buf(), |name| datadir.directory(name))
}

/// The directory of the write-set cache, where `wsrep_provider_options` names one.
pub fn gcache_option(options: &str) -> Option<&str> {
    let option = |name| provider_option(options, name).filter(|value| !value.is_empty());
    option("gcache.dir").or_else(|| option("base_dir"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn stage(pairs: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf, Excluded) {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for directory in ["data/tmp", "data/cache", "data/wsrep", "data/db", "secret"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("secret/keys.enc"), "keys").unwrap();
        symlink(root.join("data"), root.join("link")).unwrap();
        symlink(root.join("secret/keys.enc"), root.join("data/keys.enc")).unwrap();
        let base = root.display().to_string();
        let pairs: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).into(), value.replace("{}", &base))).collect();
        let datadir = Datadir::find(&root.join("data")).unwrap();
        let excluded = Excluded::new(&Facts::from_variables(pairs), &datadir);
        (folder, root, excluded)
    }

    #[test]
    fn what_variables_name_is_left_out_wherever_they_say_it_is() {
        let (_folder, root, excluded) = stage(&[
            ("general_log_file", "{}/link/general.log"),
            ("tmpdir", "{}/link/tmp:/tmp"),
            ("file_key_management_filename", "{}/link/keys.enc"),
            ("file_key_management_filekey", "FILE:{}/data/db/key"),
            ("innodb_temp_data_file_path", "scratch1:12M:autoextend"),
            ("wsrep_data_home_dir", "{}/link/wsrep/"),
            (
                "wsrep_provider_options",
                "gcache.dir = {}/link/cache; gcache.name = own.cache; gcache.size = 1M",
            ),
        ]);
        for name in [
            "data/general.log",
            "data/keys.enc",
            "secret/keys.enc",
            "data/db/key",
            "data/scratch1",
            "data/cache/own.cache",
            "data/cache/galera.cache",
            "data/cache/gcache.page.000007",
            "data/wsrep/grastate.dat",
            "data/wsrep/gvwstate.dat",
        ] {
            assert!(excluded.has(&root.join(name), false), "{name}");
        }
        assert!(excluded.has(&root.join("data/tmp"), true));
        for name in ["data/db/galera.cache", "data/db/grastate.dat", "data/keys", "data/cache/data.ibd"] {
            assert!(!excluded.has(&root.join(name), false), "{name}");
        }
        assert!(!excluded.has(&root.join("data/cache"), true));
    }

    #[test]
    fn the_cache_lies_in_the_home_of_wsrep_where_nothing_else_is_said() {
        for (pairs, wanted) in [
            (&[][..], "data"),
            (&[("wsrep_data_home_dir", "{}/data/wsrep")], "data/wsrep"),
            (&[("wsrep_provider_options", "gcache.dir=cache;gcache.size=1M")], "data/cache"),
        ] {
            let (_folder, root, excluded) = stage(pairs);
            assert!(excluded.has(&root.join(wanted).join("gcache.page.000000"), false), "{pairs:?}");
        }
        let (_folder, root, excluded) = stage(&[("tmpdir", "{}/link")]);
        assert!(!excluded.has(&root.join("data/db"), true), "data is no temporary file");
    }
}
