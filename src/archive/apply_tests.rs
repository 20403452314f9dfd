use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::*;
use crate::archive::EXTERNAL_PREFIX;
use crate::archive::at_end::steps;
use crate::archive::early_world::{StoredWorld, store};
use crate::model::MemberKind;

/// The shells that are here, as commands.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [&["dash"][..], &["bash", "--posix"], &["bash"], &["busybox", "sh"], &["ksh"], &["mksh"]];
    let is_here = |shell: &&&[&str]| {
        let output = Command::new(shell[0]).args(&shell[1..]).args(["-c", "exit 0"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found: Vec<Vec<&str>> = all.iter().filter(is_here).map(|shell| shell.to_vec()).collect();
    assert!(!found.is_empty(), "no shell is here");
    found
}

/// What stock `tar` leaves of these members, and the script.
fn unpack(stored: &StoredWorld, root: &Path) {
    let write = |name: &Path, content: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    for (member, content) in stored.members.iter().zip(&stored.contents) {
        if member.kind == MemberKind::Directory {
            fs::create_dir_all(member.path.below(root)).unwrap();
            continue;
        }
        write(member.path.as_path(), content);
        if let Some(pages) = &member.pages {
            write(Path::new(&format!("{}{RUNS_SUFFIX}", member.path)), &runs_text(&pages.runs));
        }
    }
    write(Path::new("wsrep_sst_backup.json"), b"{}");
    write(Path::new("SHA256SUMS"), b"");
    let script = apply_script(&steps(&stored.members, &stored.changes).unwrap());
    write(Path::new(APPLY_MEMBER), &script);
}

fn run(shell: &[&str], root: &Path, path: Option<&Path>) -> Output {
    let mut command = Command::new(shell[0]);
    if let Some(path) = path {
        let old = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{old}", path.display()));
    }
    command.args(&shell[1..]).arg(root.join(APPLY_MEMBER)).current_dir("/").output().unwrap()
}

/// Every file below a folder, and every folder in which there is nothing.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(folder) = left.pop() {
        let entries: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        if entries.is_empty() {
            found.insert(folder.strip_prefix(root).unwrap().join("."), Vec::new());
        }
        for path in entries {
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found.remove(Path::new("wsrep_sst_backup.json"));
    found
}

fn expected(stored: &StoredWorld) -> BTreeMap<PathBuf, Vec<u8>> {
    stored.expected.iter().map(|(path, content)| (path.as_path().to_path_buf(), content.clone())).collect()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_shell_makes_of_it_what_was_there() {
    for (number, shell) in shells().iter().enumerate() {
        for seed in 1..9 {
            let stored = store(seed + 100 * number as u64);
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("data 'dir'");
            unpack(&stored, &root);
            let output = run(shell, &root, None);
            assert!(output.status.success(), "{shell:?}, seed {seed}: {}", text(&output));
            assert!(files(&root) == expected(&stored), "{shell:?}, seed {seed}");
            let again = run(shell, &root, None);
            assert!(!again.status.success() && files(&root) == expected(&stored), "{shell:?}, seed {seed}");
        }
    }
}

/// Programs that kill the shell at the call of this number, before they do anything.
fn killers(folder: &Path, at: usize) {
    for name in ["mv", "rm", "dd", "sync", "rmdir"] {
        let real =
            ["/bin", "/usr/bin"].iter().map(|bin| Path::new(bin).join(name)).find(|path| path.exists());
        let text = format!(
            "#!/bin/sh\necho >>'{calls}'\nif [ $(($(wc -l <'{calls}'))) -eq {at} ]; then kill -9 $PPID; exit 1; fi\nexec {} \"$@\"\n",
            real.unwrap().display(),
            calls = folder.join("calls").display()
        );
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn one_that_was_killed_anywhere_is_run_again_and_is_startable_only_at_its_end() {
    let shell = ["sh"];
    for seed in [3_u64, 5] {
        let stored = store(seed);
        for at in (1..).step_by(3) {
            let folder = tempfile::tempdir().unwrap();
            let (root, programs) = (folder.path().join("data"), folder.path().join("programs"));
            fs::create_dir(&programs).unwrap();
            unpack(&stored, &root);
            killers(&programs, at);
            let killed = run(&shell, &root, Some(&programs));
            if killed.status.success() {
                assert!(at > 6, "seed {seed} has {at} steps only");
                break;
            }
            let is_startable = fs::read(root.join("ibdata1")).unwrap() != STAND_IN.as_bytes();
            let is_complete = expected(&stored)
                .into_iter()
                .all(|(path, content)| files(&root).get(&path) == Some(&content));
            assert!(is_complete || !is_startable, "seed {seed}, killed at {at}");
            if root.join(APPLY_MEMBER).exists() {
                let output = run(&shell, &root, None);
                assert!(output.status.success(), "seed {seed}, killed at {at}: {}", text(&output));
            } else {
                // Nothing was left to do but for the folder in which it was.
                fs::remove_dir(root.join(EXTERNAL_PREFIX)).unwrap();
            }
            assert!(files(&root) == expected(&stored), "seed {seed}, killed at {at}");
        }
    }
}

#[test]
fn what_is_not_all_there_is_not_begun() {
    let stored = (1..100)
        .map(store)
        .find(|stored| stored.members.iter().any(|member| member.pages.is_some()))
        .unwrap();
    let pages = stored.members.iter().find(|member| member.pages.is_some()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (number, harm) in ["rm -f", "rm -f wsrep_sst_backup.json", ": >"].iter().enumerate() {
        let root = folder.path().join(number.to_string());
        unpack(&stored, &root);
        let line = if harm.ends_with("json") { (*harm).to_owned() } else { format!("{harm} {}", pages.path) };
        assert!(Command::new("sh").args(["-c", &line]).current_dir(&root).status().unwrap().success());
        let before = files(&root);
        let output = run(&["sh"], &root, None);
        assert!(
            !output.status.success() && text(&output).starts_with("apply: "),
            "{line}: {}",
            text(&output)
        );
        assert!(files(&root) == before, "{line}");
    }
}
