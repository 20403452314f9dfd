//! The .deb in a clean Debian: a donor runs our program from then on, in whatever order things are installed, and the
//! stub is back when the package is gone.
//!
//! Asserted is what dpkg, the file system and real servers say: which program a donor has run is told by the manifest
//! that it has left.

#[path = "package/node.rs"]
mod node;
mod package;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use node::Node;
use package::root::Root;
use package::{package, run, said};

const STUB: &str = "/usr/bin/wsrep_sst_backup";
const OPTION_FILE: &str = "/etc/mysql/mariadb.conf.d/60-wsrep_sst_backup.cnf";
const REPOSITORY: &str = "/var/backups/wsrep_sst_backup";
const OURS: &str = "777 root:root symbolic link";
const STOCK: &str = "755 root:root regular file";

/// Installs our package; what dpkg says.
#[track_caller]
fn install(root: &Root, deb: &Path) -> String {
    let inside = root.bring(deb);
    let said = root.sh(&format!("dpkg -i {inside} 2>&1"));
    // A server that was stopped on purpose would be started.
    assert!(!said.contains("triggers for mariadb-server"), "{said}");
    said
}

/// A package that goes with its folder.
struct Newer(tempfile::TempDir);

impl Newer {
    fn path(&self) -> PathBuf {
        self.0.path().join("newer.deb")
    }
}

/// The same package as a later version, with another content of some files.
fn newer(deb: &Path, edit: impl FnOnce(&Path)) -> Newer {
    let newer = Newer(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let tree = newer.0.path().join("tree");
    run("dpkg-deb", &["-R", &deb.display().to_string(), &tree.display().to_string()]);
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap().replace("Version: 0", "Version: 1.0");
    fs::write(control, text).unwrap();
    edit(&tree);
    fs::remove_file(tree.join("DEBIAN/md5sums")).unwrap();
    let file = newer.path();
    let arguments = ["--root-owner-group", "-Zgzip", "-z1", "--build"];
    run("dpkg-deb", &[&arguments[..], &[&tree.display().to_string(), &file.display().to_string()]].concat());
    newer
}

#[track_caller]
fn assert_ours(root: &Root) {
    assert_eq!(root.stat(STUB), OURS);
    assert_eq!(root.stat(&format!("{STUB}.distrib")), STOCK);
    let divert = root.sh("dpkg-divert --list wsrep-sst-backup; dpkg-divert --list '/usr/bin/wsrep*'");
    assert!(divert.contains(&format!("{STUB} to {STUB}.distrib by wsrep-sst-backup")), "{divert}");
    assert_eq!(root.sh("dpkg --verify wsrep-sst-backup"), "");
}

#[track_caller]
fn assert_stock(root: &Root) {
    assert_eq!(root.stat(STUB), STOCK);
    assert_eq!(root.stat(&format!("{STUB}.distrib")), "");
    assert_eq!(
        root.sh("dpkg-divert --list '*wsrep*'; dpkg --verify mariadb-server | grep -v /etc/ || :"),
        ""
    );
    assert!(root.sh(&format!("dpkg -S {STUB}")).starts_with("mariadb-server:"));
}

#[test]
#[ignore = "needs root and the packages of scripts/install-deps"]
fn a_donor_runs_ours_until_the_package_is_gone() {
    let deb = package("deb", 1);
    let root = Root::new();
    install(&root, &deb);
    assert_ours(&root);
    assert_eq!(root.stat(OPTION_FILE), "640 root:mysql regular file");
    assert_eq!(root.stat(REPOSITORY), "750 mysql:mysql directory");
    assert_eq!(root.sh("find /etc/systemd -name 'wsrep*'"), "", "a timer is enabled");
    // Every program of the server reads the folder of the option file, also for users who may not read that.
    assert_eq!(root.sh("su nobody -s /bin/sh -c 'mariadb --help >/dev/null'"), "");

    // Debian's own option file sets basedir=/usr; without it mysqld has another PATH.
    let node = Node::start(&root, None);
    let basedir = || root.sh("mariadb -NBe 'SELECT @@basedir'");
    assert_eq!(basedir(), "/usr\n");
    assert_eq!(node.back_up("with-basedir"), Some("with-basedir".to_owned()));
    let verified = root.sh("wsrep_sst_backup verify latest");
    assert!(verified.contains("is intact"), "{verified}");
    let node =
        node.restart_after(|root| root.sh("sed -i 's/^basedir/#&/' /etc/mysql/mariadb.conf.d/50-server.cnf"));
    assert_eq!(basedir(), "/usr/\n");
    assert_eq!(node.back_up("without-basedir"), Some("without-basedir".to_owned()));

    let node = node.restart_after(|root| root.sh("dpkg -i /srv/server/mariadb-server_*.deb 2>&1"));
    assert_ours(&root);
    assert_eq!(node.back_up("reinstalled"), Some("reinstalled".to_owned()));

    root.sh(&format!("echo 'keep-last = 5' >>{OPTION_FILE}"));
    let template = |tree: &Path| {
        let file = tree.join("usr/share/wsrep_sst_backup/wsrep_sst_backup.cnf");
        fs::write(file, "[wsrep_sst_backup]\n#new = 1\n").unwrap();
    };
    install(&root, &newer(&deb, template).path());
    assert_ours(&root);
    assert!(root.sh(&format!("tail -n 1 {OPTION_FILE}")).contains("keep-last = 5"));
    assert_eq!(node.back_up("upgraded"), Some("upgraded".to_owned()));

    root.sh("dpkg -r wsrep-sst-backup");
    assert_stock(&root);
    assert_eq!(root.stat(OPTION_FILE), "640 root:mysql regular file");
    assert_eq!(node.back_up("with-the-stub"), None);
    drop(node);
    let told = root.sh("dpkg -P wsrep-sst-backup 2>&1");
    assert!(told.contains("the backups in /var/backups/wsrep_sst_backup are kept"), "{told}");
    assert_stock(&root);
    let left = root.sh("find / -xdev -path /proc -prune -o -name '*wsrep[-_]sst[-_]backup*' -print | sort");
    let stocks = ["/usr/bin/wsrep_sst_backup", "/usr/share/man/man1/wsrep_sst_backup.1.gz", REPOSITORY];
    assert_eq!(left.lines().collect::<Vec<_>>(), stocks);
    assert_eq!(node::manifests(&root).len(), 4, "a backup is gone");
}

#[test]
#[ignore = "needs root and the packages of scripts/install-deps"]
fn the_server_may_come_later_and_an_untouched_option_file_follows_the_package() {
    let deb = package("deb", 1);
    let root = Root::new();
    root.sh("dpkg -P mariadb-server 2>&1; rm -rf /etc/mysql/mariadb.conf.d/60-galera.cnf; userdel mysql");
    install(&root, &deb);
    assert_eq!(root.stat(OPTION_FILE), "640 root:root regular file");
    assert_eq!((root.stat(REPOSITORY), root.stat(STUB)), (String::new(), OURS.to_owned()));
    // The server's package brings the user and its own files; both of its packages may do it.
    let said = root.sh("dpkg -i /srv/server/mariadb-server_*.deb 2>&1");
    assert_ours(&root);
    assert!(!said.contains("conflict"), "{said}");
    root.sh("dpkg-trigger --no-await /usr/sbin/mariadbd && dpkg --configure --pending 2>&1");
    assert_eq!(root.stat(OPTION_FILE), "640 root:mysql regular file");
    assert_eq!(root.stat(REPOSITORY), "750 mysql:mysql directory");

    let template = |tree: &Path| {
        let file = tree.join("usr/share/wsrep_sst_backup/wsrep_sst_backup.cnf");
        fs::write(file, "[wsrep_sst_backup]\n#new = 1\n").unwrap();
    };
    install(&root, &newer(&deb, template).path());
    assert_eq!(root.sh(&format!("cat {OPTION_FILE}")), "[wsrep_sst_backup]\n#new = 1\n");
    assert_eq!(root.stat(OPTION_FILE), "640 root:mysql regular file");
    // Removed on purpose: it stays so. And one that somebody else has written is not ours to take.
    root.sh(&format!("rm {OPTION_FILE}"));
    install(&root, &newer(&deb, |_| {}).path());
    assert_eq!(root.stat(OPTION_FILE), "");
    root.sh("dpkg -P wsrep-sst-backup 2>&1");
    assert_eq!(root.stat(REPOSITORY), "", "an empty folder is nobody's backup");
    root.sh(&format!("echo '[wsrep_sst_backup]' >{OPTION_FILE}; chmod 600 {OPTION_FILE}"));
    install(&root, &deb);
    root.sh("dpkg -P wsrep-sst-backup 2>&1");
    assert_eq!(root.sh(&format!("cat {OPTION_FILE}")), "[wsrep_sst_backup]\n");
    assert_stock(&root);
}

/// `mariadb-server-galera`, which owns the stub and its manual page from MariaDB 12.3 on: a package that has nothing else, and takes them over
/// as Debian's packages do.
fn server_galera() -> Newer {
    let built = Newer(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    let tree = built.0.path().join("tree");
    for (name, content) in [
        (
            "DEBIAN/control",
            "Package: mariadb-server-galera\nVersion: 1:12.3.1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n\
         Replaces: mariadb-server\nDescription: the stub alone\n",
        ),
        ("usr/bin/wsrep_sst_backup", "#!/bin/sh\necho the stub of 12.3\n"),
        ("usr/share/man/man1/wsrep_sst_backup.1.gz", "a page"),
    ] {
        let file = tree.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    fs::set_permissions(tree.join("usr/bin/wsrep_sst_backup"), fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["--root-owner-group", "-Zgzip", "-z1", "--build"];
    let file = built.path();
    run("dpkg-deb", &[&arguments[..], &[&tree.display().to_string(), &file.display().to_string()]].concat());
    built
}

#[test]
#[ignore = "needs root and the packages of scripts/install-deps"]
fn the_stub_may_be_of_mariadb_server_galera_which_comes_before_ours_or_later() {
    let (deb, galera) = (package("deb", 1), server_galera());
    for comes_first in [true, false] {
        let root = Root::new();
        let bring = |root: &Root| root.sh(&format!("dpkg -i {} 2>&1", root.bring(&galera.path())));
        if comes_first {
            bring(&root);
            assert_eq!(root.sh(STUB), "the stub of 12.3\n");
            install(&root, &deb);
        } else {
            install(&root, &deb);
            bring(&root);
        }
        assert_ours(&root);
        assert_eq!(root.sh(&format!("{STUB}.distrib")), "the stub of 12.3\n");
        assert!(root.sh(&format!("{STUB} --version")).starts_with("wsrep_sst_backup "));
        root.sh("dpkg -P wsrep-sst-backup 2>&1");
        assert_eq!(
            (root.sh(STUB), root.stat(&format!("{STUB}.distrib"))),
            ("the stub of 12.3\n".into(), String::new())
        );
        assert!(root.sh(&format!("dpkg -S {STUB}")).starts_with("mariadb-server-galera:"));
        assert_eq!(root.sh("dpkg-divert --list '*wsrep*'; dpkg --verify mariadb-server-galera"), "");
    }
}

#[test]
#[ignore = "needs root and the packages of scripts/install-deps"]
fn what_was_diverted_by_hand_is_taken_over_or_left_as_it_was() {
    let deb = package("deb", 1);
    let root = Root::new();
    root.sh(&format!("dpkg-divert --local --rename --add {STUB}; echo by-hand >{STUB}; chmod 755 {STUB}"));
    let broken = newer(&deb, |tree| {
        // A file of another package: dpkg gives up while it unpacks.
        fs::create_dir_all(tree.join("usr/sbin")).unwrap();
        fs::write(tree.join("usr/sbin/mariadbd"), "").unwrap();
    });
    let inside = root.bring(&broken.path());
    let output = root.attempt(&format!("dpkg -i {inside}"));
    assert!(!output.status.success() && said(&output).contains("trying to overwrite"), "{}", said(&output));
    assert_eq!(root.sh(&format!("cat {STUB}")), "by-hand\n");
    let diverted = root.sh("dpkg-divert --list '*wsrep*'");
    assert_eq!(diverted, format!("local diversion of {STUB} to {STUB}.distrib\n"));

    let told = install(&root, &deb);
    assert!(told.contains(&format!("what was {STUB} is {STUB}.dpkg-old now")), "{told}");
    assert_ours(&root);
    assert_eq!(root.sh(&format!("cat {STUB}.dpkg-old")), "by-hand\n");
    root.sh("dpkg -P wsrep-sst-backup 2>&1");
    assert_stock(&root);

    // The same failure where nothing was there before.
    assert!(!root.attempt(&format!("dpkg -i {inside}")).status.success());
    assert_stock(&root);
}
