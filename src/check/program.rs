//! Which program mysqld would start as the donor.
//!
//! When wsrep is switched on, mysqld puts `<basedir>//bin` in front of PATH, unless that very text is anywhere in it
//! (`sql/mysqld.cc`, `wsrep_prepend_PATH` in `sql/wsrep_utils.cc`). Its basedir is without symbolic links there and
//! ends with a slash, hence the two; 10.11 was seen to do it for `basedir` unset, `/usr`, `/usr/`, a link, and a
//! directory that does not exist. Then `sh` looks for `wsrep_sst_backup` in PATH and takes the first regular file
//! that the server's user may execute.
//!
//! A program is known by its content and never run: this command may be root's.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::regular_file;
use crate::ui::shell_word;

/// What mysqld looks for.
const NAME: &str = "wsrep_sst_backup";
const TOPIC: &str = "program";
/// The stock program of Debian and Ubuntu, which belongs to a package.
const DEBIANS: &str = "/usr/bin/wsrep_sst_backup";
/// What keeps a package's upgrades away from a file.
const DIVERT: &str = "/usr/bin/dpkg-divert";
/// By this the RPM package leads mysqld to its folder, from the next start of the server on.
const DROP_IN: &str = "/usr/lib/systemd/system/mariadb.service.d/50-wsrep_sst_backup.conf";
/// The folder of the packages' program.
const PACKAGED: &str = "/usr/libexec/wsrep_sst_backup";
/// The PATH of `sh` where the environment has none (dash; bash has the same folders).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// By this text in its constants a binary of ours is known. The version stands behind it, then `;`. No optimiser may
/// take it away.
#[used]
static MARK: &str = concat!("wsrep_sst_backup:this-is-the-program:version=", env!("CARGO_PKG_VERSION"), ";");
/// Longest version.
const VERSION_BYTES: usize = 64;
/// A program larger than this is not searched for the mark.
const MAX_BYTES: u64 = 512 << 20;
/// Bytes that are searched at once.
const CHUNK: usize = 1 << 20;

/// Which program a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProgramKind {
    /// This program, of this version.
    Ours(String),
    /// A script of the server's distribution, which copies nothing.
    Stock,
    /// Something else; its first line or the like.
    Other(String),
}

/// A file of the program's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FoundProgram {
    pub(super) path: PathBuf,
    pub(super) kind: ProgramKind,
    /// Whether the server's user may execute it; the text says why not.
    pub(super) executable: Result<(), String>,
}

/// The folders that are searched, in order.
pub(super) fn folders(path: Option<&str>, basedir: &Path) -> Vec<PathBuf> {
    let Some(path) = path else { return std::env::split_paths(DEFAULT_PATH).collect() };
    let real = fs::canonicalize(basedir).unwrap_or_else(|_| basedir.to_path_buf());
    let own = format!("{}//bin", real.to_string_lossy().trim_end_matches('/'));
    // mysqld compares with `PATH=…`, which makes no difference: no folder begins with that.
    let composed = if path.contains(&own) { path.to_owned() } else { format!("{own}:{path}") };
    std::env::split_paths(&composed).collect()
}

/// Regular files of the name in these folders, with what they are.
pub(super) fn search(folders: &[PathBuf]) -> Vec<FoundProgram> {
    let mut found: Vec<FoundProgram> = Vec::new();
    for folder in folders {
        let path = folder.join(NAME);
        let is_known = found.iter().any(|other| other.path == path);
        if !is_known && fs::metadata(&path).is_ok_and(|data| data.is_file()) {
            let kind = identify(&path)
                .unwrap_or_else(|error| ProgramKind::Other(format!("cannot be read: {error}")));
            found.push(FoundProgram { path, kind, executable: Ok(()) });
        }
    }
    found
}

/// The same with what this process, by now the server's user, may do.
pub(super) fn with_permissions(mut found: Vec<FoundProgram>) -> Vec<FoundProgram> {
    for candidate in &mut found {
        candidate.executable = access(&candidate.path, AccessFlags::X_OK)
            .map_err(|errno| std::io::Error::from(errno).to_string());
    }
    found
}

fn identify(path: &Path) -> std::io::Result<ProgramKind> {
    let mut file = regular_file::open(path)?;
    let (here, there) = (fs::metadata("/proc/self/exe"), file.metadata()?);
    if here.is_ok_and(|here| (here.dev(), here.ino()) == (there.dev(), there.ino())) {
        return Ok(ProgramKind::Ours(env!("CARGO_PKG_VERSION").to_owned()));
    }
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut head)?;
    if head.starts_with(b"#!") {
        return Ok(script(&String::from_utf8_lossy(&head)));
    }
    if !head.starts_with(b"\x7fELF") {
        return Ok(ProgramKind::Other("neither a script nor a program of this system".into()));
    }
    Ok(match find_version(head, file.take(MAX_BYTES))? {
        Some(version) => ProgramKind::Ours(version),
        None => ProgramKind::Other("a program of somebody else".into()),
    })
}

/// The stock script and its relatives read `wsrep_sst_common`, which belongs to the server.
fn script(text: &str) -> ProgramKind {
    if text.contains("wsrep_sst_common") {
        return ProgramKind::Stock;
    }
    ProgramKind::Other(format!(
        "a script of somebody else ({})",
        text.lines().next().unwrap_or_default().trim()
    ))
}

/// Looks for the mark in what is read, `window` being the beginning of it.
fn find_version(mut window: Vec<u8>, mut rest: impl Read) -> std::io::Result<Option<String>> {
    let prefix = MARK.split_inclusive('=').next().unwrap_or(MARK).as_bytes();
    let overlap = prefix.len() + VERSION_BYTES;
    loop {
        if let Some(version) = version_in(&window, prefix) {
            return Ok(Some(version));
        }
        window.drain(..window.len().saturating_sub(overlap));
        if Read::by_ref(&mut rest).take(CHUNK as u64).read_to_end(&mut window)? == 0 {
            return Ok(None);
        }
    }
}

fn version_in(window: &[u8], prefix: &[u8]) -> Option<String> {
    let first = *prefix.first()?;
    let mut from = 0;
    while let Some(at) = window.get(from..)?.iter().position(|byte| *byte == first) {
        let rest = &window[from + at..];
        if let Some(version) = rest.strip_prefix(prefix)
            && let Some(end) = version.iter().take(VERSION_BYTES).position(|byte| *byte == b';')
        {
            return Some(String::from_utf8_lossy(&version[..end]).into_owned());
        }
        from += at + 1;
    }
    None
}

/// What is to be told. `path` is the PATH that is searched, `own` this program's file.
pub(super) fn judge(candidates: &[FoundProgram], path: &[PathBuf], own: &Path, unit: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let refused = |candidate: &&FoundProgram| candidate.executable.is_err();
    let chosen = candidates.iter().find(|candidate| candidate.executable.is_ok());
    for (candidate, why) in
        candidates.iter().take_while(refused).filter_map(|c| Some((c, c.executable.as_ref().err()?)))
    {
        let file = shell_word(&candidate.path);
        let text = format!("{file} comes first and cannot be executed by the server's user: {why}");
        findings.push(Finding::warning(
            TOPIC,
            text,
            format!("chmod 0755 {file}, and let everybody enter the folders above it (namei -l {file})"),
        ));
    }
    findings.push(match chosen {
        None => {
            let folders: Vec<String> = path.iter().map(|folder| folder.display().to_string()).collect();
            let text = format!("mysqld would find no {NAME} in its PATH ({})", folders.join(":"));
            Finding::error(TOPIC, text, install(None, own, path, unit))
        }
        Some(FoundProgram { path: file, kind, .. }) => {
            let install = || install(Some(file), own, path, unit);
            let word = shell_word(file);
            let file = file.display();
            match kind {
                ProgramKind::Ours(version) if version == env!("CARGO_PKG_VERSION") => {
                    Finding::ok(TOPIC, format!("mysqld would start {file}, version {version}"))
                }
                ProgramKind::Ours(version) => Finding::warning(
                    TOPIC,
                    format!(
                        "mysqld would start {file}, version {version}; this program has version {}",
                        env!("CARGO_PKG_VERSION")
                    ),
                    format!("install -m 0755 {} {word}", shell_word(own)),
                ),
                ProgramKind::Stock => Finding::error(
                    TOPIC,
                    format!("mysqld would start {file}, the stock script, which copies nothing"),
                    install(),
                ),
                ProgramKind::Other(what) => {
                    Finding::error(TOPIC, format!("mysqld would start {file}: {what}"), install())
                }
            }
        }
    });
    findings
}

/// How this program comes to be the one that is started instead of `found`.
fn install(found: Option<&Path>, own: &Path, path: &[PathBuf], unit: &str) -> String {
    if Path::new(DROP_IN).exists() && !path.iter().any(|folder| folder == Path::new(PACKAGED)) {
        return format!(
            "systemctl restart {unit}: the PATH of {DROP_IN} holds from the server's next start on"
        );
    }
    let own = shell_word(own);
    let Some(found) = found else {
        let first = path.first().map_or_else(|| PathBuf::from("/usr/bin"), PathBuf::clone);
        return format!("install -m 0755 {own} {}", shell_word(&first.join(NAME)));
    };
    if found.components().eq(Path::new(DEBIANS).components()) && Path::new(DIVERT).exists() {
        return format!("dpkg-divert --local --rename --add {DEBIANS} && install -m 0755 {own} {DEBIANS}");
    }
    let ours = "/usr/local/lib/wsrep_sst_backup";
    let folders: Vec<String> = path.iter().map(|folder| folder.display().to_string()).collect();
    format!(
        "install -D -m 0755 {own} {ours}/{NAME}; then 'systemctl edit {unit}' with [Service] \
         Environment=PATH={ours}:{}, and restart the server",
        folders.join(":")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn mysqld_puts_its_own_folder_first_unless_that_text_is_there() {
        let of = |path: &str, basedir: &str| {
            folders(Some(path), Path::new(basedir))
                .iter()
                .map(|f| f.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(":")
        };
        // All of these were seen with MariaDB 10.11.
        assert_eq!(of("/a:/usr/bin:/bin", "/usr/"), "/usr//bin:/a:/usr/bin:/bin");
        assert_eq!(of("/a:/usr/bin:/bin", "/usr"), "/usr//bin:/a:/usr/bin:/bin");
        assert_eq!(of("/a:/usr//bin:/bin", "/usr"), "/a:/usr//bin:/bin");
        assert_eq!(of("/a:/x/usr//bin2", "/usr/"), "/a:/x/usr//bin2");
        assert_eq!(of("/a", "/nonexistent"), "/nonexistent//bin:/a");
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        let through_link = of("/a", &real.join("link").to_string_lossy());
        assert_eq!(through_link, format!("{}//bin:/a", real.display()));
        assert_eq!(folders(None, Path::new("/opt"))[0], Path::new("/usr/local/sbin"));
    }

    #[test]
    fn programs_are_known_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let of = |content: &[u8]| {
            let path = folder.path().join("p");
            fs::write(&path, content).unwrap();
            identify(&path).unwrap()
        };
        let stock = "#!/usr/bin/env bash\nset -ue\n. $(dirname \"$0\")/wsrep_sst_common\n";
        assert_eq!(of(stock.as_bytes()), ProgramKind::Stock);
        assert_eq!(
            of(b"#!/bin/sh\nexec true\n"),
            ProgramKind::Other("a script of somebody else (#!/bin/sh)".into())
        );
        assert!(matches!(of(b""), ProgramKind::Other(_)));
        let elf = |at: usize, mark: &str| {
            [b"\x7fELF".as_slice(), &vec![b'w'; at], mark.as_bytes(), &[0; 9]].concat()
        };
        let newer = MARK.replace(env!("CARGO_PKG_VERSION"), "9.8.7");
        // Also across the places where one chunk ends.
        for at in [0, CHUNK - 60, CHUNK - 4, CHUNK, 2 * CHUNK - 20] {
            assert_eq!(of(&elf(at, &newer)), ProgramKind::Ours("9.8.7".into()), "{at}");
        }
        assert_eq!(of(&elf(3 * CHUNK, "")), ProgramKind::Other("a program of somebody else".into()));
        assert_eq!(
            identify(Path::new("/proc/self/exe")).unwrap(),
            ProgramKind::Ours(env!("CARGO_PKG_VERSION").into())
        );
    }

    #[test]
    fn the_first_that_may_be_executed_is_started() {
        let found = |path: &str, kind, may: bool| FoundProgram {
            path: path.into(),
            kind,
            executable: if may { Ok(()) } else { Err("Permission denied".into()) },
        };
        let ours = |version: &str| ProgramKind::Ours(version.into());
        let now = env!("CARGO_PKG_VERSION");
        let cure = |path: &str| {
            let found = [found(path, ProgramKind::Stock, true)];
            let folders = ["/usr//bin".into(), "/bin".into()];
            judge(&found, &folders, Path::new("/own"), "mariadb@a").remove(0).cure.unwrap()
        };
        let elsewhere = cure("/opt/bin/wsrep_sst_backup");
        assert!(elsewhere.contains("'systemctl edit mariadb@a'"), "{elsewhere}");
        assert!(elsewhere.contains("PATH=/usr/local/lib/wsrep_sst_backup:/usr//bin:/bin,"), "{elsewhere}");
        let debian = cure("/usr//bin/wsrep_sst_backup");
        assert_eq!(debian.starts_with("dpkg-divert"), Path::new(DIVERT).exists(), "{debian}");
        for (candidates, levels, text) in [
            (vec![], vec![Level::Error], "no wsrep_sst_backup in its PATH (/a:/b)"),
            (
                vec![found("/a/w", ours(now), true), found("/b/w", ProgramKind::Stock, true)],
                vec![Level::Ok],
                "/a/w, version",
            ),
            (vec![found("/b/w", ProgramKind::Stock, true)], vec![Level::Error], "/b/w, the stock script"),
            (vec![found("/a/w", ours("0.0.1"), true)], vec![Level::Warning], "version 0.0.1; this"),
            (vec![found("/a/w", ProgramKind::Other("x".into()), true)], vec![Level::Error], "/a/w: x"),
            (
                vec![found("/a/w", ours(now), false), found("/b/w", ProgramKind::Stock, true)],
                vec![Level::Warning, Level::Error],
                "/b/w, the stock script",
            ),
        ] {
            let findings = judge(&candidates, &["/a".into(), "/b".into()], Path::new("/own"), "mariadb");
            assert_eq!(findings.iter().map(|f| f.level).collect::<Vec<_>>(), levels, "{findings:?}");
            let last = findings.last().unwrap();
            assert!(last.text.contains(text), "{last:?}");
            assert_eq!(last.cure.is_some(), last.level != Level::Ok);
        }
    }
}
