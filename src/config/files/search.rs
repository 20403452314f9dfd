//! Which option files are read, and in which order.
//!
//! As `my_search_option_files()` and `init_default_directories()` in MariaDB's `mysys/my_default.c` do it: with
//! `--defaults-file` that file alone; else `/etc/my.cnf`, `/etc/mysql/my.cnf`, `my.cnf` in `$MARIADB_HOME` (or
//! `$MYSQL_HOME`), the `--defaults-extra-file`, and `~/.my.cnf`. `my_print_defaults --help` prints that list. A folder
//! that comes twice is read at its last place. Files that are not there are skipped, except for those that a flag
//! names.
//!
//! A fault in an included file ends the reading of that file only; MariaDB prints it and goes on, keeping what the
//! file set before the fault. The same happens here, and the fault becomes a warning. A fault in a file of the
//! search itself is an error.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::expand::expand;
use super::parse::{self, LineError, OptionLine};
use super::{DefaultsArgs, OptionFileError, OptionFiles};

/// `!include` deeper than this is skipped (`max_recursion_level`).
const MAX_DEPTH: u32 = 10;
/// MariaDB ignores files whose name has more bytes than this (`FN_REFLEN - 4`).
const MAX_NAME_BYTES: usize = 508;
/// Option files have kilobytes. The limit keeps a device or a data file from filling the memory.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The bit of a mode that lets everybody write (`S_IWOTH`).
const WORLD_WRITABLE: u32 = 0o002;

/// What became of a file that does not have to exist.
enum FileOpened {
    Read,
    Missing(io::Error),
}

/// A walk over the option files.
pub(super) struct Search<'a> {
    env: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) found: OptionFiles,
}

impl<'a> Search<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { env, found: OptionFiles::default() }
    }

    /// Reads everything that `args` and the default places give.
    pub(super) fn run(&mut self, args: &DefaultsArgs) -> Result<(), OptionFileError> {
        if let Some(path) = &args.defaults_file {
            return self.required("--defaults-file", path);
        }
        let (before, after) = self.default_files();
        for path in before {
            self.optional(&path)?;
        }
        if let Some(path) = &args.defaults_extra_file {
            self.required("--defaults-extra-file", path)?;
        }
        // Who keeps root's HOME under another user has no folder there, and nothing to be told of it.
        let enters = |path: &&PathBuf| {
            !path.metadata().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        after.iter().filter(enters).try_for_each(|path| self.optional(path))
    }

    /// The files before and behind the extra file.
    fn default_files(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let mut folders = vec![PathBuf::from("/etc"), PathBuf::from("/etc/mysql")];
        let extra = (self.env)("MARIADB_HOME").or_else(|| (self.env)("MYSQL_HOME"));
        if let Some(extra) = extra.filter(|name| !name.is_empty()) {
            let folder = expand(extra.as_bytes(), None);
            folders.retain(|other| *other != folder);
            folders.push(folder);
        }
        let before = folders.iter().map(|folder| folder.join("my.cnf")).collect();
        let home = (self.env)("HOME").filter(|home| !home.is_empty());
        (before, home.map(|home| PathBuf::from(home).join(".my.cnf")).into_iter().collect())
    }

    fn required(&mut self, option: &'static str, path: &Path) -> Result<(), OptionFileError> {
        // As my_realpath(): the real path, else the absolute one.
        let path = path.canonicalize().or_else(|_| std::env::current_dir().map(|cwd| cwd.join(path)));
        let path = path.map_err(|source| OptionFileError::Read { path: PathBuf::from("."), source })?;
        match self.file(&path, 0)? {
            FileOpened::Read => Ok(()),
            FileOpened::Missing(source) => Err(OptionFileError::Required { option, path, source }),
        }
    }

    fn optional(&mut self, path: &Path) -> Result<(), OptionFileError> {
        if let FileOpened::Missing(cause) = self.file(path, 0)?
            && cause.kind() != io::ErrorKind::NotFound
        {
            self.warn(format!("option file '{}' is ignored: {cause}", path.display()));
        }
        Ok(())
    }

    fn included(&mut self, path: &Path, depth: u32, file: &Path, line: u32) {
        let place = || format!("{} line {line}: included file '{}'", file.display(), path.display());
        match self.file(path, depth) {
            Ok(FileOpened::Read) => {}
            Ok(FileOpened::Missing(cause)) => self.warn(format!("{} is ignored: {cause}", place())),
            Err(fault) => self.warn(format!("{} is read up to a fault only: {fault}", place())),
        }
    }

    /// Reads one file and what it includes.
    fn file(&mut self, path: &Path, depth: u32) -> Result<FileOpened, OptionFileError> {
        let shown = path.display();
        if path.as_os_str().len() > MAX_NAME_BYTES {
            self.warn(format!("'{shown}' is ignored: MariaDB takes names of up to {MAX_NAME_BYTES} bytes"));
            return Ok(FileOpened::Read);
        }
        let meta = match path.metadata() {
            Ok(meta) => meta,
            Err(cause) => return Ok(FileOpened::Missing(cause)),
        };
        if meta.is_file() && meta.permissions().mode() & WORLD_WRITABLE != 0 {
            self.warn(format!(
                "World-writable config file '{shown}' is ignored; take it away with chmod o-w"
            ));
            return Ok(FileOpened::Read);
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(cause) => return Ok(FileOpened::Missing(cause)),
        };
        if meta.is_dir() {
            self.warn(format!("'{shown}' is a folder, from which no options are read"));
            return Ok(FileOpened::Read);
        }
        let text = contents(file, path)?;
        self.found.files.push(path.to_owned());
        self.text(path, &text, depth)?;
        Ok(FileOpened::Read)
    }

    fn text(&mut self, path: &Path, text: &[u8], depth: u32) -> Result<(), OptionFileError> {
        let mut group: Option<String> = None;
        for (line, piece) in parse::pieces(text) {
            if depth >= MAX_DEPTH && parse::is_directive(piece) {
                self.warn(format!(
                    "{} line {line}: skipped, because files are included {MAX_DEPTH} levels deep here",
                    path.display()
                ));
                continue;
            }
            match parse::line(piece).map_err(|fault| located(&fault, path, line))? {
                OptionLine::Nothing => {}
                OptionLine::Group(name) => group = Some(String::from_utf8_lossy(&name).into_owned()),
                OptionLine::Option { name, value } => {
                    let Some(group) = &group else {
                        return Err(OptionFileError::NoGroup { path: path.to_owned(), line });
                    };
                    self.found.add(group, &name, value.as_deref(), path, line);
                }
                OptionLine::Include { path: name, cut } => {
                    self.warn_about_cut(cut, path, line);
                    let home = (self.env)("HOME");
                    self.included(&expand(&name, home.as_deref()), depth + 1, path, line);
                }
                OptionLine::IncludeDir { path: name, cut } => {
                    self.warn_about_cut(cut, path, line);
                    self.folder(&PathBuf::from(OsString::from_vec(name)), depth, path, line)?;
                }
                OptionLine::UnknownDirective(word) => self.warn(format!(
                    "{} line {line}: '!{}' is neither !include nor !includedir and has no effect",
                    path.display(),
                    String::from_utf8_lossy(&word)
                )),
            }
        }
        Ok(())
    }

    /// `!includedir`: the files `*.cnf`, hidden ones too, in the order of their bytes (`my_dir(…, MY_WANT_SORT)`).
    fn folder(&mut self, folder: &Path, depth: u32, file: &Path, line: u32) -> Result<(), OptionFileError> {
        let names = cnf_names(folder).map_err(|source| OptionFileError::IncludeDir {
            path: file.to_owned(),
            line,
            folder: folder.to_owned(),
            source,
        })?;
        let home = (self.env)("HOME");
        for name in names {
            let path = expand(folder.join(name).as_os_str().as_bytes(), home.as_deref());
            self.included(&path, depth + 1, file, line);
        }
        Ok(())
    }

    fn warn_about_cut(&mut self, cut: Option<u8>, path: &Path, line: u32) {
        if let Some(byte) = cut {
            self.warn(format!(
                "{} line {line}: MariaDB drops the last letter '{}' of this name, because the line does not end \
                 with a newline; add one",
                path.display(),
                char::from(byte)
            ));
        }
    }

    fn warn(&mut self, warning: String) {
        self.found.warnings.push(warning);
    }
}

fn contents(file: File, path: &Path) -> Result<Vec<u8>, OptionFileError> {
    let mut text = Vec::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text);
    read.map_err(|source| OptionFileError::Read { path: path.to_owned(), source })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(OptionFileError::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(text)
}

fn cnf_names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        if name.as_bytes().ends_with(b".cnf") {
            names.push(name);
        }
    }
    names.sort_by(|a: &OsString, b: &OsString| OsStr::cmp(a, b));
    Ok(names)
}

fn located(fault: &LineError, path: &Path, line: u32) -> OptionFileError {
    let path = path.to_owned();
    match *fault {
        LineError::OpenGroup => OptionFileError::OpenGroup { path, line },
        LineError::NoPath(directive) => OptionFileError::NoPath { path, line, directive },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The lists are those that `my_print_defaults --help` prints in these environments.
    #[test]
    fn a_folder_that_comes_twice_is_read_at_its_last_place() {
        for (maria, wanted) in [
            ("/m/", &["/etc/my.cnf", "/etc/mysql/my.cnf", "/m/my.cnf"][..]),
            ("/etc", &["/etc/mysql/my.cnf", "/etc/my.cnf"]),
            ("/etc/mysql/", &["/etc/my.cnf", "/etc/mysql/my.cnf"]),
            ("", &["/etc/my.cnf", "/etc/mysql/my.cnf"]),
        ] {
            let env = |name: &str| match name {
                "MARIADB_HOME" => Some(OsString::from(maria)),
                "MYSQL_HOME" => Some(OsString::from("/not/read")),
                "HOME" => Some(OsString::from("/h")),
                _ => None,
            };
            let (before, after) = Search::new(&env).default_files();
            assert_eq!(before, wanted.iter().map(PathBuf::from).collect::<Vec<_>>(), "{maria}");
            assert_eq!(after, [PathBuf::from("/h/.my.cnf")]);
        }
    }
}
