//! The option file that is shipped, and the reference in `doc/`: what they say about the settings is true and complete.

#[path = "../examples/manual/option_file.rs"]
mod option_file;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wsrep_sst_backup::config::SETTINGS;

const SHIPPED: &str = include_str!("../packaging/wsrep_sst_backup.cnf");

/// Runs `list` with this option file and gives its exit status and what it complains about.
fn list_with(text: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wsrep_sst_backup.cnf");
    fs::write(&file, text).expect("the option file");
    let output = Command::new(env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .arg("list")
        .arg(format!("--defaults-file={}", file.display()))
        .arg(format!("--repository={}", folder.path().display()))
        .env_clear()
        .output()
        .expect("the program");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The lines `#name = value`, with the mark taken away.
fn uncommented() -> String {
    let setting = |line: &&str| {
        let name = line.strip_prefix('#').and_then(|rest| rest.split_once(" =")).map(|(name, _)| name);
        name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    };
    let lines: Vec<String> =
        SHIPPED.lines().filter(setting).map(|line| line.trim_start_matches('#').to_owned()).collect();
    assert!(lines.len() >= 13, "{lines:?}");
    // Settings of dumps beside another method are warned of.
    format!("[wsrep_sst_backup]\n{}\n", lines.join("\n")).replace("method = auto", "method = logical")
}

#[test]
fn it_is_accepted_as_it_is_and_with_every_line_in_force() {
    for text in [SHIPPED.to_owned(), uncommented()] {
        assert_eq!(list_with(&text), (Some(0), String::new()), "{text}");
    }
}

#[test]
fn a_wrong_name_in_it_would_be_seen() {
    let (status, message) = list_with(&uncommented().replace("freeze-timeout", "freeze-timeot"));
    assert_eq!(status, Some(2));
    assert!(message.contains("freeze-timeot") && message.contains("freeze-timeout"), "{message}");
}

/// Every setting of the program's table.
fn known() -> BTreeSet<String> {
    SETTINGS.iter().flat_map(|chapter| chapter.settings).map(|setting| setting.name.to_owned()).collect()
}

#[test]
fn the_option_file_is_that_of_the_program() {
    let wanted = option_file::text();
    assert!(
        SHIPPED == wanted,
        "write it anew: cargo run --example manual -- option-file > packaging/wsrep_sst_backup.cnf\n{wanted}"
    );
}

#[test]
fn the_option_file_has_every_setting() {
    let name = |line: &str| {
        let (name, _) = line.strip_prefix('#')?.trim_start_matches('#').split_once(" = ")?;
        (!name.contains(' ')).then(|| name.to_owned())
    };
    // `password =` has no value to show.
    let bare = SHIPPED.contains("\n#password =\n").then(|| "password".to_owned());
    let shipped: BTreeSet<String> = SHIPPED.lines().filter_map(name).chain(bare).collect();
    assert_eq!(shipped, known());
}

#[test]
fn the_reference_has_every_setting() {
    let reference = include_str!("../doc/configuration.md");
    let rows = reference.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let names = first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(ToOwned::to_owned);
    assert_eq!(names.collect::<BTreeSet<_>>(), known());
}

/// What mysqld is to its donor: a shell that has started it, and ends after it. Both end with this process at the latest.
fn server_with_donor(program: &Path) -> Child {
    let shell = Command::new("sh")
        .args(["-c", r#"exec 3<&0; "$0" -c 'read x' <&3 & wait"#])
        .arg(program)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", shell.id());
    let has_donor = || {
        let child = fs::read_to_string(&children).unwrap();
        fs::read_link(format!("/proc/{}/exe", child.trim())).is_ok_and(|exe| exe == program)
    };
    let begun = Instant::now();
    while !has_donor() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no donor");
        sleep(Duration::from_millis(5));
    }
    shell
}

#[test]
fn the_donors_of_all_servers_that_are_named_are_released_and_what_is_no_pid_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = fs::canonicalize(folder.path()).unwrap().join("wsrep_sst_backup");
    fs::copy(fs::canonicalize("/bin/sh").unwrap(), &program).unwrap();
    let release = |args: &[&str]| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/release-donor");
        Command::new("sh").arg(script).args(args).env_remove("MAINPID").output().unwrap()
    };
    let mut servers: Vec<Child> = (0..4).map(|_| server_with_donor(&program)).collect();
    let pids: Vec<String> = servers.iter().map(|server| server.id().to_string()).collect();
    for (args, why) in [
        (&["mariadbd"][..], "'mariadbd' is no pid"),
        (&[&format!("{} x", pids[0])], "'x' is no pid"),
        (&[""], "no pid was given"),
    ] {
        let refused = release(args);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && words.contains(why), "{args:?}: {refused:?}");
    }
    assert!(release(&[]).status.success());
    assert!(servers.iter_mut().all(|server| server.try_wait().unwrap().is_none()), "one has ended");
    // As `pidof` prints them; and each by itself.
    for args in [&[format!("{} {}", pids[0], pids[1])][..], &pids[2..3]] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let released = release(&args);
        assert!(released.status.success() && released.stderr.is_empty(), "{released:?}");
    }
    for server in &mut servers[..3] {
        assert!(server.wait().unwrap().success());
    }
    assert!(servers[3].try_wait().unwrap().is_none(), "a server that was not named");
    assert!(release(&[&pids[2], &pids[3]]).status.success());
    servers[3].wait().unwrap();
}

/// What a unit would start is a command line of the program: behind each the flag that only has it explained.
#[test]
fn the_units_start_what_the_program_understands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let mut started = Vec::new();
    for entry in fs::read_dir(folder).expect("the units") {
        let text = fs::read_to_string(entry.expect("a unit").path()).expect("a unit");
        let lines = text.lines().filter_map(|line| line.strip_prefix("Exec")?.split_once('='));
        for words in lines.filter_map(|(_, words)| words.strip_prefix("/usr/bin/wsrep-sst-backup ")) {
            let output = Command::new(env!("CARGO_BIN_EXE_wsrep_sst_backup"))
                .args(words.split(' '))
                .arg("--help")
                .env_clear()
                .output()
                .expect("the program");
            assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
            started.push(words.to_owned());
        }
    }
    started.sort();
    let wanted = [
        "backup --unless-newer-than=20h",
        "drill latest",
        "prune",
        "run --resync",
        "run --unless-newer-than=20h",
        "snapshot-helper",
        "verify latest",
    ];
    assert_eq!(started, wanted);
}

/// A clone is a file without a name in the directory of what it is a clone of, and each takes a descriptor; and neither timer is on by itself.
#[test]
fn the_unit_that_runs_a_backup_here_may_clone() {
    let unit = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
        fs::read_to_string(folder.join(name)).expect("a unit")
    };
    let service = unit("wsrep-sst-backup-run.service");
    let writable = service.lines().filter_map(|line| line.strip_prefix("ReadWritePaths="));
    let writable: Vec<&str> = writable.flat_map(|paths| paths.split(' ')).collect();
    for path in ["-/var/lib/mysql", "-/run/mysqld", "-/var/backups"] {
        assert!(writable.contains(&path), "{path}: {writable:?}");
    }
    for name in ["wsrep-sst-backup-run.service", "wsrep-sst-backup.service"] {
        assert!(unit(name).contains("\nTimeoutStartSec=1d\n"), "a timer starts nothing while {name} hangs");
    }
    assert!(service.contains("LimitNOFILE=1048576") && service.contains("User=mysql"), "{service}");
    // The same hour, the same word: one backup comes of both.
    let [ours, of_donors] = ["wsrep-sst-backup-run", "wsrep-sst-backup"].map(|name| {
        let service = unit(&format!("{name}.service"));
        let line =
            service.lines().find(|line| line.starts_with("ExecStart=")).expect("what it starts").to_owned();
        line.split(' ').next_back().map(str::to_owned)
    });
    assert_eq!(ours, of_donors);
}

/// The look is the same in both formats; the scripts of a .deb may be told another root directory.
#[test]
fn a_package_is_not_removed_while_a_snapshot_or_a_desync_is_held() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let held = fs::read_to_string(packaging.join("still-held.sh")).expect("the look");
    for script in ["deb/prerm", "rpm/wsrep-sst-backup.spec.in"] {
        let text = fs::read_to_string(packaging.join(script)).expect("a script");
        assert!(text.contains("@STILL_HELD@\n") && text.contains("    refuse_while_held\n"), "{script}");
    }
    let root = tempfile::tempdir().expect("a folder");
    let look = || {
        let mut command = Command::new("sh");
        command.args(["-ec", &format!("{held}\nrefuse_while_held")]).env("DPKG_ROOT", root.path());
        let output = command.output().expect("a shell");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(look(), (true, String::new()));
    for note in [
        "run/mysqld/mysqld.sock.desync.lock",
        "var/lib/mysql/mysql.sock.desync.lock",
        "run/wsrep_sst_backup/var_lib_mysql.snapshot.lock",
    ] {
        let path = root.path().join(note);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, "").expect("a note");
        let (is_removed, told) = look();
        assert!(!is_removed && told.contains(note) && told.contains("'wsrep-sst-backup check'"), "{told}");
        fs::remove_file(&path).expect("the note");
    }
    assert!(look().0);
}
