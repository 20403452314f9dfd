//! Servers whose files lie in many places, change under the copy, or cannot be asked for by SQL.

#[path = "cluster_layout/behind_a_link.rs"]
mod behind_a_link;
#[path = "cluster_layout/beside.rs"]
mod beside;
#[path = "cluster_layout/changing.rs"]
mod changing;
#[path = "cluster_layout/cut_off.rs"]
mod cut_off;
#[path = "cluster_layout/elsewhere.rs"]
mod elsewhere;
#[path = "cluster_layout/missing.rs"]
mod missing;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use beside::{is_about_no_damage, open_files};
use elsewhere::{assert_no_replica, check_tables, create_indirect, edit, link_indirect};
use serde_json::Value;
use support::fixtures::{OUTSIDE, create_zoo};
use support::program::{rejoin_by_ist, text, warnings, with_program};
use support::sql::quote;
use support::{
    Cluster, ClusterOptions, Node, PATIENCE, Program, Server, Writer, all_checksums, assert_same_rows,
    method_without_sql,
};

/// Server variables that put files elsewhere, the folder of the node for each, and a file that must be there.
const EXTERNAL: [(&str, &str, &str); 5] = [
    ("innodb_data_home_dir", "shared", "ibdata1"),
    ("innodb_undo_directory", "undo", "undo001"),
    ("innodb_log_group_home_dir", "redo", "ib_logfile0"),
    ("aria_log_dir_path", "arialogs", "aria_log_control"),
    ("log_bin", "binlogs", "binlog.index"),
];

/// A file of somebody else's in each of these folders.
const FOREIGN: &str = "foreign.txt";

/// Debian's account for the server's own user (`mariadb-install-db` with its defaults).
const DEBIAN_ACCOUNT: &str =
    "CREATE USER mysql@localhost IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket";

fn options() -> ClusterOptions {
    with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn files_in_many_places_are_found_with_and_without_sql_and_restored_here_or_elsewhere() {
    let stage = Stage::start();
    let writer = Writer::start(stage.cluster.n(1), 200);
    let asked = stage.program.back_up(&stage.cluster, 2);
    assert_eq!(warnings(&asked), "");
    stage.assert_external_members(&asked, "");
    stage.some_tables_beside_the_running_server(&asked);
    stage.assert_options(&asked);
    stage.restore_elsewhere(&asked);
    let writer = stage.assert_whole(writer);
    let unasked = stage.back_up_without_sql();
    stage.restore_in_place(&unasked);
    let writer = stage.assert_whole(writer);
    stage.back_up_as_debian();
    drop(stage.assert_whole(writer));
}

/// Two nodes; the second one's files lie everywhere.
struct Stage {
    cluster: Cluster,
    program: Program,
}

impl Stage {
    fn start() -> Self {
        let mut options = options().mysqld("innodb_undo_tablespaces=2");
        for (variable, folder, _) in &EXTERNAL[..4] {
            options = options.outside(variable, folder);
        }
        let cluster = Cluster::start(2, &options);
        create_zoo(&cluster);
        let node = cluster.n(2);
        create_indirect(cluster.n(1));
        node.wait_for("the table", PATIENCE, || node.try_sql("SELECT * FROM indirect.t").is_ok());
        node.stop();
        link_indirect(node);
        let binlogs = node.outside_dir("binlogs");
        let line = format!("log_bin={}/binlog", binlogs.display());
        edit(node, &[("log_bin=binlog", &line)]);
        for (_, folder, _) in EXTERNAL {
            fs::write(node.dir().join(folder).join(FOREIGN), folder).unwrap();
        }
        fs::write(node.outside_dir(OUTSIDE).join(FOREIGN), "outside").unwrap();
        node.rejoin();
        let program = Program::of(&cluster);
        Self { cluster, program }
    }

    fn node(&self) -> &Node {
        self.cluster.n(2)
    }

    /// What decides how the files are made is in the manifest, as the server says it.
    fn assert_options(&self, manifest: &Value) {
        let node = self.node();
        for name in [
            "innodb_undo_tablespaces",
            "innodb_data_file_path",
            "innodb_undo_directory",
            "lower_case_table_names",
        ] {
            let told = text(manifest, &format!("/server/options/{name}"));
            assert_eq!(told, node.scalar(&format!("SELECT @@GLOBAL.{name}")), "{name}");
        }
        assert_eq!(text(manifest, "/server/options/innodb_undo_tablespaces"), "2");
    }

    /// Every variable has its files in the archive, each with the place that it came from, and no foreign one is there.
    fn assert_external_members(&self, manifest: &Value, moved: &str) {
        let index = self.program.archive(manifest).index();
        for (variable, folder, file) in EXTERNAL {
            let place = self.node().dir().join(moved).join(folder).join(file);
            let stored = format!(".wsrep_sst_backup/{variable}/{file}");
            let line = index.iter().find(|l| l["member"]["path"] == *stored);
            let member = &line.unwrap_or_else(|| panic!("no {stored}"))["member"];
            assert_eq!(text(member, "/origin/path"), place.to_str().unwrap());
        }
        let names = self.program.archive(manifest).members();
        assert!(!names.iter().any(|name| name.ends_with(FOREIGN)), "{names:?}");
        for name in ["elsewhere/innodb.ibd", "myisam.MYD", "myisam.MYI", "linked/t.ibd", "linked/m.MYD"] {
            let ours = |n: &&String| n.starts_with(".wsrep_sst_backup/") && n.ends_with(&format!("/{name}"));
            let stored = names.iter().filter(ours);
            assert_eq!(stored.count(), 1, "{name} in {names:?}");
        }
    }

    /// All tables but those of the client, as a server of their own on the node's machine, while the node runs and has its
    /// files where the donor had them.
    fn some_tables_beside_the_running_server(&self, manifest: &Value) {
        let node = self.node();
        let wanted: Vec<(String, String)> =
            all_checksums(node).into_keys().filter(|(database, _)| database != "writer").collect();
        let databases: BTreeSet<&str> = wanted.iter().map(|(database, _)| database.as_str()).collect();
        let patterns: Vec<String> =
            databases.iter().map(|name| format!("--only={}.*", quote(name))).collect();
        let folder = self.cluster.make_dir("beside");
        let target = folder.join("data");
        let mut words = vec!["--as", "standalone"];
        words.extend(patterns.iter().map(String::as_str));
        let said = self.program.restore(manifest, &target, &words);
        for text in [
            "elsewhere.innodb",
            "zoo.merged is a MERGE table",
            "zoo.seen is a view: a definition without rows.\n",
        ] {
            assert!(said.contains(text), "{text}: {said}");
        }
        for (variable, place, _) in EXTERNAL {
            assert!(!said.contains(node.dir().join(place).to_str().unwrap()), "{variable}: {said}");
        }
        // Its own options, with the socket where the harness looks for it.
        let options = fs::read_to_string(target.join("wsrep_sst_backup.cnf")).unwrap();
        let user = &self.cluster.scratch().user().name;
        let socket = folder.join("s");
        let log = folder.join("error.log");
        let more =
            format!("{options}user = {user}\nsocket = {}\nlog_error = {}\n", socket.display(), log.display());
        fs::write(folder.join("my.cnf"), more).unwrap();
        let beside = Server::new("beside", &folder, "/usr/bin:/usr/sbin:/sbin:/bin", Vec::new());
        beside.spawn(&[]);
        beside.wait_answering(PATIENCE);
        let (mut here, mut there) = (all_checksums(&beside), all_checksums(node));
        here.retain(|(database, _), _| database != "writer");
        there.retain(|(database, _), _| database != "writer");
        assert_eq!(here, there);
        assert_eq!(beside.scalar("SELECT COUNT(*) FROM zoo.words WHERE MATCH (v) AGAINST ('number17')"), "1");
        // What ends a server that lacks the files of the index.
        beside.exec("DELETE FROM zoo.words WHERE id = 17");
        let dump = Command::new("mariadb-dump")
            .args(["--no-defaults", "--result-file=/dev/null"])
            // The history of versioned tables; MariaDB 10.11 and later.
            .args((beside.series() >= (10, 11)).then_some("--dump-history"))
            .arg(format!("--socket={}", socket.display()))
            .arg("--databases")
            // To the client a name that begins with a dash is an option.
            .args(databases.iter().filter(|name| !name.starts_with('-')))
            .output()
            .unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let definition = beside.sql("SHOW CREATE TABLE elsewhere.innodb");
        assert!(!definition[0][1].contains("DIRECTORY"), "{definition:?}");
        let log = fs::read_to_string(log).unwrap();
        let wrong: Vec<&str> =
            log.lines().filter(|line| line.contains("[ERROR]") && !is_about_no_damage(line)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let open = open_files(&beside);
        let inside = |path: &PathBuf| path.starts_with(&target);
        assert!(open.iter().any(|path| inside(path) && path.ends_with("elsewhere/innodb.ibd")), "{open:?}");
        assert!(!open.iter().any(|path| path.starts_with(node.dir())), "{open:?}");
        beside.stop();
        fs::remove_dir_all(&folder).unwrap();
    }

    /// The node loses everything; each directory is mapped to a new one, and the settings are changed accordingly.
    fn restore_elsewhere(&self, manifest: &Value) {
        let node = self.node();
        node.stop();
        node.wipe_datadir();
        fs::remove_dir_all(node.dir().join("binlogs")).unwrap();
        let new = node.outside_dir("new");
        // One is there already, with a file in it; the others are made.
        node.outside_dir("new/undo");
        fs::write(new.join("undo").join(FOREIGN), "undo").unwrap();
        let folders = EXTERNAL.map(|(variable, folder, _)| (variable, folder));
        let tables = [("data_directory", "tables"), ("symlink", "links")];
        let maps: Vec<String> = folders
            .iter()
            .chain(&tables)
            .map(|(variable, folder)| format!("--map={variable}={}", new.join(folder).display()))
            .collect();
        let maps: Vec<&str> = maps.iter().map(String::as_str).collect();
        let said = self.program.restore(manifest, &node.datadir(), &maps);
        for (_, folder) in folders.iter().chain(&tables) {
            assert!(said.contains(new.join(folder).to_str().unwrap()), "{folder}: {said}");
        }
        for (_, folder, file) in EXTERNAL {
            let old = node.dir().join(folder);
            assert!(!old.join(file).exists(), "{} was written to", old.display());
            edit(node, &[(old.to_str().unwrap(), new.join(folder).to_str().unwrap())]);
        }
        let old = node.dir().join(OUTSIDE);
        assert_eq!(fs::read_dir(&old).unwrap().count(), 0, "{} was written to", old.display());
        assert_eq!(fs::read_to_string(new.join("undo").join(FOREIGN)).unwrap(), "undo");
        rejoin_by_ist(node, manifest);
        assert_eq!(node.variable("innodb_data_home_dir"), new.join("shared").to_str().unwrap());
        // Where a rebuilt table goes shows where the server believes it to be.
        for table in ["innodb", "parts", "myisam", "`aria ä`"] {
            let rebuild = format!("ALTER TABLE elsewhere.{table} FORCE");
            node.sql_all(&["SET SESSION wsrep_on = OFF", "SET SESSION sql_log_bin = 0", &rebuild]);
        }
        assert_eq!(fs::read_dir(&old).unwrap().count(), 0, "{} was written to", old.display());
        let tables = new.join("tables/elsewhere");
        assert!(tables.join("innodb.ibd").is_file() && tables.join("parts#P#p0.ibd").is_file());
    }

    /// Without an account the option files say where the files are; what is in the backup is the same.
    fn back_up_without_sql(&self) -> Value {
        let node = self.node();
        let asked = self.program.back_up(&self.cluster, 2);
        let members = |manifest: &Value| -> BTreeSet<String> {
            let names = self.program.archive(manifest).members_of_server();
            names.into_iter().filter(|name| !name.contains("binlog.0")).collect()
        };
        // A server that rejects queries rejects those that touch tables; ours do not.
        node.exec("SET GLOBAL wsrep_sst_donor_rejects_queries = ON");
        let mark = node.log_mark();
        let rejecting = self.program.back_up(&self.cluster, 2);
        assert!(node.log_since(mark).contains("Rejecting client queries for the duration of SST"));
        node.exec("SET GLOBAL wsrep_sst_donor_rejects_queries = OFF");
        assert_eq!(members(&rejecting), members(&asked));
        assert!(text(&rejecting, "/mariadb_gtid/binlog_pos").contains('-'));
        assert_eq!(warnings(&rejecting), "");

        // MariaDB 11.6 and later make an account for each transfer, which is used where the settings name none.
        let account = if node.series() >= (11, 6) { "user=nobody_there" } else { "#user=root" };
        let without = format!("\n{account}\n{}\n", method_without_sql());
        edit(node, &[("\nuser=root\n", &without)]);
        let manifest = self.program.back_up(&self.cluster, 2);
        edit(node, &[(&without, "\nuser=root\n")]);
        assert_eq!(members(&manifest), members(&asked));
        self.assert_external_members(&manifest, "new");
        assert!(warnings(&manifest).contains("the binlog position is not known"), "{manifest:#}");
        assert_eq!(manifest["mariadb_gtid"]["binlog_pos"], Value::Null);
        assert!(text(&asked, "/server/version").starts_with(text(&manifest, "/server/version")));
        assert_no_replica(&self.cluster, &self.program, &manifest);
        manifest
    }

    /// Everything goes back to where it was; other files there stay as they are.
    fn restore_in_place(&self, manifest: &Value) {
        let node = self.node();
        node.stop();
        let new = node.dir().join("new");
        let places: Vec<PathBuf> =
            EXTERNAL.iter().map(|(_, folder, _)| folder).chain(&["tables"]).map(|f| new.join(f)).collect();
        for place in &places {
            fs::remove_dir_all(place).unwrap();
            node.outside_dir(place.strip_prefix(node.dir()).unwrap().to_str().unwrap());
            fs::write(place.join(FOREIGN), "here first").unwrap();
        }
        fs::remove_dir_all(new.join("links")).unwrap();
        fs::remove_dir_all(node.datadir()).unwrap();
        self.program.restore(manifest, &node.datadir(), &[]);
        rejoin_by_ist(node, manifest);
        for place in &places {
            assert_eq!(fs::read_to_string(place.join(FOREIGN)).unwrap(), "here first");
        }
    }

    /// No account in the settings: the server's own user logs in as it may on Debian.
    fn back_up_as_debian(&self) {
        edit(self.node(), &[("\nuser=root\n", "\n")]);
        self.node().exec(DEBIAN_ACCOUNT);
        self.node().exec("GRANT ALL PRIVILEGES ON *.* TO mysql@localhost WITH GRANT OPTION");
        let manifest = self.program.back_up(&self.cluster, 2);
        assert_eq!(warnings(&manifest), "");
        assert!(text(&manifest, "/mariadb_gtid/binlog_pos").contains('-'));
    }

    /// All tables of the restored node are sound, and both nodes hold the same rows; gives a new client.
    fn assert_whole(&self, writer: Writer) -> Writer {
        std::thread::sleep(Duration::from_millis(500));
        let stats = writer.stop();
        assert!(stats.commits > 0 && stats.errors <= stats.commits / 20, "{stats:?}");
        assert_same_rows(self.cluster.nodes().map(|n| &**n));
        check_tables(self.node());
        Writer::start(self.cluster.n(1), 200)
    }
}
