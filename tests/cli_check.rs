//! `check` on a machine without a server: what it leaves out, what it says of repositories, and how it ends.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use support::cli::forge::{ID, manifest, put_manifest};
use support::cli::{Answer, Cli, FakeServer, cli, open_folder};

/// A folder with an option file that points at no server of this machine.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(ours: &str) -> Self {
        let stage = Self { folder: open_folder() };
        fs::create_dir(stage.repository()).unwrap();
        stage.set("", ours);
        stage
    }

    /// Other lines in the groups of the server and of ours.
    fn set(&self, server: &str, ours: &str) {
        let nowhere = self.folder.path().join("nowhere");
        let text = format!(
            "[mysqld]\ndatadir={nowhere}\nsocket={nowhere}/s\n{server}\n[wsrep_sst_backup]\nrepository={}\n{ours}\n",
            self.repository().display(),
            nowhere = nowhere.display()
        );
        fs::write(self.file(), text).unwrap();
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("my.cnf")
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn check(&self, line: &str) -> Cli {
        cli(&format!("check {line}")).own_defaults().arg(format!("--defaults-file={}", self.file().display()))
    }

    /// Findings as `level topic: text | cure`, without garbd, which a machine has or has not.
    #[track_caller]
    fn found(&self, line: &str) -> (Option<i32>, Vec<String>) {
        let answer = self.check(line).arg("--json").run();
        (answer.status, found(&answer))
    }
}

#[track_caller]
fn found(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.stderr, "");
    let all: Value = serde_json::from_str(&answer.stdout).unwrap();
    let of = |f: &Value, name: &str| f[name].as_str().unwrap_or("-").to_owned();
    let findings = all["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["topic"] != "garbd")
        .map(|f| format!("{} {}: {} | {}", of(f, "level"), of(f, "topic"), of(f, "text"), of(f, "cure")))
        .collect()
}

#[test]
fn a_machine_that_is_no_node_is_told_in_one_line() {
    let stage = Stage::new("");
    put_manifest(&stage.repository(), "c", &manifest("20200101T000000Z_n1"));
    let (status, lines) = stage.found("");
    let [server, backups] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(status, Some(0));
    // Other tests have servers, which this machine shows as well.
    let nobody = "ok server: no server runs here; what concerns a node is left out | -";
    let strangers =
        server.starts_with("warning server: ") && server.contains(" to these option files (data directory ");
    assert!(server == nobody || strangers, "{server}");
    assert!(backups.starts_with("warning backups: the newest is 20200101T000000Z_n1, "), "{backups}");
    assert!(backups.contains("older than 36 h 00 min | see why no other has come"), "{backups}");
    let text = stage.check("").run();
    assert_eq!(text.status, Some(0));
    let first = text.stdout.lines().next().unwrap();
    let nobody = "ok       server   no server runs here";
    assert!(first.starts_with(nobody) || first.starts_with("WARNING  server   "), "{first}");
    assert!(text.stdout.contains("\n                  -> "), "{}", text.stdout);
}

#[test]
fn servers_of_other_option_files_are_told_by_their_numbers() {
    let stage = Stage::new("");
    let (programs, elsewhere) = (open_folder(), open_folder());
    let server = FakeServer::start("mariadbd", programs.path(), elsewhere.path(), Stdio::null());
    let (status, lines) = stage.found("");
    let (text, cure) = lines[0].split_once(" | ").unwrap();
    assert_eq!(status, Some(0));
    assert!(
        text.starts_with("warning server: ") && text.contains(&format!("pid {}", server.pid())),
        "{text}"
    );
    let place = stage.folder.path().join("nowhere");
    assert!(text.contains(&format!("to these option files (data directory {})", place.display())), "{text}");
    assert!(cure.starts_with("wsrep_sst_backup check --defaults-file="), "{cure}");
    // One that should be a node is none because of others.
    stage.set("wsrep_cluster_address=gcomm://a,b", "");
    let (status, lines) = stage.found("");
    assert_eq!(status, Some(1));
    assert!(
        lines[0].contains("and no server runs with these option files: it cannot be a donor"),
        "{lines:#?}"
    );
}

#[test]
fn the_age_that_is_asked_for_decides_how_it_ends() {
    let stage = Stage::new("");
    let newest = manifest(ID);
    put_manifest(&stage.repository(), "c", &newest);
    let taken: jiff::Timestamp = newest["frozen_at"].as_str().unwrap().parse().unwrap();
    let hours = jiff::Timestamp::now().duration_since(taken).as_hours();
    if let Ok(older) = u64::try_from(hours) {
        let (status, lines) = stage.found(&format!("--max-age {}h", older + 2));
        assert_eq!((status, lines[1].starts_with("ok backups: ")), (Some(0), true), "{lines:#?}");
    }
    put_manifest(&stage.repository(), "c", &manifest("20200101T000000Z_n1"));
    fs::remove_dir_all(stage.repository().join("c").join(ID)).unwrap();
    let (status, lines) = stage.found("--max-age 26h");
    assert_eq!((status, lines[1].starts_with("error backups: ")), (Some(1), true), "{lines:#?}");
    assert!(
        lines[1].contains("older than 26 h 00 min (--max-age)")
            && lines[1].contains("wsrep_sst_backup backup")
    );
    // No backup of that cluster at all.
    let (status, lines) = stage.found("--max-age 26h --cluster other");
    assert_eq!(
        (status, lines[1].starts_with("error backups: there is no backup of cluster 'other'")),
        (Some(1), true)
    );
    let (status, lines) = stage.found("--cluster other");
    assert_eq!((status, lines[1].starts_with("warning backups: there is no backup")), (Some(0), true));
}

#[test]
fn a_node_without_its_server_and_a_missing_repository_are_told() {
    let stage = Stage::new("");
    stage.set("wsrep_cluster_address=gcomm://a,b", "");
    let (status, lines) = stage.found("");
    assert_eq!(status, Some(1));
    assert!(lines[0].starts_with("error server: this machine is configured as a node"), "{lines:#?}");
    assert!(lines[0].contains("systemctl start"));
    stage.set("", "");
    fs::remove_dir(stage.repository()).unwrap();
    let (status, lines) = stage.found("");
    assert_eq!(status, Some(0));
    assert!(
        lines[1].starts_with("warning backups: ") && lines[1].contains("does not exist here"),
        "{lines:#?}"
    );
}

/// A server in a root directory of its own, as far as a process without one goes: what its name, its user and its arguments say.
#[test]
#[ignore = "needs root and perl"]
fn a_server_in_another_root_directory_is_looked_at_from_there() {
    let stage = Stage::new("");
    let root = stage.folder.path().join("root");
    fs::create_dir_all(root.join("data")).unwrap();
    let (programs, options) = (root.join("usr/local/sbin"), root.join("etc"));
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir(&options).unwrap();
    let program = programs.join("wsrep_sst_backup");
    fs::write(&program, "#!/bin/sh\n. wsrep_sst_common\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(options.join("my.cnf"), "[wsrep_sst_backup]\nrepository=/data/in/there\n").unwrap();
    let script = "chroot $ARGV[0] or die; chdir '/data' or die; $) = '65534 65534'; $( = 65534; $< = $> = 65534; \
                  $0 = 'mariadbd'; print \"ready\\n\"; close STDOUT; sleep 300";
    let mut server = std::process::Command::new("/usr/bin/perl")
        .args(["-e", script])
        .arg(&root)
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::Read::read_to_string(&mut server.stdout.take().unwrap(), &mut ready).unwrap();
    stage.set("datadir=/data", "");
    let (_, lines) = stage.found("--sample 0");
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ready, "ready\n");
    let told =
        |topic: &str| lines.iter().find(|line| line.contains(topic)).unwrap_or_else(|| panic!("{lines:#?}"));
    let place = format!("in the root directory {}", root.canonicalize().unwrap().display());
    assert!(told(" server: ").contains(&place), "{lines:#?}");
    let program = "would start /usr/local/sbin/wsrep_sst_backup, the stock script";
    assert!(told(" program: ").contains(program), "{lines:#?}");
    assert!(told(" settings: ").contains("will store into /data/in/there"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("seen from here")), "{lines:#?}");
}

#[test]
fn faults_in_option_files_are_findings() {
    let stage = Stage::new("compresion=none");
    let (status, lines) = stage.found("");
    let wanted = format!("error settings: {} line 7: unknown option 'compresion'", stage.file().display());
    assert!(status == Some(1) && lines.len() == 1 && lines[0].starts_with(&wanted), "{lines:#?}");
    stage.set("", "loose-compresion=none\npassword=x");
    let (status, lines) = stage.found("");
    assert_eq!(status, Some(0));
    assert!(lines[0].starts_with("warning settings: ") && lines[0].contains("'loose-compresion' is skipped"));
    assert!(
        lines[1].contains("holds a password and can be read by everybody") && lines[1].contains("chmod 0640")
    );
}

#[test]
fn wrong_flags_are_no_findings() {
    let stage = Stage::new("");
    for (line, message) in [
        ("--max-age soon", "--max-age: 'soon' is not a duration"),
        ("--sample x", "--sample: 'x' is not a duration"),
        ("--repository gs://b", "--repository: "),
    ] {
        stage.check(line).run().fails_with(2, message);
    }
    let missing = cli("check --defaults-file /no/such/file").own_defaults().run();
    missing.fails_with(2, "cannot open '/no/such/file'");
}

#[test]
fn the_childs_command_is_not_for_people() {
    assert!(!cli("--help").own_defaults().run().stdout.contains("check-from-server"));
    let mut command = cli("check-from-server").own_defaults().command();
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("'check-from-server' is started by 'check' only"), "{message}");
}
