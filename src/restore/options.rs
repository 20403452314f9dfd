//! Option lines that the restored files need: what decides how a server's files are made, and where it looks for them.
//!
//! The manifest holds them, and whoever may write to the repository can edit it. So only names from the list are shown,
//! places come from where this restore has written, and nothing is shown that would be more than one line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::destinations::Destinations;
use crate::config::{Given, ServerOptions};
use crate::model::ServerIdentity;
use crate::tool::ReleaseSeries;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OptionValue {
    Text,
    /// Bytes, perhaps with a suffix.
    Size,
    Flag,
    /// Counts from the data directory.
    Path,
}

use OptionValue::{Flag, Path as Place, Size, Text};

/// Options with their defaults; `None` where it depends on the version.
const KNOWN: [(&str, OptionValue, Option<&str>); 17] = [
    ("aria_block_size", Size, Some("8192")),
    ("aria_encrypt_tables", Flag, Some("OFF")),
    ("aria_log_dir_path", Place, Some("./")),
    ("binlog_storage_engine", Text, Some("")),
    ("encrypt_binlog", Flag, Some("OFF")),
    ("file_key_management_encryption_algorithm", Text, Some("aes_cbc")),
    ("innodb_checksum_algorithm", Text, None),
    (DATA_FILES, Text, Some(DEFAULT_DATA_FILE)),
    ("innodb_data_home_dir", Place, Some("./")),
    ("innodb_encrypt_log", Flag, Some("OFF")),
    ("innodb_encrypt_tables", Flag, Some("OFF")),
    ("innodb_log_group_home_dir", Place, Some("./")),
    ("innodb_page_size", Size, Some("16384")),
    ("innodb_undo_directory", Place, Some("./")),
    ("innodb_undo_tablespaces", Text, None),
    ("log_bin", Place, None),
    ("lower_case_table_names", Text, Some("0")),
];

/// Plugins without which files cannot be read, and the variable that tells of each.
const PLUGINS: [(&str, &str); 3] = [
    ("file_key_management", "file_key_management_encryption_algorithm"),
    ("hashicorp_key_management", "hashicorp_key_management_caching_enabled"),
    ("aws_key_management", "aws_key_management_key_spec"),
];

/// The files of the system tablespace, and those of a server that is told nothing.
const DATA_FILES: &str = "innodb_data_file_path";
const DEFAULT_DATA_FILE: &str = "ibdata1:12M:autoextend";

/// Options that InnoDB or Aria hold against what stands in their files, and end the server where they differ.
const DECIDES_START: [&str; 2] = ["aria_block_size", "innodb_page_size"];

/// Longest value that is shown.
const LONGEST: usize = 1000;

/// What the restored files need, by name; what the server's defaults are is among it.
pub(super) fn needed(server: &ServerIdentity, places: &Destinations) -> BTreeMap<String, String> {
    let mut needed = BTreeMap::new();
    for (name, kind, _) in KNOWN {
        let recorded = match name {
            "log_bin" => server.options.get("log_bin_basename"),
            _ => server.options.get(name),
        };
        let value = match (kind, recorded) {
            // The names are whole paths, and those of the home directory would come before them.
            (_, Some(value)) if name == DATA_FILES => Some(file_path(value, places)),
            (Place, recorded) => {
                place_of(name, recorded.map(|text| Path::new(text.as_str())), server, places)
            }
            (_, Some(value)) => Some(value.clone()),
            (_, None) if name == "innodb_page_size" => server.innodb_page_size.map(|size| size.to_string()),
            _ => None,
        };
        if let Some(value) = value.filter(|value| is_one_line(value)) {
            needed.insert(name.to_owned(), value);
        }
    }
    if let Some(plugins) = needed_plugins(server) {
        needed.insert(PLUGIN_LOAD.into(), plugins);
    }
    needed
}

/// What a server needs that has files of the same making, but none of these: places are left out.
pub fn needed_anywhere(server: &ServerIdentity) -> BTreeMap<String, String> {
    let decides = |name: &str, kind: OptionValue| kind != Place && name != DATA_FILES;
    let named = KNOWN.iter().filter(|(name, kind, _)| decides(name, *kind));
    let recorded =
        named.filter_map(|(name, ..)| Some(((*name).to_owned(), server.options.get(*name)?.clone())));
    let mut needed: BTreeMap<String, String> = recorded.filter(|(_, value)| is_one_line(value)).collect();
    if let Some(size) = server.innodb_page_size {
        needed.insert("innodb_page_size".into(), size.to_string());
    }
    needed.extend(needed_plugins(server).map(|plugins| (PLUGIN_LOAD.to_owned(), plugins)));
    needed
}

/// The places among what files need, each with the name of its option: directories, base names, and the files of the system tablespace.
pub fn needed_places(needed: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &Path)> {
    let given = KNOWN.iter().filter_map(|(name, kind, _)| Some((*name, *kind, needed.get(*name)?.as_str())));
    let places = given.filter(|(name, kind, _)| *kind == Place || *name == DATA_FILES);
    places.flat_map(|(name, kind, value)| {
        // Only the files of the system tablespace are several, with sizes, which lead nowhere.
        let ends: &[char] = if kind == Place { &[] } else { &[';', ':'] };
        value.split(ends).map(move |place| (name, Path::new(place.trim())))
    })
}

/// The plugins without which the files cannot be read, in the form of `plugin_load_add`.
fn needed_plugins(server: &ServerIdentity) -> Option<String> {
    let mut plugins: Vec<String> = PLUGINS
        .iter()
        .filter(|(_, variable)| server.options.contains_key(*variable))
        .map(|(plugin, _)| (*plugin).to_owned())
        .collect();
    let provider = server.options.get("innodb_compression_algorithm").map(|name| name.to_ascii_lowercase());
    if let Some(name @ ("lz4" | "lzo" | "lzma" | "bzip2" | "snappy")) = provider.as_deref()
        && ReleaseSeries::read(server.version.as_deref().unwrap_or("")) >= ReleaseSeries::read("10.7")
    {
        plugins.push(format!("provider_{name}"));
    }
    (!plugins.is_empty()).then(|| plugins.join(";"))
}

/// The option that loads plugins, in what a server needs with several of them.
pub const PLUGIN_LOAD: &str = "plugin_load_add";

/// A directory of the server, or the base name of its binary logs, as it is here; none where nothing was restored there.
fn place_of(
    name: &str,
    recorded: Option<&Path>,
    server: &ServerIdentity,
    places: &Destinations,
) -> Option<String> {
    let whole = |path: &String| path.split(';').any(|file| file.trim().starts_with('/'));
    if name == "innodb_data_home_dir" && server.options.get(DATA_FILES).is_some_and(whole) {
        return Some(String::new());
    }
    let external = places.external().find(|(variable, ..)| *variable == name).map(|(.., here)| here);
    let here: PathBuf = match (external, recorded) {
        (Some(here), Some(base)) if name == "log_bin" => here.join(base.file_name()?),
        (Some(here), _) => here.to_path_buf(),
        (None, Some(recorded)) if recorded.is_relative() => recorded.to_path_buf(),
        // A name alone counts from the data directory, wherever that is.
        (None, Some(recorded)) => match recorded.strip_prefix(&server.datadir).ok()? {
            below if below.as_os_str().is_empty() => "./".into(),
            below => below.to_path_buf(),
        },
        (None, None) => return None,
    };
    here.to_str().map(str::to_owned)
}

/// `innodb_data_file_path` with whole paths as they are here.
fn file_path(value: &str, places: &Destinations) -> String {
    let moved = |file: &str| {
        let (name, rest) = file.split_once(':').unwrap_or((file, ""));
        let here = places.translate("innodb_data_home_dir", Path::new(name.trim()));
        let here = here.filter(|_| name.trim().starts_with('/'));
        here.map_or_else(|| file.to_owned(), |here| format!("{}:{rest}", here.display()))
    };
    value.split(';').map(moved).collect::<Vec<_>>().join(";")
}

fn is_one_line(value: &str) -> bool {
    value.len() <= LONGEST && !value.chars().any(char::is_control)
}

/// The lines that a server with these options, on this data directory, does not have.
pub fn missing(
    needed: &BTreeMap<String, String>,
    datadir: &Path,
    version: Option<&str>,
    server: &ServerOptions,
) -> Vec<String> {
    let version = ReleaseSeries::read(version.unwrap_or(""));
    let mut lines = Vec::new();
    for (name, value) in needed {
        if name == PLUGIN_LOAD {
            lines.extend(plugins(value, server));
            continue;
        }
        let Some((_, kind, default)) = KNOWN.iter().find(|(known, ..)| known == name) else { continue };
        let default = default.or_else(|| default_of(name, version));
        let same = |other: &str| is_same(*kind, value, other, datadir);
        let is_set = match (server.lookup(name), default) {
            (Some(Given::Value(set)), _) => same(set),
            // `log_bin` alone has a name that is not known here.
            (Some(Given::Bare), _) => name == "log_bin" || same("ON"),
            (Some(Given::Off), _) => same("OFF"),
            (None, Some(default)) => same(default),
            (None, None) => name != "log_bin",
        };
        if !is_set {
            lines.push(format!("{name} = {value}"));
        }
    }
    lines
}

/// The lines of [`missing`] without which a server on this data directory would not start on files of this making. Directories are left
/// out: where their files go is decided by the restore.
pub fn unstartable(
    made: &ServerIdentity,
    datadir: &Path,
    version: Option<&str>,
    server: &ServerOptions,
) -> Vec<String> {
    let mut needed = needed_anywhere(made);
    let is_log_encrypted = needed.get("innodb_encrypt_log").is_some_and(|value| flag(value) == "ON");
    needed.retain(|name, _| {
        DECIDES_START.contains(&name.as_str()) || (name == PLUGIN_LOAD && is_log_encrypted)
    });
    let names = |value: &str| -> Vec<String> {
        value.split(';').map(|file| file.split(':').next().unwrap_or_default().trim().to_owned()).collect()
    };
    let here = server.get(DATA_FILES).unwrap_or(DEFAULT_DATA_FILE);
    let recorded = made.options.get(DATA_FILES).filter(|value| is_one_line(value) && !value.contains('/'));
    // More files than there were are made anew; InnoDB refuses fewer, or others.
    let other = recorded.filter(|value| !names(here).starts_with(&names(value)));
    needed.extend(other.map(|value| (DATA_FILES.to_owned(), value.clone())));
    missing(&needed, datadir, version, server)
}

/// One line for each plugin that the server's options do not load.
fn plugins(needed: &str, server: &ServerOptions) -> Vec<String> {
    let loaded = |plugin: &&str| {
        ["plugin_load_add", "plugin_load"]
            .iter()
            .filter_map(|name| server.get(name))
            .any(|value| value.contains(plugin))
    };
    needed
        .split(';')
        .filter(|plugin| !loaded(plugin))
        .map(|plugin| format!("{PLUGIN_LOAD} = {plugin}"))
        .collect()
}

/// Defaults that have changed (`sql/sys_vars.cc`, `storage/innobase/handler/ha_innodb.cc`).
fn default_of(name: &str, version: Option<ReleaseSeries>) -> Option<&'static str> {
    let since = |text| version?.ge(&ReleaseSeries::read(text)?).then_some(());
    match name {
        "innodb_checksum_algorithm" if since("10.5").is_some() => Some("full_crc32"),
        "innodb_checksum_algorithm" => version.map(|_| "crc32"),
        "innodb_undo_tablespaces" if since("11.0").is_some() => Some("3"),
        "innodb_undo_tablespaces" => version.map(|_| "0"),
        _ => None,
    }
}

fn is_same(kind: OptionValue, one: &str, other: &str, datadir: &Path) -> bool {
    match kind {
        Text => one.trim().eq_ignore_ascii_case(other.trim()),
        Size => bytes(one) == bytes(other),
        Flag => flag(one) == flag(other),
        Place => place(one, datadir) == place(other, datadir),
    }
}

fn place(text: &str, datadir: &Path) -> PathBuf {
    let whole: PathBuf = datadir.join(text).components().collect();
    std::fs::canonicalize(&whole).unwrap_or(whole)
}

fn flag(text: &str) -> String {
    match text.trim().to_ascii_uppercase().as_str() {
        "1" | "TRUE" | "YES" => "ON".into(),
        "0" | "FALSE" | "NO" | "" => "OFF".into(),
        other => other.to_owned(),
    }
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let factor = match text.chars().last()? {
        'k' => 1 << 10,
        'm' => 1 << 20,
        _ => 1,
    };
    text.trim_end_matches(['k', 'm']).parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
