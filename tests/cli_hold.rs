//! `hold` and `release`: what is held stays, and everybody is told.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde_json::{Value, json};
use support::cli::forge::{Forge, ID, ago, manifest, put_manifest, put_object};
use support::cli::{cli, open_folder};
use support::scratch::ServerUser;

fn who() -> String {
    let of = |program: &str, arg: &str| {
        let output = Command::new(program).arg(arg).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    format!("{}@{}", of("id", "-un"), of("uname", "-n"))
}

fn hold_of(repository: &Path, id: &str) -> Value {
    serde_json::from_slice(&fs::read(repository.join("c").join(id).join("hold.json")).unwrap()).unwrap()
}

/// As in a container, or with accounts of LDAP. The same with `nsswitch.conf` as it is here: on Debian it names `systemd`, which
/// ends a static program that asks it.
#[test]
fn a_user_without_an_entry_in_passwd_is_a_number() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let nobody = ServerUser { name: "12345".into(), uid: 12345, gid: 12345 };
    let folder = open_folder();
    let repository = folder.path().join("r");
    let id = ago(1);
    let backup = Forge::new(&id).write(&repository);
    nobody.own_tree(&repository);
    for command in ["hold latest --note x", "verify latest", "list", "show latest", "check", "release latest"]
    {
        let answer = cli(command).on(&repository).user(&nobody, folder.path()).run();
        // 'check' has errors here; what counts is that it comes to its end.
        assert!(
            answer.status == Some(0) || command == "check" && answer.status == Some(1),
            "{command}: {answer:?}"
        );
    }
    let verified: Value = serde_json::from_slice(&fs::read(backup.join("verify.json")).unwrap()).unwrap();
    assert!(verified["by"].as_str().unwrap().starts_with("12345@"), "{verified}");
}

/// What no lint sees, because it is in a library: the program has none of these calls in it.
#[test]
fn the_program_asks_no_nss_for_users_and_groups() {
    let symbols = Command::new("nm").arg(env!("CARGO_BIN_EXE_wsrep_sst_backup")).output().unwrap();
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    let has = |name: &str| {
        let mut names = symbols.lines().filter_map(|line| line.rsplit(' ').next());
        names.any(|symbol| symbol.trim_start_matches('_') == name)
    };
    assert!(has("getaddrinfo"), "the names of functions were removed, so nothing is proved");
    for name in ["getpwuid", "getpwnam", "getgrgid", "getgrnam", "getpwent", "getgrent"] {
        assert!(!has(name) && !has(&format!("{name}_r")), "{name} is linked into the program");
    }
    assert!(!has("getgrouplist") && !has("initgroups") && !has("getlogin"));
}

#[test]
fn what_is_held_survives_prune_until_it_is_released() {
    let folder = open_folder();
    let repository = folder.path();
    let ids = [5, 4, 0].map(ago);
    for id in &ids {
        Forge::new(id).write(repository);
    }
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let held = cli("hold").arg(&ids[0]).arg("--note").arg("for the\nauditors ").on(repository).run();
    let words = format!("held by {} since {today}: for the auditors", who());
    assert_eq!(held.done(), format!("Backup {} is {words}.\n", ids[0]));
    let stored = hold_of(repository, &ids[0]);
    assert_eq!((&stored["by"], &stored["note"]), (&json!(who()), &json!("for the auditors")));
    assert!(stored["held"].as_str().unwrap().parse::<Timestamp>().is_ok());

    let list = cli("list").on(repository).run();
    let lines: Vec<&str> = list.done().lines().collect();
    assert!(lines[1].ends_with(&words) && !lines[2].contains("held"), "{}", list.stdout);
    let json = cli("list --json").on(repository).run().json();
    assert_eq!((&json["backups"][0]["hold"], &json["backups"][1]["hold"]), (&stored, &Value::Null));
    let show = cli("show").arg(&ids[0]).on(repository).run();
    assert!(show.done().contains(&format!("\nHold              {words}\n")), "{}", show.stdout);
    let json = cli("show --json").arg(&ids[0]).on(repository).run().json();
    assert_eq!((&json["hold"], &json["id"]), (&stored, &json!(ids[0])));
    cli("verify").arg(&ids[0]).on(repository).run().done();

    cli("prune --keep-last 1").on(repository).run().done();
    let is_there = |id: &str| repository.join("c").join(id).exists();
    assert_eq!(ids.each_ref().map(|id| is_there(id)), [true, false, true]);

    let released = cli("release").arg(&ids[0]).on(repository).run();
    assert_eq!(released.done(), format!("Backup {} is released; it was {words}.\n", ids[0]));
    assert!(!repository.join("c").join(&ids[0]).join("hold.json").exists());
    let again = cli("release").arg(&ids[0]).on(repository).run();
    assert_eq!(again.done(), format!("Backup {} is not held.\n", ids[0]));
    cli("prune --keep-last 1").on(repository).run().done();
    assert!(!is_there(&ids[0]));
}

#[test]
fn a_hold_is_replaced_by_a_newer_one_and_needs_no_note() {
    let folder = open_folder();
    put_manifest(folder.path(), "c", &manifest(ID));
    cli("hold latest").on(folder.path()).run().done();
    assert_eq!(hold_of(folder.path(), ID)["note"], Value::Null);
    let second = cli("hold latest").arg("--note").arg("new").on(folder.path()).run();
    assert!(
        second.done().contains(&format!("\nBefore, it was held by {} since ", who())),
        "{}",
        second.stdout
    );
    assert_eq!(hold_of(folder.path(), ID)["note"], "new");
    put_object(folder.path(), &format!("c/{ID}/hold.json"), "garbage");
    let list = cli("list").on(folder.path()).run();
    assert!(list.done().contains("held, as its hold.json cannot be read: expected value"), "{}", list.stdout);
    let json = cli("list --json").on(folder.path()).run().json();
    assert!(json["backups"][0]["hold"]["error"].is_string(), "{json}");
    cli("release latest").on(folder.path()).run().done();
    let left: Vec<_> = fs::read_dir(folder.path().join("c").join(ID)).unwrap().flatten().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn only_a_backup_can_be_held() {
    let folder = open_folder();
    let failed = "20261120T113453Z_n1";
    fs::create_dir_all(folder.path().join("c").join(failed)).unwrap();
    for command in ["hold", "release"] {
        cli(command).arg(ID).on(folder.path()).run().fails_with(3, "there is no backup");
        cli(command).arg(failed).on(folder.path()).run().fails_with(3, "is not complete");
        cli(command).arg("latest").on(folder.path()).run().fails_with(3, "there is no complete backup");
    }
    assert_eq!(fs::read_dir(folder.path().join("c").join(failed)).unwrap().count(), 0);
}
