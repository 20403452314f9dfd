//! Settings out of option files, variables and flags, by helpers that make those.

mod every;
mod faults;
mod layers;
mod secrets;

use std::path::Path;

use super::*;
use crate::config::files::OptionFiles;

const FILE: &str = "/etc/mysql/x.cnf";
const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

fn directory(path: &str) -> RepositoryUrl {
    RepositoryUrl::Directory(path.into())
}

/// Option files with our group, whose lines begin at line 2 of [`FILE`].
fn files(lines: &str) -> OptionFiles {
    let mut files = OptionFiles::default();
    for (line, text) in (2..).zip(lines.lines()) {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let value = value.map(str::as_bytes);
        files.add("wsrep_sst_backup", name.as_bytes(), value, Path::new(FILE), line);
    }
    files
}

fn resolve(lines: &str, env: &[(&str, &str)], flags: &SettingsOverrides) -> Result<Settings, String> {
    let env = env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Settings::resolve(&files(lines), env, flags).map_err(|error| error.to_string())
}

fn from_file(lines: &str) -> Result<Settings, String> {
    resolve(lines, &[], &SettingsOverrides::default())
}

fn flag(name: &'static str, text: &str) -> SettingsOverrides {
    SettingsOverrides::of([(name, text)])
}
