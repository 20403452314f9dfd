//! Every command on backups whose files were stored while the server ran: pages, names and sizes come behind them.

#[path = "cli_early/delta.rs"]
mod delta;
#[path = "cli_early/story.rs"]
mod story;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use story::{PAGE, Story, member, story, tablespace};
use support::cli::memory::Memory;
use support::cli::records::{edit_index, index_lines};
use support::cli::{cli, open_folder};
use support::scratch::ServerUser;
use wsrep_sst_backup::archive::{NewMember, STAND_IN, SYSTEM_PREFIX};
use wsrep_sst_backup::model::{ArchivePath, EarlyChange};

/// Every file below a folder but those of this program.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let list = Command::new("find").arg(root).args(["!", "-type", "d", "-printf", "%P\\0"]).output().unwrap();
    let names = list.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let own = ["wsrep_sst_backup.json", "grastate.dat"];
    names
        .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)))
        .filter(|name| !own.iter().any(|own| name == Path::new(own)))
        .map(|name| (name.clone(), fs::read(root.join(name)).unwrap()))
        .collect()
}

fn assert_files(root: &Path, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    let found = files(root);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, content) in expected {
        assert!(found[name] == *content, "{} differs", name.display());
    }
}

fn sh(line: &str, folder: &Path) -> (bool, String) {
    let output = Command::new("sh").args(["-c", line]).current_dir(folder).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[test]
fn it_is_verified_listed_and_restored_as_it_was_at_the_end() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let (_, expected) = story().end(&repository);
    let verified = cli("verify latest").on(&repository).run();
    assert!(verified.done().contains(&format!("is intact: {} files", expected.len())), "{}", verified.stdout);
    for purpose in ["node", "cluster", "standalone", "replica"] {
        let target = folder.path().join(purpose);
        let restored = cli("restore latest --as").arg(purpose).on(&repository).to(&target).run();
        restored.done();
        let mut found = expected.clone();
        if purpose == "replica" {
            found.insert("replica.sql".into(), Vec::new());
            assert!(files(&target).len() == found.len(), "{:?}", files(&target).keys());
            continue;
        }
        assert_files(&target, &found);
        assert_eq!(target.join("grastate.dat").exists(), purpose != "standalone");
        assert!(!target.join("gone").exists() && !target.join(".wsrep_sst_backup").exists());
    }
    let listed = cli("ls latest --json").on(&repository).run().json();
    let sizes: BTreeMap<&str, u64> = listed["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|file| file["type"] == "file")
        .map(|file| (file["path"].as_str().unwrap(), file["size"].as_u64().unwrap()))
        .collect();
    let wanted: BTreeMap<&str, u64> =
        expected.iter().map(|(path, content)| (path.to_str().unwrap(), content.len() as u64)).collect();
    assert_eq!(sizes, wanted);
    let only = folder.path().join("only");
    cli("restore latest --only db.two --only db.cut").on(&repository).to(&only).run().done();
    for name in ["db/two.ibd", "db/cut.ibd"] {
        assert!(fs::read(only.join(name)).unwrap() == expected[Path::new(name)], "{name}");
    }
    assert!(!only.join("db/one.ibd").exists());
    let copied = folder.path().join("copied");
    fs::create_dir(&copied).unwrap();
    cli("copy latest").arg("--to").arg(&copied).on(&repository).run().done();
    cli("verify latest").on(&copied).run().done();
}

#[test]
fn stock_tools_and_the_script_in_it_make_the_same_of_it() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let (backup, expected) = story().end(&repository);
    let target = folder.path().join("by hand");
    fs::create_dir(&target).unwrap();
    let tar = format!(
        "tar -x -p -f '{}' && sha256sum --check --quiet SHA256SUMS",
        backup.join("backup.tar").display()
    );
    assert_eq!(sh(&tar, &target), (true, String::new()));
    assert_eq!(fs::read(target.join("ibdata1")).unwrap(), STAND_IN.as_bytes());
    let (ok, said) = sh("sh 'by hand/.wsrep_sst_backup/apply'", folder.path());
    assert!(ok, "{said}");
    assert_files(&target, &expected);
    assert!(!target.join("gone").exists() && !target.join(".wsrep_sst_backup").exists());
}

#[test]
fn what_the_script_goes_by_is_in_the_sums() {
    let folder = open_folder();
    let (backup, _) = story().end(&folder.path().join("r"));
    let by_hand = folder.path().join("h");
    fs::create_dir(&by_hand).unwrap();
    assert!(sh(&format!("tar -x -f '{}'", backup.join("backup.tar").display()), &by_hand).0);
    let is_right = || sh("sha256sum --check --quiet SHA256SUMS", &by_hand).0;
    let own = by_hand.join(".wsrep_sst_backup");
    let pages = fs::read_dir(own.join("pages")).unwrap().map(|entry| entry.unwrap().path());
    let members: Vec<PathBuf> = pages.chain([own.join("apply")]).collect();
    assert_eq!(members.iter().filter(|path| path.extension().is_some()).count() * 2 + 1, members.len());
    for path in members {
        let content = fs::read(&path).unwrap();
        let mut flipped = content.clone();
        flipped[0] ^= 1;
        fs::write(&path, flipped).unwrap();
        assert!(!is_right(), "{}", path.display());
        fs::write(&path, content).unwrap();
    }
    assert!(is_right());
}

/// Root may write to any file, so another user restores.
#[test]
fn a_file_that_its_owner_may_not_write_gets_its_mode_behind_its_last_pages() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let nobody = ServerUser { name: "12345".into(), uid: 12345, gid: 12345 };
    let folder = open_folder();
    let (repository, place) = (folder.path().join("r"), folder.path().join("place"));
    let mut story = Story::begin();
    let system = NewMember { system_tablespace: true, ..member("ibdata1") };
    story.early(system, &tablespace(0, 8, 1));
    let file = story.early(NewMember { mode: 0o440, ..member("db/t.ibd") }, &tablespace(5, 8, 1));
    for fill in [2, 3] {
        story.pages(file, &[fill.into(), 6], &tablespace(5, 8, fill));
    }
    story.end(&repository);
    fs::create_dir(&place).unwrap();
    nobody.own_tree(&repository);
    nobody.own_tree(&place);
    let target = place.join("t");
    cli("restore latest").on(&repository).to(&target).user(&nobody, folder.path()).run().done();
    let restored = target.join("db/t.ibd");
    assert_eq!(fs::metadata(&restored).unwrap().permissions().mode() & 0o777, 0o440);
    let mut expected = tablespace(5, 8, 1);
    for (page, fill) in [(2, 2), (3, 3), (6, 3)] {
        expected[page * PAGE..][..PAGE].copy_from_slice(&tablespace(5, 8, fill)[page * PAGE..][..PAGE]);
    }
    assert!(fs::read(&restored).unwrap() == expected);
}

#[test]
fn stock_tar_alone_is_enough_where_no_member_needs_the_script() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let mut story = Story::begin();
    let system = NewMember { system_tablespace: true, ..member("ibdata1") };
    story.early(system.clone(), &tablespace(0, 8, 1));
    story.early(member("db/t.ibd"), &tablespace(5, 8, 1));
    let gone = story.early(member("db/gone.ibd"), &tablespace(6, 8, 1));
    story.writer.append_directory(NewMember { mode: 0o700, ..member("db") }).unwrap();
    for (like, content) in [(system, tablespace(0, 9, 2)), (member("db/t.ibd"), tablespace(5, 9, 2))] {
        let name = like.path.to_string();
        story.late(like, &content);
        story.expect(&name, &content);
    }
    story.writer.change(EarlyChange::Removed(gone)).unwrap();
    let (backup, expected) = story.end(&repository);
    cli("verify latest").on(&repository).run().done();
    let (target, by_hand) = (folder.path().join("t"), folder.path().join("h"));
    cli("restore latest").on(&repository).to(&target).run().done();
    assert_files(&target, &expected);
    fs::create_dir(&by_hand).unwrap();
    let tar = format!(
        "tar -x -f '{}' && sha256sum --check --quiet SHA256SUMS",
        backup.join("backup.tar").display()
    );
    assert_eq!(sh(&tar, &by_hand), (true, String::new()));
    assert!(!by_hand.join(".wsrep_sst_backup").exists());
    fs::remove_file(by_hand.join("db/gone.ibd")).unwrap();
    fs::remove_file(by_hand.join("SHA256SUMS")).unwrap();
    assert_files(&by_hand, &expected);
}

#[test]
fn a_flipped_bit_in_any_member_is_found_and_pages_are_named_by_their_file() {
    let folder = open_folder();
    let (backup, _) = story().end(&folder.path().join("r"));
    let whole = Memory::read(&backup);
    assert_eq!(whole.verified().findings, []);
    for line in index_lines(&backup) {
        let Some(member) = line.get("member").filter(|member| member["stored"].as_u64() > Some(0)) else {
            continue;
        };
        let end = member["end_offset"].as_u64().unwrap();
        let size = member["stored"].as_u64().unwrap();
        let begin = end - size.next_multiple_of(512);
        let place = usize::try_from(begin + size / 2).unwrap();
        let report = whole.flipped("backup.tar", place, 3).verified();
        let path = member["path"].as_str().unwrap();
        let named = report.findings.iter().any(|finding| finding.file == path || finding.what.contains(path));
        assert!(named, "{path}: {:?}", report.findings);
        if member["kind"] == "pages" {
            assert!(
                report.findings[0].file.starts_with("db/") || report.findings[0].file == "ibdata1",
                "{path}"
            );
        }
    }
}

#[test]
fn damage_that_is_replaced_is_none_and_what_is_not_replaced_is() {
    let folder = open_folder();
    for (number, (replaced, bad_again)) in
        [(true, false), (false, false), (true, true)].into_iter().enumerate()
    {
        let repository = folder.path().join(number.to_string());
        let mut story = Story::begin();
        let place = Some(ArchivePath::new("ibdata1"));
        let system = NewMember { place, system_tablespace: true, ..member(&format!("{SYSTEM_PREFIX}/0")) };
        story.early(system, &tablespace(0, 8, 2));
        let good = tablespace(5, 12, 1);
        let mut torn = good.clone();
        torn[3 * PAGE + 77] ^= 1;
        let file = story.early(member("db/t.ibd"), &torn);
        let again = if bad_again { &torn } else { &good };
        story.pages(file, if replaced { &[3, 4] } else { &[4, 5] }, again);
        story.writer.append_generated(member("ibdata1"), STAND_IN.as_bytes()).unwrap();
        let (backup, _) = story.end(&repository);
        let report = Memory::read(&backup).verified();
        let manifest: Value =
            serde_json::from_slice(&fs::read(backup.join("manifest.json")).unwrap()).unwrap();
        if replaced && !bad_again {
            assert_eq!((report.findings, manifest["damaged_pages"].as_u64()), (Vec::new(), Some(0)));
        } else {
            assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
            assert_eq!(report.findings[0].file, "db/t.ibd");
            assert!(report.findings[0].what.contains("1 InnoDB page has a wrong checksum (page 3)"));
            assert_eq!(manifest["damaged_pages"].as_u64(), Some(1));
        }
    }
}

type LineEdit = fn(&mut Value);

#[test]
fn an_edited_index_writes_nothing_elsewhere() {
    let folder = open_folder();
    let edits: [(&str, LineEdit); 5] = [
        ("which is no path for it", |line| line["change"]["moved"]["to"] = "../../escaped".into()),
        ("has runs that overlap", |line| line["member"]["pages"]["runs"][0][0] = (1_u64 << 63).into()),
        ("has pages of no file", |line| line["member"]["pages"]["of"] = 7.into()),
        ("belongs to an unsafe path", |line| line["member"]["place"] = "/etc/passwd".into()),
        ("a size that cannot be", |line| line["change"]["resized"]["size"] = u64::MAX.into()),
    ];
    for (number, (wanted, edit)) in edits.into_iter().enumerate() {
        let repository = folder.path().join(number.to_string());
        let (backup, _) = story().end(&repository);
        edit_index(&backup, |lines| {
            let is_meant = |line: &&mut Value| {
                let member = &line["member"];
                match number {
                    0 => line["change"].get("moved").is_some(),
                    1 | 2 => member["pages"].is_object(),
                    3 => member["place"].is_string(),
                    _ => line["change"].get("resized").is_some(),
                }
            };
            edit(lines.iter_mut().find(is_meant).expect("such a line"));
        });
        let target = folder.path().join(format!("t{number}"));
        cli("restore latest").on(&repository).to(&target).run().fails_with(4, wanted);
        assert!(!target.exists(), "{wanted}");
    }
}

/// As it was stored once (`tests/fixtures/format-2/early`): every later version must make the same of it.
#[test]
fn the_fixture_is_what_it_was() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-2/early");
    let folder = open_folder();
    let repository = folder.path().join("r");
    assert!(
        Command::new("cp")
            .arg("-r")
            .arg(fixture.join("repository"))
            .arg(&repository)
            .status()
            .unwrap()
            .success()
    );
    let (target, by_hand) = (folder.path().join("t"), folder.path().join("h"));
    cli("verify latest").on(&repository).run().done();
    cli("restore latest").on(&repository).to(&target).run().done();
    fs::create_dir(&by_hand).unwrap();
    let unpack = "zstd -dc ../r/c/*/backup.tar.zst | tar -x && sha256sum --check --quiet SHA256SUMS";
    let (ok, said) = sh(&format!("{unpack} && sh .wsrep_sst_backup/apply"), &by_hand);
    assert!(ok, "{said}");
    let check = format!("sha256sum --check --strict --quiet '{}'", fixture.join("expected.sha256").display());
    for made in [target, by_hand] {
        assert_eq!(sh(&check, &made), (true, String::new()));
        assert_eq!(files(&made).len(), 11);
    }
}
