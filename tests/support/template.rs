//! A data directory as `mariadb-install-db` makes it: once per machine, server version and page size.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ports::shared_dir;
use super::root::Root;
use super::scratch::ServerUser;

/// Settings that `mariadb-install-db` needs because the files depend on them.
fn install_settings(page_size: Option<u32>) -> Vec<String> {
    let mut settings = vec!["--innodb-log-file-size=8M".to_owned()];
    settings.extend(page_size.map(|bytes| format!("--innodb-page-size={bytes}")));
    settings
}

/// Fills the empty folder `datadir` with an empty server.
pub fn fill(datadir: &Path, user: &ServerUser, page_size: Option<u32>) {
    let template = prepared(user, page_size);
    let done = Command::new("cp").arg("-a").arg(template.join(".")).arg(datadir).status();
    assert!(done.is_ok_and(|s| s.success()), "cannot copy '{}'", template.display());
    user.own(datadir);
}

/// The path of the prepared data directory, made now if this is the first call on the machine.
fn prepared(user: &ServerUser, page_size: Option<u32>) -> PathBuf {
    let version = Command::new("mariadbd").args(["--no-defaults", "--version"]).output();
    let version = version.expect("no mariadbd here: run scripts/install-deps").stdout;
    let version: String = String::from_utf8_lossy(&version)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c))
        .collect();
    let name = format!("{version}-{}-{}", page_size.unwrap_or(16_384), user.name);
    let cache = shared_dir("datadirs");
    let ready = cache.join(&name);
    let lock = File::create(cache.join(format!("{name}.lock"))).expect("cannot make a lock file");
    lock.lock().expect("cannot lock");
    if !ready.is_dir() {
        let building = cache.join(format!("{name}.new"));
        let _ = fs::remove_dir_all(&building);
        fs::create_dir(&building).expect("cannot make a folder");
        user.own(&building);
        let arguments: Vec<String> = install_settings(page_size);
        install(&Root::default(), &building, user, &["--no-defaults".to_owned()], &arguments);
        fs::rename(&building, &ready).expect("cannot rename the prepared data directory");
    }
    ready
}

/// Runs `mariadb-install-db` of this root directory; `first` are the options that must come first (`--defaults-file`).
pub fn install(root: &Root, datadir: &Path, user: &ServerUser, first: &[String], settings: &[String]) {
    let output = root
        .command("mariadb-install-db", [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
        .args(first)
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .arg(format!("--datadir={}", datadir.display()))
        .arg(format!("--user={}", user.name))
        .args(settings)
        .stdin(Stdio::null())
        .output()
        .expect("no mariadb-install-db here: run scripts/install-deps");
    assert!(
        output.status.success(),
        "mariadb-install-db failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
