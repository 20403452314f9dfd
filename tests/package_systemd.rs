//! The units of the packages under a real systemd: a cluster of two of Debian's own `mariadb.service`, timers that elapse, services in
//! their sandboxes, the socket of root's snapshots, and what systemd does when one of them is killed or the server is stopped.
//!
//! Asserted is what systemd, the servers and the repository say.

#[path = "package/machine.rs"]
mod machine;
mod package;
mod support;

use std::time::Duration;

use machine::Machine;
use package::root::Root;
use package::{package, run};
use serde_json::Value;
use support::wait_until;

const PATIENCE: Duration = Duration::from_secs(120);
/// The second server is another instance on the same machine.
const OPTIONS: &str = "[mysqld]
wsrep_on=ON
wsrep_provider=/usr/lib/galera/libgalera_smm.so
wsrep_cluster_name=prod
wsrep_cluster_address=gcomm://127.0.0.2:4567,127.0.0.3:4567
wsrep_node_name=n1
wsrep_node_address=127.0.0.2
wsrep_provider_options=gmcast.listen_addr=tcp://127.0.0.2:4567;ist.recv_addr=127.0.0.2:4568
wsrep_sst_method=rsync
wsrep_sst_receive_address=127.0.0.2:4444
datadir=/srv/volume/mysql
binlog_format=ROW
innodb_log_file_size=16M
[mysqld.n2]
wsrep_node_name=n2
wsrep_node_address=127.0.0.3
wsrep_provider_options=gmcast.listen_addr=tcp://127.0.0.3:4567;ist.recv_addr=127.0.0.3:4568
wsrep_sst_receive_address=127.0.0.3:4444
datadir=/srv/n2
port=3307
socket=/run/mysqld/n2.sock
pid_file=/run/mysqld/n2.pid
[wsrep_sst_backup]
keep-last=10
";
/// As the ready script for LVM does it: what is snapshotted is mounted where the server's service sees it.
const SNAPSHOT: &str = r#"#!/bin/sh
set -eu
script=/usr/share/wsrep_sst_backup/snapshot/btrfs
at=/run/wsrep_sst_backup/snapshot/$SNAPSHOT_NAME
echo "$1 $(id -un)" >>/run/snapshots
case $1 in
    take)
        $script take | while IFS="$(printf '\t')" read -r source place; do
            mkdir -p "$at"
            mount --bind "$place" "$at"
            printf '%s\t%s\n' "$source" "$at"
        done ;;
    release)
        if mountpoint -q "$at"; then umount "$at"; rmdir "$at"; fi
        exec $script release ;;
esac
"#;

/// Debian's servers as a machine starts them, and our package.
struct Scene {
    machine: Machine,
}

impl Scene {
    fn new() -> Self {
        let deb = package("deb", 1);
        let root = Root::new();
        let volume = root.path("/srv/volume");
        let image = root.path("/srv/image");
        root.sh("mkdir /srv/volume /srv/n2; truncate -s 1G /srv/image; chown mysql: /srv/n2");
        run("mkfs.btrfs", &["--quiet", &image.display().to_string()]);
        run("mount", &["-o", "loop", &image.display().to_string(), &volume.display().to_string()]);
        root.sh("btrfs subvolume create /srv/volume/mysql; cp -a /var/lib/mysql/. /srv/volume/mysql; \
             chown mysql: /srv/volume/mysql; chmod 700 /srv/volume/mysql; \
             echo machine >/etc/hostname; printf '127.0.0.1 localhost machine\\n' >/etc/hosts");
        let write = |inside: &str, text: &str| std::fs::write(root.path(inside), text).unwrap();
        write("/etc/mysql/mariadb.conf.d/70-node.cnf", OPTIONS);
        write("/usr/local/sbin/snapshot", SNAPSHOT);
        root.sh("chmod 755 /usr/local/sbin/snapshot");
        // A server of a cluster is started by hand; its socket would start it beside Galera's recovery.
        root.sh("systemctl disable mariadb.service mariadb.socket 2>&1");
        // Its /tmp is emptied when it starts.
        let inside = "/srv/wsrep-sst-backup.deb";
        std::fs::copy(&deb, root.path(inside)).unwrap();
        let scene = Self { machine: Machine::boot(root) };
        let machine = &scene.machine;
        machine.sh("galera_new_cluster");
        machine.sh("mariadb-install-db --user=mysql --datadir=/srv/n2; systemctl start mariadb@n2");
        assert_eq!(scene.sql("SHOW STATUS LIKE 'wsrep_cluster_size'"), "wsrep_cluster_size\t2");
        scene.sql("CREATE TABLE mysql.wsb_filler (a INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB)");
        for _ in 0..24 {
            scene.sql("INSERT INTO mysql.wsb_filler (b) SELECT REPEAT(MD5(RAND()), 32000) FROM mysql.help_topic LIMIT 1");
        }
        let servers =
            |machine: &Machine| ["mariadb", "mariadb@n2"].map(|unit| machine.property(unit, "MainPID"));
        let before = servers(machine);
        machine.sh(&format!("dpkg -i {inside}"));
        assert_eq!(servers(machine), before, "the package has restarted a server");
        assert_eq!(machine.sh("systemctl list-units --all --plain --no-legend 'wsrep*.timer'"), "");
        scene
    }

    #[track_caller]
    fn sql(&self, statement: &str) -> String {
        self.machine.sh(&format!("mariadb --skip-column-names --batch -e \"{statement}\""))
    }

    /// More settings than those of every part; none for an empty word.
    fn configure(&self, lines: &str) {
        let file = "/etc/mysql/mariadb.conf.d/99-test.cnf";
        self.machine.sh(&format!("printf '[wsrep_sst_backup]\\n{lines}\\n' >{file}"));
    }

    fn backups(&self) -> Vec<Value> {
        let listed = self.machine.sh("wsrep_sst_backup list --json");
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        listed["backups"].as_array().expect("a list").clone()
    }

    /// The newest one.
    #[track_caller]
    fn newest(&self) -> Value {
        serde_json::from_str(&self.machine.sh("wsrep_sst_backup show latest --json")).expect("JSON")
    }

    fn is_desynced(&self) -> bool {
        self.sql("SELECT @@wsrep_desync") == "1"
    }

    fn wait_synced(&self) {
        let synced = || self.sql("SHOW STATUS LIKE 'wsrep_local_state_comment'").ends_with("Synced");
        assert!(wait_until(PATIENCE, synced));
    }
}

#[test]
#[ignore = "needs root, a loop device and the packages of scripts/install-deps"]
fn units_do_under_systemd_what_the_documents_say() {
    let scene = Scene::new();
    a_timer_makes_one_backup_and_the_other_finds_it(&scene);
    each_service_does_its_work_in_its_sandbox(&scene);
    a_killed_run_leaves_no_desynced_node(&scene);
    a_server_that_is_stopped_ends_its_backup_first(&scene);
    root_takes_snapshots_behind_the_socket(&scene);
    a_killed_drill_leaves_nothing(&scene);
}

fn a_timer_makes_one_backup_and_the_other_finds_it(scene: &Scene) {
    let machine = &scene.machine;
    for (timer, said) in
        [("wsrep-sst-backup", "is complete at"), ("wsrep-sst-backup-run", "Nothing to do: backup")]
    {
        machine.drop_in(
            &format!("{timer}.timer"),
            "[Timer]\\nOnCalendar=\\nRandomizedDelaySec=0\\nOnActiveSec=1s\\n",
        );
        machine.sh(&format!("systemctl enable --now {timer}.timer"));
        assert!(wait_until(PATIENCE, || machine.journal(timer).contains(said)), "{}", machine.journal(timer));
        let inactive = || machine.property(timer, "ActiveState") == "inactive";
        assert!(wait_until(PATIENCE, inactive));
        assert_eq!(machine.property(timer, "Result"), "success");
        machine.sh(&format!("systemctl disable --now {timer}.timer"));
    }
    assert_eq!(scene.backups().len(), 1);
}

fn each_service_does_its_work_in_its_sandbox(scene: &Scene) {
    let machine = &scene.machine;
    for (unit, said) in [
        ("wsrep-sst-backup-verify", "is intact"),
        ("wsrep-sst-backup-prune", "There is nothing to remove"),
        ("wsrep-sst-backup-drill", "is proved: a server"),
    ] {
        let told = machine.start(unit);
        assert!(told.contains(said), "{unit}: {told}");
    }
    machine.drop_in(
        "wsrep-sst-backup-run.service",
        "[Service]\\nExecStart=\\nExecStart=/usr/bin/wsrep-sst-backup run\\n",
    );
    for method in ["mariadb-backup", "snapshot"] {
        scene.configure(&format!("method={method}"));
        let told = machine.start("wsrep-sst-backup-run");
        assert!(told.contains(&format!("method {method}")) && told.contains("is complete at"), "{told}");
        assert_eq!(scene.newest()["method"], method);
        assert!(!scene.is_desynced());
    }
}

/// What has the node desynced is killed, and systemd's `ExecStopPost=` lets it in again.
fn a_killed_run_leaves_no_desynced_node(scene: &Scene) {
    let (machine, unit) = (&scene.machine, "wsrep-sst-backup-run");
    scene.configure("method=mariadb-backup\\nlimit-rate=2M");
    machine.sh(&format!("systemctl start --no-block {unit}"));
    assert!(wait_until(PATIENCE, || scene.is_desynced()), "{}", machine.journal(unit));
    let before = scene.backups().len();
    machine.sh(&format!("systemctl kill --signal KILL --kill-who main {unit}"));
    assert!(wait_until(PATIENCE, || machine.property(unit, "ActiveState") == "failed"));
    assert!(!scene.is_desynced(), "{}", machine.journal(unit));
    scene.wait_synced();
    assert!(machine.journal(unit).contains("was killed and had left the node desynced"));
    assert_eq!(machine.attempt("pgrep mariadb-backup").stdout, b"");
    assert_eq!(scene.backups().len(), before);
}

/// `systemctl stop mariadb` while the server stands still: it ends in good order, at once, and there is no backup.
fn a_server_that_is_stopped_ends_its_backup_first(scene: &Scene) {
    let (machine, unit) = (&scene.machine, "wsrep-sst-backup");
    let before = scene.backups().len();
    scene.configure("method=freeze\\nlimit-rate=1M");
    machine.drop_in(
        "wsrep-sst-backup.service",
        "[Service]\\nExecStart=\\nExecStart=/usr/bin/wsrep-sst-backup backup --donor n1\\n",
    );
    let said = machine.journal(unit).len();
    machine.sh(&format!("systemctl start --no-block {unit}"));
    let frozen = || machine.journal(unit)[said..].contains("copying, the server is frozen");
    assert!(wait_until(PATIENCE, frozen), "{}", machine.journal(unit));
    machine.sh("systemctl stop mariadb");
    assert_eq!(machine.property("mariadb", "Result"), "success", "{}", machine.journal("mariadb"));
    assert!(machine.journal("mariadb").contains("Shutdown complete"));
    assert!(wait_until(PATIENCE, || machine.property(unit, "ActiveState") == "failed"));
    let listed = machine.sh("wsrep_sst_backup list");
    assert!(listed.contains("failed: stopped by SIGTERM"), "{listed}");
    assert_eq!(scene.backups().len(), before, "it looks complete");
    machine.sh("systemctl start mariadb");
    scene.wait_synced();
}

/// The donor is the server's user, in the sandbox of its service; what root mounts behind the socket is seen there.
fn root_takes_snapshots_behind_the_socket(scene: &Scene) {
    let (machine, unit) = (&scene.machine, "wsrep-sst-backup");
    machine.sh("systemctl enable --now wsrep-sst-backup-snapshot.socket");
    let commands = "method=snapshot\\nsnapshot-command=/usr/local/sbin/snapshot take\\n\
                    snapshot-release-command=/usr/local/sbin/snapshot release";
    scene.configure(commands);
    let left = || {
        machine.sh("btrfs subvolume list -r /srv/volume; findmnt --list --noheadings /run/wsrep_sst_backup/snapshot || :")
    };
    let told = machine.start(unit);
    assert!(told.contains("is complete at"), "{told}");
    let made = scene.newest();
    assert_eq!((&made["method"], &made["node"]), (&"snapshot".into(), &"n1".into()), "{made:#}");
    assert_eq!(machine.sh("cat /run/snapshots"), "take root\nrelease root");
    assert_eq!(left(), "");
    machine.sh("wsrep_sst_backup verify latest");
    // The donor's program is killed while it reads.
    scene.configure(&format!("{commands}\\nlimit-rate=1M"));
    machine.sh(&format!("systemctl start --no-block {unit}"));
    assert!(wait_until(PATIENCE, || !left().is_empty()), "{}", machine.journal(unit));
    // The shell of this line has not its own pattern in it.
    machine.sh("pkill -KILL -f '[w]srep_sst_backup --role'");
    assert!(wait_until(PATIENCE, || left().is_empty()), "{}", left());
    assert!(
        wait_until(PATIENCE, || machine.property(unit, "ActiveState") == "failed"),
        "{}",
        machine.journal(unit)
    );
    let helpers = || machine.sh("systemctl list-units --plain --no-legend 'wsrep-sst-backup-snapshot@*'");
    assert!(wait_until(PATIENCE, || helpers().is_empty()), "{}", helpers());
    scene.wait_synced();
    scene.configure("");
}

/// All of its processes are in the control group of its unit.
fn a_killed_drill_leaves_nothing(scene: &Scene) {
    let (machine, unit) = (&scene.machine, "wsrep-sst-backup-drill");
    let servers = || machine.sh("pgrep --count mariadbd || :");
    let before = servers();
    machine.sh(&format!("systemctl start --no-block {unit}"));
    assert!(wait_until(PATIENCE, || servers() != before), "{}", machine.journal(unit));
    machine.sh(&format!("systemctl kill --signal KILL --kill-who main {unit}"));
    assert!(wait_until(PATIENCE, || machine.property(unit, "ActiveState") == "failed"));
    assert!(wait_until(PATIENCE, || servers() == before), "a server runs on");
    let told = machine.start(unit);
    assert!(told.contains("is proved: a server"), "{told}");
}
