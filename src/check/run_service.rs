//! Whether the service that backs a node up every night may write where it has to: it runs in a sandbox, and this command does not.

use std::fs;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::service::shown;

const TOPIC: &str = "service";
/// The unit of the packages.
const UNIT: &str = "wsrep-sst-backup-run";

/// What is to be told of it, where its timer is on. `places` are the directories that a `run` writes to besides the repository.
pub(super) fn look(places: &[PathBuf]) -> Option<Finding> {
    let timer = shown("UnitFileState", &format!("{UNIT}.timer"))?;
    if timer.trim() != "UnitFileState=enabled" {
        return None;
    }
    judge(&shown("ProtectSystem,ReadWritePaths", &format!("{UNIT}.service"))?, places)
}

/// `shown` are lines as `systemctl show` prints them.
fn judge(shown: &str, places: &[PathBuf]) -> Option<Finding> {
    if !shown.lines().any(|line| line == "ProtectSystem=strict") {
        return None;
    }
    // Links count as what they lead to, for systemd as well. A '-' stands before what need not be there.
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let writable: Vec<PathBuf> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("ReadWritePaths="))
        .flat_map(str::split_whitespace)
        .map(|path| real(Path::new(path.trim_start_matches(['-', '+']))))
        .collect();
    let is_closed = |place: &&PathBuf| !writable.iter().any(|path| real(place).starts_with(path));
    let mut closed: Vec<String> =
        places.iter().filter(is_closed).map(|place| place.display().to_string()).collect();
    closed.dedup();
    (!closed.is_empty()).then(|| {
        Finding::warning(
            TOPIC,
            format!(
                "{UNIT}.service may not write to {}: it cannot clone files there, so it takes another method than is told here, or none",
                closed.join(", ")
            ),
            format!("'systemctl edit {UNIT}.service' with [Service] ReadWritePaths={}", closed.join(" ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_the_service_may_not_write_to_is_named() {
        let places = ["/data/mysql", "/var/lib/none", "/ssd/redo"].map(PathBuf::from);
        let strict = |paths: &str| format!("ProtectSystem=strict\nReadWritePaths={paths}\n");
        let told = |shown: &str| judge(shown, &places).map(|finding| (finding.text, finding.cure));
        let (text, cure) = told(&strict("-/data -/var/lib/none")).unwrap();
        assert!(text.contains("may not write to /ssd/redo:"), "{text}");
        assert!(cure.unwrap().ends_with("ReadWritePaths=/ssd/redo"));
        assert!(told(&strict("-/dat /var/lib")).unwrap().0.contains("/data/mysql, /ssd/redo"));
        assert_eq!(told(&strict("/data /var/lib /ssd/redo")), None);
        assert_eq!(told("ProtectSystem=full\nReadWritePaths=\n"), None);
    }
}
