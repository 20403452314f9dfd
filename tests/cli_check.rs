//! `check` on a machine without a server: what it leaves out, what it says of repositories, and how it ends.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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

/// A process in `$dir` that is a server as far as its name and its user go, and beside it the command behind it. To set `$0` would
/// write over its environment.
const BESIDE_A_SERVER: &str = "pipe R, W; my ($dir, @command) = @ARGV; my $pid = fork; \
    if (!$pid) { close W; <R>; exec @command } \
    open C, '>', '/proc/self/comm'; print C 'mariadbd'; close C; \
    chdir $dir or die; $) = '65534 65534'; $( = 65534; $< = $> = 65534; close W; waitpid $pid, 0; exit $? >> 8";

impl Stage {
    /// `check --json` behind other words of a command line: its exit status, and its findings. A server that they start has the
    /// repository in its environment.
    fn found_by(&self, words: &[&str], repository: &Path) -> (Option<i32>, Vec<String>) {
        let own = self.check("--json --sample 0").command();
        let mut command = std::process::Command::new(words[0]);
        command.args(&words[1..]).arg(own.get_program()).args(own.get_args());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.env("WSREP_SST_BACKUP_REPOSITORY", repository).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        let answer = Answer { status: output.status.code(), stdout, stderr, peak_kib: 0 };
        (answer.status, found(&answer))
    }
}

/// Whatever a backup refuses, `check` finds.
#[test]
#[ignore = "needs root and perl"]
fn a_repository_whose_mount_is_missing_is_an_error_and_its_numbers_stay() {
    let stage = Stage::new("");
    let (mount, data) = (stage.folder.path().join("mnt"), stage.folder.path().join("data"));
    let (repository, metrics) = (mount.join("galera"), stage.folder.path().join("x.prom"));
    for folder in [&data, &repository] {
        fs::create_dir_all(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(65534), Some(65534)).unwrap();
    }
    let fstab = stage.folder.path().join("fstab");
    fs::write(&fstab, format!("nfs:/a {} nfs noauto 0 0\n", mount.display())).unwrap();
    put_manifest(&repository, "c", &manifest(ID));
    let ours = format!("repository={}\nmetrics-file={}", repository.display(), metrics.display());
    stage.set(&format!("datadir={}", data.display()), &ours);
    let bind = "mount --bind \"$0\" /etc/fstab && exec \"$@\"";
    let unmounted = ["unshare", "--mount", "sh", "-c", bind, fstab.to_str().unwrap()];
    let server = ["perl", "-e", BESIDE_A_SERVER, data.to_str().unwrap()];
    let known = |readable: u8| {
        let text = fs::read_to_string(&metrics).unwrap();
        for line in [
            format!("repository_readable{{cluster=\"c\"}} {readable}"),
            "kept_backups{cluster=\"c\"} 1".into(),
        ] {
            assert!(text.contains(&format!("\nwsrep_sst_backup_{line}\n")), "{line}: {text}");
        }
    };
    let of_repository = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| line.contains(" repository: ")).cloned().collect()
    };
    // As it should be: it is not known which cluster is meant.
    let (_, lines) = stage.found_by(&server, &repository);
    assert!(of_repository(&lines)[0].starts_with("ok repository: "), "{lines:#?}");
    known(1);
    // On a machine without a server, and beside one, whose user would store there.
    for words in [unmounted.to_vec(), [&unmounted[..], &server].concat()] {
        for _ in 0..2 {
            let (status, lines) = stage.found_by(&words, &repository);
            let [told] = &of_repository(&lines)[..] else { panic!("{lines:#?}") };
            assert!(
                told.starts_with("error repository: ") && told.contains("nothing is mounted at "),
                "{told}"
            );
            assert!(!told.contains("install -d"), "{told}");
            assert!(!lines.iter().any(|line| line.contains("there is no backup")), "{lines:#?}");
            assert_eq!(status, Some(1));
            known(0);
            // Nor where the directory below was never made.
            let _ = fs::rename(&repository, mount.join("away"));
        }
        fs::rename(mount.join("away"), &repository).unwrap();
    }
    assert_eq!(fs::read_dir(&mount).unwrap().count(), 1, "nothing is made in the place of the mount");
}

/// vboxsf, and CIFS of old kernels.
#[test]
#[ignore = "needs root, perl and strace"]
fn a_file_system_whose_directories_cannot_be_made_durable_is_refused() {
    let stage = Stage::new("");
    let data = stage.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(stage.repository(), Some(65534), Some(65534)).unwrap();
    stage.set(&format!("datadir={}", data.display()), "");
    let server = ["perl", "-e", BESIDE_A_SERVER, data.to_str().unwrap()];
    let refusing =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EINVAL"];
    let (status, lines) = stage.found_by(&[&server[..], &refusing].concat(), &stage.repository());
    let wanted = format!(
        "error repository: 'nobody' cannot write to {0}: cannot fsync '{0}': Invalid argument",
        stage.repository().display()
    );
    assert!(lines.iter().any(|line| line.starts_with(&wanted)), "{lines:#?}");
    assert_eq!(status, Some(1));
    assert_eq!(fs::read_dir(stage.repository()).unwrap().count(), 0);
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
