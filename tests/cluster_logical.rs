//! Dumps of a node that others write to: exact at their position, ruined by no DDL without a word, whole or not there.

#[path = "cluster_logical/replayed.rs"]
mod replayed;
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::program::{Ran, gtid, number, text, with_program};
use support::{Clients, Cluster, ClusterOptions, Garbd, PATIENCE, Program, clients, wait_until};

struct Scene {
    cluster: Cluster,
    program: Program,
}

impl Scene {
    fn run(&self, words: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = self.program.on(self.cluster.n(2), words);
        command.env("WSREP_SST_BACKUP_METHOD", "logical");
        command.envs(settings.iter().map(|(name, value)| (format!("WSREP_SST_BACKUP_{name}"), *value)));
        command
    }

    fn ran(&self, settings: &[(&str, &str)]) -> Ran {
        Ran::finish(self.run(&["run", "--json"], settings).spawn().unwrap())
    }

    fn folders(&self) -> Vec<PathBuf> {
        let cluster = fs::read_dir(self.program.repository()).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            path.is_dir()
                .then_some(path)
                .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        });
        let mut folders: Vec<PathBuf> =
            fs::read_dir(cluster.unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.retain(|folder| folder.is_dir());
        folders.sort();
        folders
    }

    /// The state of the newest run.
    fn state(&self) -> Option<String> {
        let status = fs::read(self.folders().pop()?.join("status.json")).ok()?;
        let status: Value = serde_json::from_slice(&status).ok()?;
        Some(status["state"].as_str()?.to_owned())
    }

    /// A run whose server runs again and whose dump goes on.
    fn dumping(&self, settings: &[(&str, &str)]) -> std::process::Child {
        let before = self.folders().len();
        let child =
            self.run(&["run", "--json"], &[settings, &[("LIMIT_RATE", "4M")]].concat()).spawn().unwrap();
        let is_thawed = || self.folders().len() > before && self.state().as_deref() == Some("thawed");
        assert!(wait_until(PATIENCE, is_thawed), "{:?}", self.state());
        child
    }

    fn folder(&self, manifest: &Value) -> PathBuf {
        self.folders().into_iter().find(|folder| folder.ends_with(text(manifest, "/id"))).unwrap()
    }

    fn statements(&self, manifest: &Value, name: &str) -> String {
        clients::statements(&self.folder(manifest).join(text(manifest, name)))
    }
}

fn child_of(parent: u32, name: &str) -> Option<Pid> {
    let output = Command::new("pgrep").args(["-P", &parent.to_string(), "-f", name]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    told.lines().next()?.parse().ok().map(Pid::from_raw)
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_dump_is_exact_at_its_position_or_is_not_there() {
    let cluster =
        Cluster::start(2, &with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup")));
    let program = Program::of(&cluster);
    let scene = Scene { cluster, program };
    let n1 = scene.cluster.n(1);
    Clients::prepare(n1);
    n1.client(
        "USE d; CREATE TABLE bulk (id INT PRIMARY KEY, pad VARBINARY(400)) ENGINE=InnoDB;
         INSERT INTO bulk SELECT seq, REPEAT('x', 300) FROM seq_1_to_60000;
         CREATE TABLE outside (a INT) ENGINE=Aria; CREATE TABLE zz (a INT PRIMARY KEY) ENGINE=InnoDB;
         CREATE VIEW v AS SELECT * FROM acc; CREATE PROCEDURE p() SELECT 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;
         CREATE TRIGGER tr BEFORE INSERT ON zz FOR EACH ROW SET NEW.a = NEW.a + 1;
         CREATE DATABASE other; CREATE TABLE other.t (a INT PRIMARY KEY) ENGINE=InnoDB;
         CREATE USER app@localhost IDENTIFIED BY 'secret'; GRANT SELECT ON d.* TO app@localhost;",
    );
    // First: what root makes in the repository is not the donor's.
    by_a_donor(&scene);
    exact_under_writes(&scene);
    what_a_dump_can_do(&scene);
    ddl_of_another_node_ruins_no_dump_in_silence(&scene);
    killed_it_is_not_there(&scene);
    replayed::a_dump_equals_a_physical_backup_at_its_position(&scene);
}

fn exact_under_writes(scene: &Scene) {
    let (n1, n2) = (scene.cluster.n(1), scene.cluster.n(2));
    assert!(wait_until(PATIENCE, || n1.position() == n2.position()));
    let (base, rows_before) =
        (n1.position().seqno, n1.scalar("SELECT COUNT(*) FROM d.log").parse::<i64>().unwrap());
    let clients = Clients::start(&scene.cluster);
    assert!(wait_until(PATIENCE, || n1.position().seqno > base + 20));
    for _ in 0..2 {
        let mark = n2.log_mark();
        let ran = scene.ran(&[]);
        assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
        let manifest = scene.program.newest();
        assert_eq!((text(&manifest, "/method"), text(&manifest, "/content")), ("logical", "sql"));
        assert_eq!(n2.frozen_since(mark), Some(gtid(&manifest)), "{}", n2.log_since(mark));
        let dump = scene.statements(&manifest, "/archive/name");
        clients::assert_exact(&dump, &manifest, base, rows_before);
        let (frozen, flush) = (number(&manifest, "/frozen_ms"), number(&manifest, "/flush_ms"));
        eprintln!(
            "{}: locked for {} ms beyond the {flush} ms of waiting",
            text(&manifest, "/id"),
            frozen - flush
        );
        n2.wait_synced(PATIENCE);
    }
    assert!(clients.stop() > 0);
}

fn what_a_dump_can_do(scene: &Scene) {
    let manifest = scene.program.newest();
    let id = text(&manifest, "/id");
    let time = text(&manifest, "/started").split('.').next().unwrap().trim_end_matches('Z').to_owned();
    assert_eq!(text(&manifest, "/archive/name"), format!("backup.{time}Z.sql.gz"));
    assert_eq!(text(&manifest, "/dump/users/name"), format!("users.{time}Z.sql.gz"));
    let dump = &manifest["dump"];
    assert_eq!((&dump["whole"], &dump["global_priv"]), (&true.into(), &false.into()));
    assert_eq!((&dump["not_innodb"][0], &dump["not_innodb_count"]), (&"d.outside".into(), &1.into()));
    let statements = scene.statements(&manifest, "/archive/name");
    for wanted in [
        "PROCEDURE `p`",
        "EVENT `e`",
        "TRIGGER tr",
        "VIEW `v`",
        "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `other`",
    ] {
        assert!(statements.contains(wanted), "{wanted}");
    }
    assert!(!statements.contains("LOCK TABLES") && !statements.contains("global_priv"));
    let users = scene.statements(&manifest, "/dump/users/name");
    assert!(
        users.contains("IF NOT EXISTS `app`@`localhost` IDENTIFIED")
            && users.contains("GRANT SELECT ON `d`.*"),
        "{users}"
    );

    let said = scene.program.ok(&["verify", id]);
    assert!(said.contains("is intact"), "{said}");
    for (words, what) in [
        (&["ls", id][..], "'ls' is not possible"),
        (&["restore", id, "--to", "/tmp/nowhere"], "--to is not possible"),
        (&["restore", id, "--to", "/tmp/nowhere", "--only", "a.b"], "is not possible"),
    ] {
        let refused = scene.program.run(words);
        assert!(refused.status != Some(0) && refused.err.contains(what), "{words:?} {refused:?}");
    }
    // A part is a backup of its own class; it is copied, held, and read with a key.
    let ran = scene.ran(&[("DATABASES", "other")]);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    let part = scene.program.newest();
    assert_eq!((&part["dump"]["whole"], &part["dump"]["filter"]), (&false.into(), &"other".into()));
    let statements = scene.statements(&part, "/archive/name");
    assert!(statements.contains("`other`") && !statements.contains("`acc`"));
    let latest = scene.program.json(&["show", "latest"]);
    assert_eq!(latest["id"], *id, "a dump of one database is not the newest of all");
    let kept = scene.program.json(&["prune", "--dry-run", "--keep-last", "1"]).to_string();
    assert!(kept.contains(id) && kept.contains(text(&part, "/id")), "{kept}");
    let elsewhere = scene.cluster.make_dir("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    scene.program.ok(&["copy", id, "--to", elsewhere]);
    scene.program.ok(&["hold", id]);
    let there = PathBuf::from(elsewhere)
        .join(scene.folder(&manifest).strip_prefix(scene.program.repository()).unwrap());
    for name in ["/archive/name", "/dump/users/name", "/index/name"] {
        let name = text(&manifest, name);
        assert_eq!(
            fs::read(there.join(name)).unwrap(),
            fs::read(scene.folder(&manifest).join(name)).unwrap()
        );
    }
    // Half a dump, and users of which a byte was lost, are damage.
    for name in ["/archive/name", "/dump/users/name"] {
        let object = scene.folder(&part).join(text(&part, name));
        let whole = fs::read(&object).unwrap();
        fs::write(&object, &whole[..whole.len() / 2]).unwrap();
        let found = scene.program.run(&["verify", text(&part, "/id"), "--no-record"]);
        assert!(found.status == Some(4) && found.out.contains(text(&part, name)), "{found:?}");
        let mut changed = whole.clone();
        changed[20] ^= 1;
        fs::write(&object, changed).unwrap();
        assert_eq!(scene.program.run(&["verify", text(&part, "/id"), "--no-record"]).status, Some(4));
        fs::write(&object, whole).unwrap();
    }
}

fn ddl_of_another_node_ruins_no_dump_in_silence(scene: &Scene) {
    let n1 = scene.cluster.n(1);
    let before = scene.program.manifests().len();
    let child = scene.dumping(&[("DUMP_RETRIES", "0")]);
    n1.exec("ALTER TABLE d.zz ADD COLUMN b INT");
    let ran = Ran::finish(child);
    assert_eq!(ran.status, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("d.zz") && ran.err.contains("dump-retries=0"), "{}", ran.err);
    assert_eq!(scene.program.manifests().len(), before);
    scene.cluster.n(2).wait_synced(PATIENCE);

    let child = scene.dumping(&[]);
    n1.exec("CREATE OR REPLACE PROCEDURE d.p() SELECT 2");
    let ran = Ran::finish(child);
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    assert!(
        ran.err.contains("procedure d.p was changed") && ran.err.contains("begun again (1 of 2"),
        "{}",
        ran.err
    );
    let manifest = scene.program.newest();
    assert!(scene.statements(&manifest, "/archive/name").contains("SELECT 2"));
    scene.program.ok(&["verify", text(&manifest, "/id")]);
    scene.cluster.n(2).wait_synced(PATIENCE);
}

fn killed_it_is_not_there(scene: &Scene) {
    let before = scene.program.manifests().len();
    let mut child = scene.dumping(&[]);
    let dump = child_of(child.id(), "mariadb-dump").expect("mariadb-dump runs");
    kill(dump, Signal::SIGKILL).unwrap();
    let ran = Ran::finish(child);
    assert!(ran.status == Some(1) && ran.err.contains("mariadb-dump has failed (signal: 9"), "{ran:?}");
    scene.cluster.n(2).wait_synced(PATIENCE);

    child = scene.dumping(&[]);
    let dump = child_of(child.id(), "mariadb-dump").expect("mariadb-dump runs");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        wait_until(PATIENCE, || !PathBuf::from(format!("/proc/{dump}")).exists()),
        "it outlives this program"
    );
    assert_eq!(scene.program.manifests().len(), before);
    // What a killed run has left is ended by the next one.
    scene.program.on(scene.cluster.n(2), &["run", "--resync"]).output().unwrap();
    scene.cluster.n(2).wait_synced(PATIENCE);
}

fn by_a_donor(scene: &Scene) {
    let donor = scene.cluster.n(2);
    let cnf = fs::read_to_string(donor.cnf()).unwrap();
    fs::write(donor.cnf(), format!("{cnf}method=logical\n")).unwrap();
    let manifest = scene.program.back_up(&scene.cluster, 2);
    assert_eq!((text(&manifest, "/method"), text(&manifest, "/archive/compression")), ("logical", "gzip"));
    scene.program.ok(&["verify", text(&manifest, "/id")]);
    // One that DDL ruins: there is no second freeze in a state transfer.
    fs::write(donor.cnf(), format!("{cnf}method=logical\nlimit-rate=4M\n")).unwrap();
    let before = scene.folders().len();
    let n1 = scene.cluster.n(1);
    let mark = donor.log_mark();
    Garbd::run_backup(&scene.cluster, 2, None);
    let is_thawed = || scene.folders().len() > before && scene.state().as_deref() == Some("thawed");
    assert!(wait_until(PATIENCE, is_thawed), "{}", donor.log_since(mark));
    n1.exec("ALTER TABLE d.zz ADD COLUMN c INT");
    donor.wait_log(mark, "no backup was made", PATIENCE);
    let log = donor.log_since(mark);
    assert!(log.contains("d.zz") && log.contains("a server can be frozen only once"), "{log}");
    donor.wait_synced(PATIENCE);
    fs::write(donor.cnf(), cnf).unwrap();
}
