//! One set of option files, read by us and by `my_print_defaults`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wsrep_sst_backup::config::{DefaultsArgs, OptionFiles};

/// A folder with option files, an environment, and the arguments both sides get.
pub(crate) struct Case {
    folder: TempDir,
    pub(crate) args: DefaultsArgs,
    pub(crate) env: Vec<(&'static str, OsString)>,
}

impl Case {
    /// Files by name; the first one is the `--defaults-file`. `@` in their text stands for the folder.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = TempDir::new().unwrap();
        let place = folder.path().canonicalize().unwrap();
        for (name, text) in files {
            let path = place.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let pieces: Vec<&[u8]> = text.split(|&byte| byte == b'@').collect();
            fs::write(&path, pieces.join(place.as_os_str().as_bytes())).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let defaults_file = files.first().map(|(name, _)| place.join(name));
        Self { folder, args: DefaultsArgs { defaults_file, ..DefaultsArgs::default() }, env: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What my_print_defaults prints; `None` if it fails.
    pub(crate) fn theirs(&self, groups: &[&str]) -> Option<String> {
        let mut command = Command::new("my_print_defaults");
        command.env_clear().envs(self.env.iter().map(|(name, text)| (name, text)));
        command.env("PATH", std::env::var_os("PATH").unwrap());
        let mut flag = |name: &str, text: &OsStr| {
            let mut arg = OsString::from(name);
            arg.push(text);
            command.arg(arg);
        };
        if self.args.no_defaults {
            flag("--no-defaults", OsStr::new(""));
        }
        if let Some(path) = &self.args.defaults_file {
            flag("--defaults-file=", path.as_os_str());
        }
        if let Some(path) = &self.args.defaults_extra_file {
            flag("--defaults-extra-file=", path.as_os_str());
        }
        if let Some(suffix) = &self.args.group_suffix {
            flag("--defaults-group-suffix=", OsStr::new(suffix));
        }
        let output = command.args(groups).output().expect("my_print_defaults runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub(crate) fn read(&self) -> Option<OptionFiles> {
        let env = |name: &str| {
            let known = self.env.iter().find(|(known, _)| *known == name);
            known.map(|(_, text)| text.clone())
        };
        OptionFiles::read_with(&self.args, &env).ok()
    }

    /// What we would print; `None` if we fail.
    pub(crate) fn ours(&self, groups: &[&str]) -> Option<String> {
        let files = self.read()?;
        let mut printed = String::new();
        for setting in files.group_settings(groups) {
            printed.push_str("--");
            printed.push_str(&setting.written);
            if let Some(value) = &setting.value {
                printed.push('=');
                printed.push_str(value);
            }
            printed.push('\n');
        }
        Some(printed)
    }

    /// Compares both for groups `g` and `other`, and returns what they agree on.
    #[track_caller]
    pub(crate) fn agree(&self) -> Option<String> {
        for groups in [&["g"][..], &["other"], &["g", "other"]] {
            assert_eq!(self.ours(groups), self.theirs(groups), "{groups:?} of {:?}", self.args);
        }
        self.theirs(&["g", "other"])
    }
}
