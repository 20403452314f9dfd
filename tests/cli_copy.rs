//! `copy`: a second repository with the same backups, or nothing of them.

#[path = "cli_copy/stopped.rs"]
mod stopped;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::cli::forge::{Forge, ago, edit_manifest, status};
use support::cli::tree::{Entry, tree};
use support::cli::{Cli, cli, open_folder};
use support::scratch::ServerUser;

/// Two repositories beside each other; the first one has these backups.
struct Two {
    folder: tempfile::TempDir,
}

impl Two {
    fn new(ids: &[String]) -> Self {
        let two = Self { folder: open_folder() };
        for side in [two.here(), two.there()] {
            fs::create_dir(side).unwrap();
        }
        for id in ids {
            let backup = Forge::new(id).write(&two.here());
            fs::write(backup.join("status.json"), status(id, "done", None).to_string()).unwrap();
        }
        two
    }

    fn here(&self) -> PathBuf {
        self.folder.path().join("here")
    }

    fn there(&self) -> PathBuf {
        self.folder.path().join("there")
    }

    /// The object of a backup in the first one.
    fn object(&self, id: &str, name: &str) -> PathBuf {
        self.here().join("c").join(id).join(name)
    }

    fn copy(&self, line: &str) -> Cli {
        cli(&format!("copy {line}")).on(&self.here()).to(&self.there())
    }

    /// Ids in the second one.
    fn copied(&self) -> Vec<String> {
        let list = cli("list --json").on(&self.there()).run().json();
        assert_eq!(list["incomplete"], json!([]));
        list["backups"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// Names and contents of everything below a folder.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    tree(root).into_iter().map(|(path, Entry { content, .. })| (path, content)).collect()
}

#[test]
fn a_copy_is_the_same_and_can_be_verified_and_restored() {
    let ids = [3, 2, 1].map(ago);
    let two = Two::new(&ids);
    for command in ["hold", "verify"] {
        cli(command).arg(&ids[2]).on(&two.here()).run().done();
    }
    let said = two.copy("latest").run();
    let place = two.there();
    let begin = format!("Backup {} is copied to '{}': ", ids[2], place.display());
    assert!(said.done().starts_with(&begin) && said.stdout.contains(" KiB in "), "{}", said.stdout);
    assert_eq!(two.copied(), ids[2..]);
    let again = two.copy(&ids[2]).run();
    assert_eq!(again.done(), format!("Backup {} is in '{}' already.\n", ids[2], place.display()));
    cli("verify latest --no-record").on(&place).run().done();
    let target = two.folder.path().join("data");
    let restored = cli("restore latest --as standalone").on(&place).to(&target).run();
    assert_eq!(restored.status, Some(0), "{}", restored.stderr);

    let json = two.copy(&format!("--json --target-time {}", time_of(&two, &ids[0]))).run().json();
    let row = &json["backups"][0];
    assert_eq!(
        (&row["id"], &row["outcome"], &row["error"]),
        (&json!(ids[0]), &json!("copied"), &Value::Null)
    );
    assert_eq!((&row["cluster_folder"], &json["to"]), (&json!("c"), &json!(place)));
    let all = two.copy("--all").run();
    let lines: Vec<&str> = all.done().lines().collect();
    assert!(lines[0].starts_with(&format!("copied  {}  ", ids[1])) && lines.len() == 2, "{lines:?}");
    assert!(lines[1].starts_with(&format!("Backups: 1 copied to '{}' (", place.display())), "{lines:?}");
    assert!(lines[1].ends_with("), 2 there already."), "{lines:?}");
    // Everything is the same, but for what was said about the first one alone.
    for name in ["hold.json", "verify.json"] {
        fs::remove_file(two.object(&ids[2], name)).unwrap();
    }
    assert_eq!(contents(&two.there()), contents(&two.here()));
    let json = two.copy("--all --json").run().json();
    let order: Vec<&Value> = json["backups"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(order, [&json!(ids[2]), &json!(ids[1]), &json!(ids[0])]);
    assert!(json["backups"].as_array().unwrap().iter().all(|row| row["outcome"] == "already_there"));
}

fn time_of(two: &Two, id: &str) -> String {
    let manifest: Value =
        serde_json::from_slice(&fs::read(two.object(id, "manifest.json")).unwrap()).unwrap();
    manifest["frozen_at"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_encrypted_is_copied_without_a_key() {
    let id = ago(0);
    let two = Two::new(std::slice::from_ref(&id));
    edit_manifest(&two.object(&id, ""), |manifest| {
        manifest["archive"]["encryption"] = "age".into();
        manifest["archive"]["recipients"] = json!(["age1x"]);
        manifest["archive"]["name"] = "backup.tar.zst.age".into();
        manifest["index"]["name"] = "index.json.zst.age".into();
    });
    for name in ["backup.tar.zst", "index.json.zst"] {
        fs::rename(two.object(&id, name), two.object(&id, &format!("{name}.age"))).unwrap();
    }
    two.copy("latest").run().done();
    assert_eq!(contents(&two.there()), contents(&two.here()));
}

#[test]
fn what_cannot_be_done_is_refused_and_nothing_is_written() {
    let id = ago(1);
    let two = Two::new(std::slice::from_ref(&id));
    let here = two.here();
    assert_eq!(cli("copy latest").on(&here).run().status, Some(2));
    for (to, status, words) in [
        ("s3:/relative", 2, "--to: 's3:/relative'"),
        ("gs://bucket", 2, "--to: 'gs://bucket': this version stores into"),
        ("/nonexistent/copies", 1, "(--to names it; a directory must be there before)"),
    ] {
        cli("copy latest").on(&here).arg("--to").arg(to).run().fails_with(status, words);
    }
    let itself = two.folder.path().join("there/../here");
    cli("copy latest").on(&here).to(&itself).run().fails_with(2, "is the repository that the backups are in");
    two.copy("20261120T113452Z_n9").run().fails_with(3, "there is no backup '20261120T113452Z_n9'");
    assert_eq!(contents(&two.there()), []);
    let nothing = format!("there are no backups in '{}', so nothing was copied", two.there().display());
    cli("copy --all").on(&two.there()).to(&here).run().fails_with(3, &nothing);
    let json = cli("copy --all --json").on(&two.there()).to(&here).run();
    assert!(json.status == Some(3) && json.stdout.contains("\"backups\": []"), "{json:?}");

    two.copy("latest").run().done();
    edit_manifest(&two.object(&id, ""), |manifest| manifest["gtid"]["seqno"] = 418.into());
    let before = contents(&two.there());
    two.copy("latest").run().fails_with(
        1,
        &format!("there is another backup '{id}' in '{}': its position is", two.there().display()),
    );
    let all = two.copy("--all").run();
    assert_eq!(
        (all.status, all.stdout.as_str()),
        (
            Some(1),
            &*format!("Backups: 0 copied to '{}' (0 B), 0 there already, 1 FAILED.\n", two.there().display())
        )
    );
    assert_eq!(contents(&two.there()), before);
}

#[test]
fn what_is_damaged_is_not_copied_and_does_not_keep_the_others() {
    let ids = [3, 2, 1, 0].map(ago);
    let two = Two::new(&ids);
    let path = two.object(&ids[3], "backup.tar.zst");
    let mut archive = fs::read(&path).unwrap();
    archive[1000] ^= 0x10;
    fs::write(&path, archive).unwrap();
    fs::write(two.object(&ids[2], "manifest.json"), "garbage").unwrap();
    two.copy(&ids[3]).run().fails_with(4, "is damaged: backup.tar.zst: its SHA-256 is");
    assert_eq!(contents(&two.there()), [("c".into(), vec![])]);
    let all = two.copy("--all").run();
    assert_eq!(all.status, Some(4));
    assert!(all.stdout.ends_with("0 there already, 2 DAMAGED.\n"), "{}", all.stdout);
    assert_eq!(all.stderr.lines().count(), 2, "{}", all.stderr);
    assert_eq!(two.copied(), ids[..2]);
    let json = two.copy("--all --json").run();
    assert_eq!((json.status, json.stderr.lines().count()), (Some(4), 2));
    let rows: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&rows["backups"][1]["outcome"], &rows["not_tried"]), (&json!("damaged"), &json!(0)));
    assert!(rows["backups"][1]["error"].as_str().unwrap().contains("the manifest is damaged"), "{rows}");
}

#[test]
fn one_that_cannot_be_read_does_not_keep_the_others() {
    let user = ServerUser::current();
    let ids = [2, 1, 0].map(ago);
    let two = Two::new(&ids);
    user.own_tree(&two.there());
    let closed = fs::Permissions::from_mode(0o000);
    fs::set_permissions(two.object(&ids[2], "backup.tar.zst"), closed.clone()).unwrap();
    fs::set_permissions(two.object(&ids[1], "index.json.zst"), closed).unwrap();
    let all = two.copy("--all").user(&user, two.folder.path()).run();
    assert_eq!(all.status, Some(1), "{all:?}");
    assert!(all.stdout.ends_with(", 0 there already, 2 FAILED.\n"), "{}", all.stdout);
    assert_eq!(
        all.stderr.lines().filter(|line| line.contains("Permission denied")).count(),
        2,
        "{}",
        all.stderr
    );
    assert_eq!(two.copied(), ids[..1]);
    // By its name the command ends with the error.
    two.copy(&ids[2])
        .user(&user, two.folder.path())
        .run()
        .fails_with(1, "backup.tar.zst': Permission denied");
}

#[test]
#[ignore = "needs strace"]
fn one_that_the_disk_does_not_give_does_not_keep_the_others() {
    let ids = [2, 1, 0].map(ago);
    let two = Two::new(&ids);
    let archive = two.object(&ids[2], "backup.tar.zst");
    let inject = format!("-o /dev/null -P {} -e trace=read -e inject=read:error=EIO", archive.display());
    let all = two.copy("--all").strace(&inject).run();
    assert_eq!(all.status, Some(1), "{all:?}");
    assert!(all.stdout.ends_with(", 0 there already, 1 FAILED.\n"), "{}", all.stdout);
    assert!(all.stderr.contains("backup.tar.zst': Input/output error"), "{}", all.stderr);
    assert_eq!(two.copied(), ids[..2]);
}

#[test]
fn a_copy_that_verify_has_found_damaged_is_not_there_already() {
    let id = ago(0);
    let two = Two::new(std::slice::from_ref(&id));
    two.copy("latest").run().done();
    let archive = two.there().join("c").join(&id).join("backup.tar.zst");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&archive, bytes).unwrap();
    // Nobody knows yet.
    two.copy("latest").run().done();
    assert_eq!(cli("verify").arg(&id).on(&two.there()).run().status, Some(4));
    let words = "is damaged: verify.json: ";
    two.copy("latest").run().fails_with(4, words);
    let all = two.copy("--all").run();
    assert!(all.status == Some(4) && all.stderr.contains(words), "{all:?}");
    assert!(all.stderr.contains("remove its folder there, and copy it again"), "{all:?}");
    fs::remove_dir_all(two.there().join("c").join(&id)).unwrap();
    two.copy("--all").run().done();
    cli("verify latest").on(&two.there()).run().done();
}

#[test]
fn the_other_repository_has_settings_of_its_own_in_a_group() {
    let id = ago(1);
    let two = Two::new(std::slice::from_ref(&id));
    let cnf = two.folder.path().join("my.cnf");
    let text = format!(
        "[wsrep_sst_backup]\nrepository=/nonexistent\ns3-ca-file=/nonexistent\n\
         [wsrep_sst_backup_offsite]\nrepository={}\ns3-ca-file=\nkeep-last=1\n",
        two.there().display()
    );
    fs::write(&cnf, text).unwrap();
    let with = |line: &str| cli(line).own_defaults().arg(format!("--defaults-file={}", cnf.display()));
    // The environment speaks of the first one.
    let from = |line: &str| with(line).env("WSREP_SST_BACKUP_REPOSITORY", two.here().display().to_string());
    from("copy latest --to-defaults-group-suffix=_offsite").run().done();
    assert_eq!(two.copied(), std::slice::from_ref(&id));
    let listed = with("list --defaults-group-suffix=_offsite").run();
    assert!(listed.done().contains(&id), "{}", listed.stdout);
    with("prune --dry-run --defaults-group-suffix=_offsite").run().done();
    from("copy latest --to-defaults-group-suffix=_ofsite")
        .run()
        .fails_with(2, "no option file has a setting in a group [wsrep_sst_backup_ofsite]");
    // The place may come from the flag.
    let third = two.folder.path().join("third");
    fs::create_dir(&third).unwrap();
    from("copy latest --to-defaults-group-suffix=_offsite").to(&third).run().done();
    assert_eq!(contents(&third), contents(&two.here()));
}

/// A real backup, by a real donor program.
#[test]
fn a_restored_copy_has_the_files_of_the_server() {
    let server = support::ScriptedMysqld::new();
    server.asks().run().assert_backed_up(&server);
    let folder = open_folder();
    let copies = folder.path().join("copies");
    fs::create_dir(&copies).unwrap();
    cli("copy latest").on(&server.repository()).to(&copies).run().done();
    assert_eq!(contents(&copies), contents(&server.repository()));
    cli("verify latest").on(&copies).run().done();
    let target = folder.path().join("data");
    let restored = cli("restore latest --as standalone").on(&copies).to(&target).run();
    assert_eq!(restored.status, Some(0), "{}", restored.stderr);
    let diff = Command::new("diff")
        .arg("-r")
        .arg(server.datadir().join("db"))
        .arg(target.join("db"))
        .output()
        .unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
}

#[test]
fn what_the_other_repository_has_pruned_does_not_come_back_every_night() {
    let ids = [3, 2, 1].map(ago);
    let two = Two::new(&ids);
    two.copy("--all").run().done();
    cli("prune --keep-last 1").on(&two.there()).run().done();
    assert_eq!(two.copied(), ids[2..]);
    // One that was never there comes, whatever its age.
    let old = ago(9);
    Forge::new(&old).write(&two.here());
    let night = two.copy("--all").run();
    let ending = night.done().lines().last().unwrap();
    assert!(ending.contains("2 pruned there before (--with-pruned copies them again)"), "{}", night.stdout);
    assert_eq!(two.copied(), [old.clone(), ids[2].clone()]);
    let rows = two.copy("--all --json").run().json();
    let outcomes: Vec<&str> =
        rows["backups"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["already_there", "pruned_there", "pruned_there", "already_there"]);
    // Who asks for it gets it: one by its name, or all of them.
    two.copy(&ids[1]).run().done();
    two.copy("--all --with-pruned").run().done();
    assert_eq!(two.copied(), [&[old], &ids[..]].concat());
    assert_eq!(two.copy("latest --with-pruned").run().status, Some(2));
}
