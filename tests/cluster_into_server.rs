//! `restore --into` a server that is no node: what it cannot take, its death in the middle, TLS, what programs read, a bucket.

#[path = "storage/server.rs"]
mod server;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use server::{FileServer, KEY_ID, SECRET};
use support::cli::{Cli, SmallDisk, cli};
use support::{PATIENCE, Replica, Scratch, openssl, template, wait_until};

/// Rows of the larger dump, each of about 1 KiB.
const ROWS: usize = 6000;

struct Scene {
    server: Replica,
    scratch: Scratch,
    _disk: SmallDisk,
}

impl Scene {
    /// On a small disk, and over TCP only for who encrypts.
    fn new() -> Self {
        let scratch = Scratch::new();
        let tls = scratch.make_dir("tls");
        certificates(&tls);
        scratch.user().own_tree(&tls);
        let lines = [
            "ssl_cert={dir}/../tls/server.pem",
            "ssl_key={dir}/../tls/server.key",
            "require_secure_transport=ON",
            "[wsrep_sst_backup]\nuser=root",
        ];
        let server = Replica::prepare(&scratch, "s", &lines);
        let disk = SmallDisk::mount(&server.datadir(), 256);
        scratch.user().own(&server.datadir());
        template::fill(&server.datadir(), scratch.user(), None);
        server.start();
        Self { server, scratch, _disk: disk }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.dir().join(name)
    }

    /// A dump of so many rows of a database; its path.
    fn dump(&self, database: &str, rows: usize, series: &str) -> String {
        let mut text = format!(
            "-- MariaDB dump 10.19\n-- Server version\t{series}-MariaDB\n\n-- Current Database: `{database}`\nCREATE DATABASE \
             /*!32312 IF NOT EXISTS*/ `{database}`;\nUSE `{database}`;\nDROP TABLE IF EXISTS `t`;\nCREATE TABLE `t` (\n  `id` int \
             NOT NULL PRIMARY KEY,\n  `v` text\n) ENGINE=InnoDB;\n"
        );
        for row in 1..=rows {
            text.push_str(&format!("INSERT INTO `t` VALUES\n({row},'{}');\n", "v".repeat(1000)));
        }
        text.push_str("-- Dump completed on 2026-11-20 11:34:52\n");
        let path = self.path(&format!("{database}.sql"));
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn load(&self, file: &str, more: &[&str]) -> Cli {
        self.load_into(&self.server.socket().display().to_string(), file, more)
    }

    fn load_into(&self, place: &str, file: &str, more: &[&str]) -> Cli {
        let start = cli("restore --into").arg(place).arg("--defaults-file").arg(self.server.cnf());
        more.iter().fold(start.own_defaults().arg("--file").arg(file), Cli::arg)
    }

    fn count(&self, database: &str) -> usize {
        let statement = format!("SELECT COUNT(*) FROM {database}.t");
        let rows = self.server.try_sql(&statement).ok();
        rows.and_then(|rows| rows[0][0].parse().ok()).unwrap_or(0)
    }
}

/// A certificate that nobody has signed but its own key, for 127.0.0.1; and a stranger's.
fn certificates(folder: &Path) {
    for (name, address) in [("server", "127.0.0.1"), ("stranger", "127.0.0.9")] {
        let own = format!(
            "-subj /CN={name} -addext subjectAltName=IP:{address} -addext basicConstraints=critical,CA:FALSE"
        );
        let key = "req -x509 -newkey rsa:2048 -nodes -days 2";
        openssl(folder, &format!("{key} -keyout {name}.key -out {name}.pem {own}"));
    }
}

#[test]
#[ignore = "needs MariaDB and root"]
fn a_server_takes_a_dump_or_it_is_told_why_not_and_how_far_it_came() {
    let scene = Scene::new();
    a_server_of_an_older_series(&scene);
    a_server_without_room(&scene);
    a_server_that_insists_on_tls(&scene);
    a_server_that_dies_in_the_middle(&scene);
    what_programs_read(&scene);
    dumps_in_a_bucket(&scene);
}

fn a_server_of_an_older_series(scene: &Scene) {
    let file = scene.dump("newer", 3, "99.7.1");
    scene.load(&file, &[]).run().fails_with(1, "the dump is of a server of 99.7, and the one at ");
    assert_eq!(scene.count("newer"), 0);
    scene.load(&file, &["--any-server"]).run().done();
    assert_eq!(scene.count("newer"), 3);
}

fn a_server_without_room(scene: &Scene) {
    let file = scene.dump("large", ROWS, "10.3.1");
    let ballast = scene.server.datadir().join("ballast");
    let stat = nix::sys::statvfs::statvfs(&scene.server.datadir()).unwrap();
    let free = stat.blocks_available() * stat.fragment_size();
    fs::write(&ballast, vec![0; usize::try_from(free).unwrap() - (2 << 20)]).unwrap();
    let refused = scene.load(&file, &[]).run();
    refused.fails_with(1, "' of the server has ");
    refused.fails_with(1, "it does not fit; make room there first");
    assert_eq!(scene.count("large"), 0);
    fs::remove_file(ballast).unwrap();
}

/// By the settings that `doc/logical.md` names.
fn a_server_that_insists_on_tls(scene: &Scene) {
    let file = scene.dump("over_tls", 3, "10.3.1");
    let place = format!("127.0.0.1:{}", scene.server.scalar("SELECT @@port"));
    let load = |settings: &[(&str, String)]| {
        let start = scene.load_into(&place, &file, &[]);
        settings
            .iter()
            .fold(start, |cli, (name, value)| cli.env(&format!("WSREP_SST_BACKUP_{name}"), value))
            .run()
    };
    load(&[]).fails_with(
        1,
        "where the server (require_secure_transport) or the account (REQUIRE SSL) wants TLS, set ssl-ca",
    );
    let pem = |name: &str| scene.path(&format!("tls/{name}.pem")).display().to_string();
    load(&[("SSL_CA", pem("stranger"))]).fails_with(1, "ertificate");
    assert_eq!(scene.count("over_tls"), 0);
    load(&[("SSL_CA", pem("server"))]).done();
    assert_eq!(scene.count("over_tls"), 3);
}

fn a_server_that_dies_in_the_middle(scene: &Scene) {
    let file = scene.dump("large", ROWS, "10.3.1");
    let mut running = scene.load(&file, &["--limit-rate", "1M"]).start();
    running.wait_for("rows", || scene.count("large") > 500);
    scene.server.kill9();
    let answer = running.finish();
    answer.fails_with(1, "the server has refused the statement at line ");
    answer.fails_with(1, " of the dump: ERROR 20");
    answer.fails_with(1, " %) in table large.t; what stands before that place in the dump is in the server");
    let told = |behind: &str, before: &str| -> String {
        let (_, rest) = answer.stderr.split_once(behind).unwrap();
        rest.split(before).next().unwrap().to_owned()
    };
    let line: usize = told("at line ", " of the dump").parse().unwrap();
    let percent: usize = told("it came to ", " %)").rsplit('(').next().unwrap().parse().unwrap();
    assert!(percent.abs_diff((line - 12) / 2 * 100 / ROWS) < 2 && percent > 5, "{}", answer.stderr);
    scene.server.start();
    // Two lines each; what the server had carried out and not written to its disk is lost.
    let before = (line - 12) / 2;
    assert!(scene.count("large") <= before + 1 && before < ROWS, "{line} {}", scene.count("large"));
    scene.load(&file, &[]).run().fails_with(1, "has tables already in large");
    let begun = Instant::now();
    scene.load(&file, &["--overwrite", "--limit-rate", "4M"]).run().done();
    assert!(begun.elapsed() > Duration::from_millis(700), "6 MiB at 4 MiB a second: {:?}", begun.elapsed());
    assert_eq!(scene.count("large"), ROWS);
}

fn what_programs_read(scene: &Scene) {
    let file = scene.dump("told", 5, "10.3.1");
    let told = scene.load(&file, &["--json"]).run().json();
    assert_eq!(
        (&told["source"], &told["nodes"]),
        (&format!("'{file}'").into(), &serde_json::Value::Null),
        "{told:#}"
    );
    assert_eq!((&told["databases"][0], &told["tables"]), (&"told".into(), &1.into()), "{told:#}");
    assert_eq!(told["into"], scene.server.socket().display().to_string());
    assert!(told["bytes"].as_u64().unwrap() > 5000 && told["version"].is_string(), "{told:#}");
    for name in ["accounts", "accounts_kept", "not_replicated", "notes"] {
        assert_eq!(told[name], serde_json::json!([]), "{name}");
    }
    let refused = scene.load(&file, &["--json"]).run();
    refused.fails_with(1, "has tables already in told");
}

fn dumps_in_a_bucket(scene: &Scene) {
    let bucket = FileServer::start();
    let folder = bucket.bucket().join("dumps");
    fs::create_dir(&folder).unwrap();
    let put = |database: &str, day: u32| {
        let file = scene.dump(database, 40, "10.3.1");
        let packed = Command::new("gzip").args(["-c", &file]).output().unwrap().stdout;
        let name = format!("backup.2026-11-{day}T00:00:00Z.sql.gz");
        fs::write(folder.join(&name), &packed).unwrap();
        format!("s3://bucket/dumps/{name}")
    };
    let (first, second) = (put("first", 20), put("second", 21));
    let load = |file: &str, more: &[&str]| {
        scene
            .load(file, more)
            .env("WSREP_SST_BACKUP_S3_ENDPOINT", bucket.endpoint())
            .env("WSREP_SST_BACKUP_STALL_TIMEOUT", "5s")
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .run()
    };
    let said = load(&first, &[]);
    assert!(said.done().contains(&format!("Loaded '{first}' into the server")), "{}", said.stdout);
    assert_eq!((scene.count("first"), scene.count("second")), (40, 0));
    // A folder: the newest, or that of a time.
    load("s3://bucket/dumps", &["--target-time", "2026-11-20T12:00:00Z"])
        .fails_with(1, "has tables already in first");
    load("s3://bucket/dumps/", &[]).done();
    assert_eq!(scene.count("second"), 40);
    load("s3://bucket/dumps", &["--target-time", "2026-11-19T12:00:00Z"])
        .fails_with(2, "the oldest dump in 's3://bucket/dumps'");
    load(&first, &["--target-time", "2026-11-20T12:00:00Z"])
        .fails_with(2, "chooses among the files of a folder");
    load("s3://bucket/dumps/backup.2026-11-22T00:00:00Z.sql", &[])
        .fails_with(1, "cannot read 's3://bucket/dumps/backup.2026-11-22");
    load("gs://bucket/dumps", &[]).fails_with(2, "directories and s3://, not into gs://");
    // What was cut off is damage; a bucket that does not answer is not.
    let object = folder.join("backup.2026-11-21T00:00:00Z.sql.gz");
    let whole = fs::read(&object).unwrap();
    fs::write(&object, &whole[..whole.len() / 2]).unwrap();
    load(&second, &["--overwrite"]).fails_with(4, "cannot be unpacked to its end");
    let silent = scene
        .load(&first, &["--overwrite"])
        .env("WSREP_SST_BACKUP_S3_ENDPOINT", "http://127.0.0.1:1")
        .env("WSREP_SST_BACKUP_STALL_TIMEOUT", "2s")
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .run();
    assert!(
        silent.status == Some(1) && silent.stderr.contains("cannot read 's3://bucket/dumps/"),
        "{silent:?}"
    );
    assert!(wait_until(PATIENCE, || scene.count("first") == 40));
}
