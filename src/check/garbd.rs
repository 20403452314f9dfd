//! garbd, the arbitrator that asks a donor for a backup.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::finding::Finding;
use super::probe::read_within;

const TOPIC: &str = "garbd";
/// `garbd --version` answers at once.
const LIMIT: Duration = Duration::from_secs(10);

/// garbd as it was found in PATH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GarbdProgram {
    path: PathBuf,
    /// What it says of its version: `4.23.r1234`.
    version: Result<String, String>,
}

impl GarbdProgram {
    /// Looks for it in this command's own PATH, and asks for its version.
    pub(super) fn find() -> Option<Self> {
        let folders = std::env::var_os("PATH")?;
        let runs = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        };
        let path = std::env::split_paths(&folders).map(|folder| folder.join("garbd")).find(runs)?;
        // It prints ` INFO: 4.23.r…`, on stderr.
        let started = Command::new("/bin/sh")
            .args(["-c", "exec \"$0\" --version 2>&1"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let version = started
            .map_err(|error| error.to_string())
            .and_then(|mut child| read_within(&mut child, LIMIT))
            .and_then(|text| version_in(&text).ok_or_else(|| "it tells no version".into()));
        Some(Self { path, version })
    }
}

/// The first word with a number and a dot.
fn version_in(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    text.split_whitespace().find(is_version).map(str::to_owned)
}

/// 3 or 4, from `26.4.23(r…)`, `25.3.37(r…)`, `4.23.r…`: the number of the wsrep interface may stand in front.
pub(super) fn generation(version: &str) -> Option<u32> {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        25 | 26 => numbers.next()?.ok(),
        own => Some(own),
    }
}

/// What is to be told; `provider` is the version of the node's provider.
pub(super) fn judge(garbd: Option<&GarbdProgram>, provider: Option<&str>) -> Finding {
    let wanted = provider.and_then(generation);
    let package = wanted.unwrap_or(4);
    let install = format!(
        "apt-get install galera-arbitrator-{package} (Debian, Ubuntu), or the package galera-{package} (RHEL, SUSE)"
    );
    let Some(GarbdProgram { path, version }) = garbd else {
        let text = "not in PATH: backups cannot be asked for from this machine";
        return Finding::warning(TOPIC, text, format!("{install}; no need if another machine asks"));
    };
    let path = path.display();
    let version = match version {
        Ok(version) => version,
        Err(why) => return Finding::warning(TOPIC, format!("{path}: {why}"), install),
    };
    match (generation(version), wanted, provider) {
        (Some(own), Some(wanted), Some(provider)) if own != wanted => Finding::error(
            TOPIC,
            format!("{path} is Galera {version}, the node has {provider}: it must not join this group"),
            install,
        ),
        _ => Finding::ok(TOPIC, format!("{path}, {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn the_generation_stands_behind_the_interface() {
        for (version, wanted) in [
            ("26.4.23(r8ac47c3)", Some(4)),
            ("25.3.37(r3)", Some(3)),
            ("4.23.r", Some(4)),
            ("3.37.rXXXX", Some(3)),
            ("x", None),
        ] {
            assert_eq!(generation(version), wanted, "{version}");
        }
        assert_eq!(version_in(" INFO: 4.23.r\n").as_deref(), Some("4.23.r"));
        assert_eq!(version_in("usage: garbd"), None);
    }

    #[test]
    fn garbd_must_be_there_and_of_the_nodes_generation() {
        let garbd =
            |version: &str| Some(GarbdProgram { path: "/usr/bin/garbd".into(), version: Ok(version.into()) });
        let silent = Some(GarbdProgram { path: "/g".into(), version: Err("WHY".into()) });
        for (garbd, provider, level, text) in [
            (garbd("4.23.r1"), Some("26.4.23(r1)"), Level::Ok, "/usr/bin/garbd, 4.23.r1"),
            (garbd("4.23.r1"), None, Level::Ok, "4.23"),
            (garbd("3.37.r1"), Some("26.4.23(r1)"), Level::Error, "must not join"),
            (silent, Some("26.4.23(r1)"), Level::Warning, "WHY"),
            (None, Some("25.3.37(r1)"), Level::Warning, "not in PATH"),
        ] {
            let finding = judge(garbd.as_ref(), provider);
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
        assert!(judge(None, Some("25.3.37(r1)")).cure.unwrap().contains("galera-arbitrator-3"));
    }
}
