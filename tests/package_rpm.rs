//! The .rpm in a root of its own, beside a package that owns the stub as MariaDB-server does.

#[path = "package/node.rs"]
mod node;
mod package;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use node::Node;
use package::root::Root;
use package::{ok, package, run, said};

const PROGRAM: &str = "/usr/libexec/wsrep_sst_backup/wsrep_sst_backup";
const OPTION_FILE: &str = "/etc/my.cnf.d/wsrep_sst_backup.cnf";
const REPOSITORY: &str = "/var/backups/wsrep_sst_backup";
const DROP_IN: &str = "/usr/lib/systemd/system/mariadb.service.d/50-wsrep_sst_backup.conf";

/// Packages as a system with RPM has them: its base, and a server that owns the stub and makes the user mysql.
const SPEC: &str = r"
Name: MariaDB-server
Version: 11.4.2
Release: 1
Summary: A server
License: MIT
AutoReqProv: no
%define debug_package %{nil}
%description
A server.
%package -n base
Summary: A system
Provides: /bin/sh
%description -n base
A system.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/man/man1 %{buildroot}/etc
echo 'echo stub' >%{buildroot}/usr/bin/wsrep_sst_backup
echo stub | gzip >%{buildroot}/usr/share/man/man1/wsrep_sst_backup.1.gz
echo base >%{buildroot}/etc/base-release
%pre
getent passwd mysql >/dev/null || useradd -r mysql
%files
%attr(0755,root,root) /usr/bin/wsrep_sst_backup
/usr/share/man/man1/wsrep_sst_backup.1.gz
%files -n base
/etc/base-release
";

/// A root without any MariaDB, with a database of RPM.
struct Machine {
    root: Root,
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let spec = folder.path().join("server.spec");
        fs::write(&spec, SPEC).unwrap();
        let define = |name: &str, value: &str| format!("{name} {value}");
        let top = folder.path().display().to_string();
        let built = Command::new("rpmbuild")
            .args(["-bb", "--quiet", "--target", "noarch-linux", "--define", &define("_topdir", &top)])
            .args(["--define", &define("_rpmdir", &top), "--define", "_rpmfilename %%{NAME}.rpm"])
            .arg(spec)
            .output();
        ok(&built.expect("cannot run rpmbuild"));
        let machine = Self { root: Root::new(), folder };
        machine.rpm(&["-i", &machine.file("base")]);
        machine
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(format!("{name}.rpm")).display().to_string()
    }

    /// `rpm` on this root; what it says.
    #[track_caller]
    fn rpm(&self, arguments: &[&str]) -> String {
        let place = self.root.path("").display().to_string();
        run("rpm", &[&["--force-debian", "--root", &place, "--dbpath", "/var/lib/rpm"], arguments].concat())
    }

    #[track_caller]
    fn install(&self, how: &str, package: &Path) -> String {
        self.rpm(&[how, &package.display().to_string()])
    }
}

fn ours(release: u32) -> PathBuf {
    package("rpm", release)
}

#[test]
#[ignore = "needs root and the packages of scripts/install-deps"]
fn it_lives_beside_the_server_and_goes_without_a_trace_of_damage() {
    let machine = Machine::new();
    let root = &machine.root;
    root.sh("dpkg -P mariadb-server 2>&1; userdel mysql");
    let said = machine.install("-i", &ours(1));
    assert!(said.contains("from the next start of mariadb on"), "{said}");
    assert_eq!(root.stat(OPTION_FILE), "640 root:root regular file");
    assert_eq!(root.stat(REPOSITORY), "");

    // The server comes: no conflict, and its user gets what it needs.
    machine.rpm(&["-i", &machine.file("MariaDB-server")]);
    assert_eq!(root.sh("wsrep_sst_backup"), "stub\n");
    assert_eq!(root.stat(OPTION_FILE), "640 root:mysql regular file");
    assert_eq!(root.stat(REPOSITORY), "750 mysql:mysql directory");
    assert_eq!(machine.rpm(&["-V", "wsrep-sst-backup"]), "");
    assert_eq!(root.stat(PROGRAM), "755 root:root regular file");
    for name in ["wsrep-sst-backup", "wsrep_sst_backup.sh"] {
        assert!(root.sh(&format!("{name} --version")).starts_with("wsrep_sst_backup "), "{name}");
    }
    assert_eq!(root.sh("find /etc/systemd -name 'wsrep*'"), "", "a timer is enabled");

    // An upgrade keeps what somebody has written.
    root.sh(&format!("echo 'keep-last = 5' >>{OPTION_FILE}; touch {REPOSITORY}/backup"));
    machine.install("-U", &ours(2));
    assert!(root.sh(&format!("tail -n 1 {OPTION_FILE}")).contains("keep-last = 5"));
    assert_eq!(root.stat(OPTION_FILE), "640 root:mysql regular file");
    assert_eq!(root.stat(REPOSITORY), "750 mysql:mysql directory");

    let said = machine.rpm(&["-e", "wsrep-sst-backup"]);
    assert!(said.contains("the backups in /var/backups/wsrep_sst_backup are kept"), "{said}");
    assert!(root.sh(&format!("cat {OPTION_FILE}.rpmsave")).contains("keep-last = 5"));
    assert_eq!(machine.rpm(&["-V", "MariaDB-server"]), "");
    let left = root.sh("find / -xdev -path /proc -prune -o -name '*wsrep[-_]sst[-_]backup*' -print | sort");
    let expected = [
        &format!("{OPTION_FILE}.rpmsave"),
        "/usr/bin/wsrep_sst_backup",
        "/usr/share/man/man1/wsrep_sst_backup.1.gz",
        REPOSITORY,
    ];
    assert_eq!(left.lines().collect::<Vec<_>>(), expected);

    // The other order.
    machine.install("-i", &ours(1));
    assert_eq!(root.stat(OPTION_FILE), "640 root:mysql regular file");
    machine.rpm(&["-e", "wsrep-sst-backup"]);
    assert_eq!(root.stat(&format!("{REPOSITORY}/backup")), "644 root:root regular empty file");
}

#[test]
#[ignore = "needs root and the packages of scripts/install-deps"]
fn a_donor_with_the_drop_ins_path_runs_ours() {
    let machine = Machine::new();
    let root = &machine.root;
    machine.install("-i", &ours(1));
    // A server whose stub lies in /usr/bin. Without the drop-in, that is what it runs.
    let node = Node::start(root, None);
    assert_eq!(node.back_up("without-drop-in"), None);
    assert_eq!(node.transfer("backup.sh", "by-the-other-name"), Some("by-the-other-name".to_owned()));
    let checked = said(&root.attempt("wsrep-sst-backup check --sample 0"));
    assert!(checked.contains(&format!("systemctl restart mariadb: the PATH of {DROP_IN}")), "{checked}");
    drop(node);
    let drop_in = fs::read_to_string(root.path(DROP_IN)).unwrap();
    let path = drop_in.lines().find_map(|line| line.strip_prefix("Environment=PATH=")).unwrap();
    let node = Node::start(root, Some(path));
    assert_eq!(node.back_up("with-basedir"), Some("with-basedir".to_owned()));
    let node =
        node.restart_after(|root| root.sh("sed -i 's/^basedir/#&/' /etc/mysql/mariadb.conf.d/50-server.cnf"));
    assert_eq!(node.back_up("without-basedir"), Some("without-basedir".to_owned()));
    let checked = said(&root.attempt("wsrep-sst-backup check --sample 0"));
    assert!(checked.contains(&format!("mysqld would start {PROGRAM}, version")), "{checked}");
    assert!(root.sh("wsrep-sst-backup verify latest").contains("is intact"));
}

#[test]
#[ignore = "needs root and the packages of scripts/install-deps"]
fn old_versions_of_rpm_can_read_it() {
    let file = ours(1).display().to_string();
    let format = "%{PAYLOADCOMPRESSOR} %{FILEDIGESTALGO} %{ARCH}\n";
    let told = run("rpm", &["-qp", "--queryformat", format, &file]);
    // SHA-256, as since RPM 4.6. The package for people has xz in place of gzip, as since RPM 4.8.
    assert_eq!(told, format!("gzip 8 {}\n", std::env::consts::ARCH));
    let requires = run("rpm", &["-qp", "--requires", &file]);
    let known =
        ["/bin/sh", "rpmlib(CompressedFileNames)", "rpmlib(FileDigests)", "rpmlib(PayloadFilesHavePrefix)"];
    let unknown: Vec<_> =
        requires.lines().filter(|line| !known.iter().any(|known| line.starts_with(known))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(run("rpm", &["-qp", "--requires", &file]).contains("/bin/sh"));
}
