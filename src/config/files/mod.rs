//! The option files of MariaDB: every setting in them, with its group, file and line.
//!
//! Which files, in which order, is in `search`; how a file is read is in `parse`. Both follow
//! `mysys/my_default.c` as of MariaDB 10.11, and `tests/config_oracle.rs` compares the outcome with the real
//! `my_print_defaults`.

mod expand;
mod parse;
mod search;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::names::normalise;
use search::Search;

/// The options by which a program is told where to look, as every MariaDB program has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultsArgs {
    /// `--defaults-file`: read this file only. It must exist.
    pub defaults_file: Option<PathBuf>,
    /// `--defaults-extra-file`: read after the global files and before `~/.my.cnf`. It must exist. Not looked at
    /// when `defaults_file` is given.
    pub defaults_extra_file: Option<PathBuf>,
    /// `--defaults-group-suffix`: read `[group<suffix>]` too. Without it the environment is asked
    /// (`MARIADB_GROUP_SUFFIX`, else `MYSQL_GROUP_SUFFIX`).
    pub group_suffix: Option<String>,
    /// `--no-defaults`: read no file at all.
    pub no_defaults: bool,
}

impl DefaultsArgs {
    /// The arguments that lead a server of MariaDB to the same files.
    pub fn arguments(&self) -> Vec<String> {
        let path = |name: &str, path: &Option<PathBuf>| {
            path.as_ref().map(|path| format!("--defaults-{name}={}", path.display()))
        };
        let none = self.no_defaults.then(|| "--no-defaults".to_owned());
        let files = [path("file", &self.defaults_file), path("extra-file", &self.defaults_extra_file)];
        let suffix = self.group_suffix.as_ref().map(|suffix| format!("--defaults-group-suffix={suffix}"));
        none.into_iter().chain(files.into_iter().flatten()).chain(suffix).collect()
    }
}

/// One `name` or `name=value` of an option file. Bytes that are not UTF-8 are U+FFFD here.
///
/// `Debug` hides the value, which may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// The group it stands in, as written between the brackets.
    pub group: String,
    /// The name in lower case with `-` for `_`: MariaDB takes these for the same. Prefixes such as `loose-` are
    /// still there.
    pub name: String,
    /// The name as the file has it.
    pub written: String,
    /// The value after `=`, without quotes and escapes; `None` where there is no `=`.
    pub value: Option<String>,
    /// The file, as it was opened.
    pub file: PathBuf,
    /// The line in that file, from 1.
    pub line: u32,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.value.is_some() { "=…" } else { "" };
        write!(f, "[{}] {}{value} ({} line {})", self.group, self.written, self.file.display(), self.line)
    }
}

/// Why option files cannot be used.
#[derive(Debug, Error)]
pub enum OptionFileError {
    /// The file that `--defaults-file` or `--defaults-extra-file` names cannot be opened.
    #[error("cannot open '{}', which {option} names: {source}", path.display())]
    Required {
        /// The option, with its dashes.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file was opened and then could not be read.
    #[error("cannot read option file '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is too large to be an option file.
    #[error("'{}' is larger than {limit} bytes and cannot be an option file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read, in bytes.
        limit: u64,
    },
    /// A setting stands before the first `[group]` of its file.
    #[error("{} line {line}: option before the first [group]; put it below a group", path.display())]
    NoGroup {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
    },
    /// A line begins with `[` and has no `]`.
    #[error("{} line {line}: a group is written [name]; the ']' is missing", path.display())]
    OpenGroup {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
    },
    /// `!include` or `!includedir` without a path.
    #[error("{} line {line}: !{directive} needs a path behind it, and a newline behind that", path.display())]
    NoPath {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
        /// `include` or `includedir`.
        directive: &'static str,
    },
    /// The folder of `!includedir` cannot be listed. MariaDB does not expand `~` here.
    #[error("{} line {line}: cannot list '{}' for !includedir: {source}", path.display(), folder.display())]
    IncludeDir {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// All settings of all option files that were found, in the order in which they take effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionFiles {
    settings: Vec<Setting>,
    warnings: Vec<String>,
    files: Vec<PathBuf>,
    suffix: Option<String>,
}

impl OptionFiles {
    /// Finds and reads the files.
    pub fn read(args: &DefaultsArgs) -> Result<Self, OptionFileError> {
        Self::read_with(args, &|name| std::env::var_os(name))
    }

    /// Like [`OptionFiles::read`] with another environment: `HOME`, `MARIADB_HOME`, `MYSQL_HOME`,
    /// `MARIADB_GROUP_SUFFIX` and `MYSQL_GROUP_SUFFIX` are looked up in `env`.
    pub fn read_with(
        args: &DefaultsArgs,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, OptionFileError> {
        let mut search = Search::new(env);
        if !args.no_defaults {
            search.run(args)?;
        }
        let suffix = args.group_suffix.clone().or_else(|| {
            // An empty variable counts as set, so that the older one is not asked.
            let set = env("MARIADB_GROUP_SUFFIX").or_else(|| env("MYSQL_GROUP_SUFFIX"))?;
            Some(set.to_string_lossy().into_owned())
        });
        Ok(Self { suffix, ..search.found })
    }

    /// The settings of these groups, and of the same groups with the suffix, in effective order: a later one wins.
    /// The order is that of the files and lines, not that of `groups`, and group names match whatever their case,
    /// as in MariaDB.
    pub fn group_settings(&self, groups: &[&str]) -> Vec<&Setting> {
        let suffixed: Vec<String> = match self.suffix.as_deref() {
            None | Some("") => Vec::new(),
            Some(suffix) => groups.iter().map(|group| format!("{group}{suffix}")).collect(),
        };
        let wanted = |group: &str| {
            let mut names = groups.iter().copied().chain(suffixed.iter().map(String::as_str));
            // MariaDB would take an empty name for no group at all.
            !group.is_empty() && names.any(|name| name.eq_ignore_ascii_case(group))
        };
        self.settings.iter().filter(|setting| wanted(&setting.group)).collect()
    }

    /// Whether anything stands in this group.
    pub fn has_group(&self, name: &str) -> bool {
        self.settings.iter().any(|setting| setting.group.eq_ignore_ascii_case(name))
    }

    /// What a person should know: files that were ignored, directives that had no effect. One line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The files that were read, in order; a file that is included twice is here twice.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(in crate::config) fn add(
        &mut self,
        group: &str,
        name: &[u8],
        value: Option<&[u8]>,
        file: &Path,
        line: u32,
    ) {
        let written = String::from_utf8_lossy(name).into_owned();
        self.settings.push(Setting {
            group: group.to_owned(),
            name: normalise(&written),
            written,
            value: value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            file: file.to_owned(),
            line,
        });
    }
}
