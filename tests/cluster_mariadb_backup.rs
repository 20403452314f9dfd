//! A backup by the real mariadb-backup under load, and what becomes of it: nothing is frozen, and the restored node joins by IST.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mysql::prelude::Queryable;

use support::fixtures::create_replicated_zoo;
use support::program::{gtid, number, rejoin_by_ist, text, with_program};
use support::{Cluster, ClusterOptions, Garbd, Node, PATIENCE, Position, Program, Writer, assert_same_rows};

/// What a server says that is started to tell where its files stand.
fn recovered(node: &Node) -> Option<Position> {
    let log = node.dir().join("recover.log");
    let status = Command::new("mariadbd")
        .arg(format!("--defaults-file={}", node.cnf().display()))
        .arg("--wsrep-recover")
        .arg(format!("--log-error={}", log.display()))
        .status()
        .unwrap();
    assert!(status.success());
    let said = fs::read_to_string(&log).unwrap();
    let position = said.lines().find_map(|line| line.split_once("Recovered position: "));
    Position::parse(position.unwrap_or_else(|| panic!("{said}")).1)
}

const SECRET: &str = "s3cretOfTheTransfer";

/// What everybody can see while it is looked: the command lines of all processes, and those who are logged in to a server.
struct Looker {
    over: Arc<AtomicBool>,
    seen: JoinHandle<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Looker {
    fn start(server: &Node) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut session = server.session();
        let is_over = Arc::clone(&over);
        let look = move || {
            let (mut lines, mut users) = (BTreeSet::new(), BTreeSet::new());
            while !is_over.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    lines.insert(String::from_utf8_lossy(&line).replace('\0', " "));
                }
                let logged_in =
                    "SELECT CONCAT(user, ' ', COALESCE(info, '')) FROM information_schema.processlist";
                users.extend(session.query::<String, _>(logged_in).unwrap_or_default());
                std::thread::sleep(Duration::from_millis(5));
            }
            (lines, users)
        };
        Self { over, seen: std::thread::spawn(look) }
    }

    fn stop(self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.over.store(true, Ordering::Relaxed);
        self.seen.join().unwrap()
    }
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn the_account_of_the_transfer_is_used_and_its_password_is_nowhere() {
    // No account is set for the program itself, which would be used before the one that mysqld hands over.
    let options = ClusterOptions::new()
        .mysqld(&format!("wsrep_sst_auth=sst:{SECRET}"))
        .binary(env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .group("wsrep_sst_backup", "repository={base}/repository");
    let cluster = Cluster::start(1, &options);
    let (program, donor) = (Program::of(&cluster), cluster.n(1));
    donor.exec(&format!("CREATE USER sst@localhost IDENTIFIED BY '{SECRET}'"));
    donor.exec("GRANT ALL PRIVILEGES ON *.* TO sst@localhost");
    donor.exec("CREATE DATABASE shop");
    for method in ["freeze", "mariadb-backup", "logical"] {
        let cnf = fs::read_to_string(donor.cnf()).unwrap();
        fs::write(donor.cnf(), format!("{cnf}method={method}\n")).unwrap();
        let looker = Looker::start(donor);
        let outcome = Garbd::backup_and_wait(&cluster, 1, None, PATIENCE);
        donor.wait_synced(PATIENCE);
        let (lines, users) = looker.stop();
        let log = donor.log_since(outcome.donor_mark);
        let manifests = program.manifests();
        let manifest = manifests.iter().find(|manifest| text(manifest, "/method") == method);
        let manifest = manifest.unwrap_or_else(|| panic!("{method}: {log}")).to_string();
        assert!(
            lines.iter().any(|line| line.contains("wsrep_sst_backup --role donor")),
            "{method}: it was looked"
        );
        assert!(users.iter().any(|user| user.starts_with("sst ")), "{method}: {users:?}");
        let found = Command::new("grep").args(["-rl", SECRET]).arg(program.repository()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{method}: files of the repository");
        for text in lines.iter().chain(&users).chain([&log, &manifest]) {
            assert!(!text.contains(SECRET), "{method}: {text}");
        }
    }
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_node_backed_up_by_mariadb_backup_is_never_frozen_and_joins_by_ist_when_restored() {
    let options = ClusterOptions::new().gtid_mode(77);
    let cluster = Cluster::start(2, &with_program(options, env!("CARGO_BIN_EXE_wsrep_sst_backup")));
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    // The program itself does not quote a backtick in a name (seen with 10.11.19): doc/limits.md.
    cluster.n(1).exec("DROP DATABASE `back``tick`");
    let donor = cluster.n(2);
    let cnf = fs::read_to_string(donor.cnf()).unwrap();
    fs::write(donor.cnf(), format!("{cnf}method=mariadb-backup\n")).unwrap();
    let writer = Writer::start(cluster.n(1), 200);
    std::thread::sleep(Duration::from_millis(500));
    let outcome = Garbd::backup_and_wait(&cluster, 2, None, PATIENCE);
    let log = donor.log_since(outcome.donor_mark);
    let manifests = program.manifests();
    assert_eq!(manifests.len(), 1, "{log}");
    let manifest = &manifests[0];
    assert_eq!((text(manifest, "/method"), text(manifest, "/content")), ("mariadb-backup", "xbstream"));
    // The pause that the server tells of is that of mariadb-backup, at the position that the manifest has.
    assert_eq!(donor.frozen_since(outcome.donor_mark), Some(gtid(manifest)), "{log}");
    assert!(!log.contains("the server is frozen"), "{log}");
    assert!(log.contains("mariadb-backup held up the server for "), "{log}");
    donor.wait_synced(PATIENCE);
    assert!(number(manifest, "/paused_ms") >= 0 && number(manifest, "/frozen_ms") == 0, "{manifest:#}");
    std::thread::sleep(Duration::from_millis(500));
    let stats = writer.stop();
    assert!(stats.commits > 0, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|node| &**node));

    let id = text(manifest, "/id");
    let said = program.ok(&["verify", id]);
    assert!(said.contains("is intact"), "{said}");
    for (command, what) in
        [(&["ls", id][..], "'ls'"), (&["restore", id, "--to", "/tmp/x", "--only", "a.b"], "--only")]
    {
        let refused = program.run(command);
        assert_eq!(refused.status, Some(2), "{refused:?}");
        assert!(refused.err.contains(&format!("{what} is not possible")), "{refused:?}");
    }

    donor.stop();
    donor.wipe_datadir();
    let said = program.restore(manifest, &donor.datadir(), &[]);
    assert!(said.contains("mariadb-backup has prepared it"), "{said}");
    let names: Vec<String> = fs::read_dir(donor.datadir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    for name in &names {
        let is_foreign =
            name.starts_with("xtrabackup_") || name.contains("wsrep_sst_backup") || name == "backup-my.cnf";
        assert!(!is_foreign && name != "donor_galera_info", "{names:?}");
    }
    // What the files say without `grastate.dat`.
    let state = donor.datadir().join("grastate.dat");
    let kept = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    assert_eq!(recovered(donor), Some(gtid(manifest)), "what --wsrep-recover finds");
    fs::write(&state, kept).unwrap();
    donor.own_datadir();
    rejoin_by_ist(donor, manifest);
    assert_same_rows(cluster.nodes().map(|node| &**node));
}
