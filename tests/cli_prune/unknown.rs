//! Folders that nobody may look into: they stay, the others are judged, and the exit status says it.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::support::scratch::ServerUser;

fn close(place: &Path) {
    fs::set_permissions(place, fs::Permissions::from_mode(0o000)).unwrap();
}

fn reopen(place: &Path) {
    fs::set_permissions(place, fs::Permissions::from_mode(0o750)).unwrap();
}

#[test]
fn a_folder_that_cannot_be_looked_at_stays_and_the_others_are_judged() {
    let user = ServerUser::current();
    let ids: Vec<String> = [9, 8, 7, 3, 0].map(ago).into();
    let folder = repository(&ids);
    let place = folder.path();
    let c = |id: &str| place.join("c").join(id);
    fs::remove_file(c(&ids[1]).join("manifest.json")).unwrap();
    fs::create_dir(place.join("d")).unwrap();
    fs::create_dir(place.join("lost+found")).unwrap();
    user.own_tree(place);
    let program = open_folder();
    let prune =
        |more: &str| cli(&format!("prune --keep-last 1{more}")).on(place).user(&user, program.path()).run();
    // A backup, what a run has left, another cluster; and what every file system has at its root.
    let closed = [c(&ids[0]), c(&ids[1]), place.join("d"), place.join("lost+found")];
    for place in &closed {
        close(place);
    }

    let dry = prune(" --dry-run");
    assert_eq!(dry.status, Some(1), "{dry:?}");
    let json = prune(" --dry-run --json");
    assert_eq!(json.status, Some(1), "{json:?}");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["unknown"].as_array().unwrap().len(), 3, "{json}");

    let pruned = prune("");
    assert_eq!(pruned.status, Some(1), "{pruned:?}");
    assert!(line(&pruned.stdout, &ids[0]).starts_with("keep"), "{}", pruned.stdout);
    for place in &closed[..3] {
        let said = format!("error: cannot list '{}': Permission denied (os error 13)", place.display());
        assert!(pruned.stderr.contains(&said), "{said}: {}", pruned.stderr);
    }
    assert!(!pruned.stderr.contains("lost+found"), "{}", pruned.stderr);
    assert!(pruned.stdout.contains("\nRemoved 2 backups and 0 leftovers: "), "{}", pruned.stdout);
    assert_eq!(folders(place), [ids[0].clone(), ids[1].clone(), ids[4].clone()]);

    // With the rights they are what they are.
    for place in &closed {
        reopen(place);
    }
    prune("").done();
    assert_eq!(folders(place), ids[4..]);
}

/// Nothing is removed through it, nor itself, and what it stands for is not taken for absent.
#[test]
fn a_link_in_place_of_a_folder_stays_and_is_named() {
    let ids: Vec<String> = [9, 8, 3, 0].map(ago).into();
    let folder = repository(&ids);
    let (place, other) = (folder.path(), tempfile::tempdir().unwrap());
    let c = |id: &str| place.join("c").join(id);
    fs::rename(c(&ids[0]), other.path().join(&ids[0])).unwrap();
    fs::create_dir(other.path().join("d")).unwrap();
    let links = [(c(&ids[0]), other.path().join(&ids[0])), (place.join("d"), other.path().join("d"))];
    for (link, leads) in &links {
        symlink(leads, link).unwrap();
    }
    let before = tree(other.path());
    let pruned = cli("prune --keep-last 1").on(place).run();
    assert_eq!(pruned.status, Some(1), "{pruned:?}");
    assert!(line(&pruned.stdout, &ids[0]).starts_with("keep"), "{}", pruned.stdout);
    for (link, leads) in &links {
        let said = format!("error: cannot use '{}': it is a symbolic link", link.display());
        assert!(pruned.stderr.contains(&said), "{said}: {}", pruned.stderr);
        assert_eq!(&fs::read_link(link).unwrap(), leads);
    }
    assert!(pruned.stdout.contains("\nRemoved 2 backups and 0 leftovers: "), "{}", pruned.stdout);
    assert!(c(&ids[3]).is_dir() && !c(&ids[1]).exists() && !c(&ids[2]).exists());
    assert_same(&tree(other.path()), &before);
}
