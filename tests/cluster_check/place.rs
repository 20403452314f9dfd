//! Where the donor program will be: which one mysqld starts, and what it sees from there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::support::cli::open_folder;
use super::support::program::with_program;
use super::support::{Cluster, ClusterOptions, Garbd, PATIENCE, Program, copy_program, wait_until};
use super::{BINARY, Found, found, found_with};

/// A one-node cluster whose mysqld has this PATH, what `check` says of the program, and what mysqld then starts.
fn started_program(path: &str, basedir: Option<&str>) -> (Found, String) {
    let mut options = ClusterOptions::new().env("PATH", path).group("wsrep_sst_backup", "user=root");
    options = options.group("wsrep_sst_backup", "repository={base}/repository");
    if let Some(basedir) = basedir {
        options = options.mysqld(&format!("basedir={basedir}")).mysqld("lc_messages_dir=/usr/share/mysql");
    }
    let cluster = Cluster::start(1, &options);
    cluster.make_dir("repository");
    let found = found(&cluster);
    let outcome = Garbd::backup_and_wait(&cluster, 1, None, PATIENCE);
    // Our program says its last word behind `done`, with which the donor is one no more.
    let lines = || cluster.n(1).script_lines(outcome.donor_mark).join("\n");
    let has_ended =
        |lines: &str| lines.contains(" is complete at ") || lines.contains("backup SST started on donor");
    wait_until(PATIENCE, || has_ended(&lines()));
    (found, lines())
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn the_program_that_is_named_is_the_one_that_mysqld_starts() {
    let folder = open_folder();
    copy_program(BINARY, folder.path().join("wsrep_sst_backup"));
    let ours = folder.path().display().to_string();
    let named = format!("mysqld would start {ours}/wsrep_sst_backup, version");
    // basedir is /usr/, whose own folder comes first.
    for basedir in [None, Some("/usr")] {
        let (found, lines) = started_program(&format!("{ours}:/usr/bin:/usr/sbin:/bin"), basedir);
        let cure = if Path::new("/usr/bin/dpkg-divert").exists() { "dpkg-divert" } else { "systemctl edit" };
        found.errors(1).has("error", "program", &["/usr//bin/wsrep_sst_backup, the stock script", cure]);
        assert!(lines.contains("backup SST started on donor"), "not the stock script:\n{lines}");
        let (found, lines) = started_program(&format!("{ours}:/usr//bin:/usr/sbin:/bin"), basedir);
        found.errors(0).has("ok", "program", &[&named]);
        assert!(lines.contains(" is complete at "), "not ours:\n{lines}");
    }
    let (found, lines) = started_program(&format!("{ours}:/usr/bin:/usr/sbin:/bin"), Some("/usr/local"));
    found.errors(0).has("ok", "program", &[&named]);
    assert!(lines.contains(" is complete at "), "not ours:\n{lines}");
    // mysqld's user may not execute it.
    fs::set_permissions(folder.path().join("wsrep_sst_backup"), fs::Permissions::from_mode(0o700)).unwrap();
    let (found, lines) = started_program(&format!("{ours}:/usr//bin:/usr/sbin:/bin"), None);
    found.errors(1).has("warning", "program", &[&ours, "cannot be executed", "Permission denied"]).has(
        "error",
        "program",
        &["/usr//bin/wsrep_sst_backup, the stock script"],
    );
    assert!(lines.contains("backup SST started on donor"), "not the stock script:\n{lines}");
}

/// Killed with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_sandbox_is_looked_into() {
    let cluster = Cluster::prepare(1, &with_program(ClusterOptions::new(), BINARY));
    let repository = Program::of(&cluster).repository().display().to_string();
    let hidden = cluster.make_dir("hidden/inside").display().to_string();
    let node = cluster.n(1);
    // As systemd does it for ProtectSystem and ProtectHome: a mount namespace of the server's own.
    let script = format!(
        "mount --bind '{repository}' '{repository}' && mount -o remount,ro,bind '{repository}' && \
         mount -t tmpfs -o ro,mode=000 tmpfs '{}' && exec mariadbd --defaults-file='{}' --wsrep-new-cluster",
        Path::new(&hidden).parent().unwrap().display(),
        node.cnf().display()
    );
    let path = format!("{}:/usr//bin:/usr/sbin:/sbin:/bin", cluster.dir().join("bin").display());
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]).env_clear().env("PATH", path).process_group(0);
    let _server =
        Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    assert!(wait_until(PATIENCE, || node.state() == "Synced"), "{}", node.log_tail());
    // For everybody else it can be written.
    fs::write(format!("{repository}/probe"), "").unwrap();
    let cure = format!("ReadWritePaths={repository}");
    found(&cluster).errors(1).has("error", "repository", &["Read-only file system", "sandbox", &cure]);
    let inside =
        |text: String| text.replace(&format!("repository={repository}"), &format!("repository={hidden}"));
    found_with(&cluster, inside).errors(1).has(
        "error",
        "repository",
        &[&hidden, "is hidden from the server by the sandbox", "ProtectHome"],
    );
}
