//! What a target can be: a link, a path of which half is missing, a place that belongs to something else, another file
//! system.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

use crate::restore;
use crate::support::cli::disk::{LoopDisk, SMALLEST_XFS};
use crate::support::cli::forge::{Forge, ID, edit_member};
use crate::support::cli::open_folder;
use crate::support::cli::tree::{assert_same, entry, paths, tree};
use crate::support::scratch::ServerUser;

/// Refused with exactly this, and nothing below `folder` is another than before.
#[track_caller]
fn refused(folder: &Path, target: &Path, more: &str, text: &str) {
    let before = tree(folder);
    restore(&folder.join("r"), target, more).fails(1, text);
    assert_same(&tree(folder), &before);
}

#[test]
fn what_is_missing_above_a_target_is_made_and_belongs_to_root() {
    let user = ServerUser::current();
    let folder = open_folder();
    let (target, undo) = (folder.path().join("new/deep/data"), folder.path().join("far/deep/undo"));
    let backup = Forge::new(ID)
        .external("innodb_undo_directory", &undo, &undo.join("undo002"), "x")
        .write(&folder.path().join("r"));
    for path in ["ibdata1", ".wsrep_sst_backup/innodb_undo_directory/7undo002"] {
        edit_member(&backup, path, |member| member["user"] = user.name.as_str().into());
    }
    restore(&folder.path().join("r"), &target, &format!("--external {}", undo.display())).done();
    for path in ["new", "new/deep", "far", "far/deep"] {
        let made = entry(&folder.path().join(path));
        assert_eq!((made.mode, made.owner.0), (0o755, 0), "{path}");
    }
    for path in [&target, &undo] {
        let made = entry(path);
        assert_eq!((made.mode, made.owner.0), (0o750, user.uid), "{}", path.display());
    }
    // All of it goes again where the restore fails.
    fs::remove_dir_all(folder.path().join("new")).unwrap();
    fs::remove_dir_all(folder.path().join("far")).unwrap();
    edit_member(&backup, "db/t.MYD", |member| member["sha256"] = "0".repeat(64).into());
    restore(&folder.path().join("r"), &target, &format!("--external {}", undo.display()))
        .fails_with(4, "what had been restored is removed");
    assert!(!paths(&tree(folder.path())).iter().any(|path| path == "new" || path == "far"));
}

#[test]
fn a_link_that_leads_nowhere_is_named_with_its_cure() {
    let folder = open_folder();
    Forge::new(ID).write(&folder.path().join("r"));
    let link = folder.path().join("link");
    symlink("/not/mounted", &link).unwrap();
    let place = link.display();
    let why = format!(
        "leads nowhere: '{place}' is a symbolic link to '/not/mounted', which is not there. Make that directory, or mount \
         its file system, and restore again"
    );
    refused(folder.path(), &link, "", &format!("'{place}' {why}"));
    refused(folder.path(), &link.join("data"), "", &format!("'{place}/data' {why}"));
}

#[test]
fn a_link_to_a_directory_is_given_to_the_server_and_back_where_it_fails() {
    let user = ServerUser::current();
    let folder = open_folder();
    let backup = Forge::new(ID).write(&folder.path().join("r"));
    edit_member(&backup, "ibdata1", |member| member["user"] = user.name.as_str().into());
    edit_member(&backup, "db/t.MYD", |member| member["sha256"] = "0".repeat(64).into());
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink("real", &link).unwrap();
    let before = (entry(&real).owner, entry(&link));
    restore(&folder.path().join("r"), &link, "").fails_with(4, "what had been restored is removed");
    assert_eq!((entry(&real).owner, entry(&link)), before);
    assert_eq!(paths(&tree(&real)), Vec::<String>::new());
}

/// Who owns the folder above a target could lead root to any directory, which the restore would give to them.
#[test]
fn root_follows_no_link_of_somebody_else() {
    let user = ServerUser::current();
    let folder = open_folder();
    let (repository, theirs) = (folder.path().join("r"), folder.path().join("theirs"));
    let (roots, link) = (folder.path().join("roots"), theirs.join("link"));
    let undo = folder.path().join("undo");
    let backup = Forge::new(ID)
        .external("innodb_undo_directory", &undo, &undo.join("undo002"), "x")
        .write(&repository);
    for path in ["ibdata1", ".wsrep_sst_backup/innodb_undo_directory/7undo002"] {
        edit_member(&backup, path, |member| member["user"] = user.name.as_str().into());
    }
    fs::create_dir(&theirs).unwrap();
    fs::create_dir(&roots).unwrap();
    symlink(&roots, &link).unwrap();
    lchown(&link, Some(user.uid), Some(user.gid)).unwrap();
    user.own(&theirs);
    let place = link.display();
    let why = format!(
        "is no place for root to write: '{place}' is a symbolic link of user '{}', which root does not follow. Name the \
         directory that it leads to, or make the link root's (chown -h root {place})",
        user.name
    );
    let (data, external) = (folder.path().join("data"), format!("--external {}", undo.display()));
    let map = |directory: &Path| format!("--map innodb_undo_directory={}", directory.display());
    refused(folder.path(), &link, &external, &format!("'{place}' {why}"));
    refused(folder.path(), &link.join("new"), &external, &format!("'{place}/new' {why}"));
    refused(folder.path(), &data, &map(&link), &format!("'{place}' {why}"));
    refused(folder.path(), &data, &map(&link.join("new")), &format!("'{place}/new' {why}"));
    refused(folder.path(), &data, &format!("{external} --external {place}"), &format!("'{place}' {why}"));
    assert_eq!(entry(&roots).owner.0, 0);
    // One that root has made there is an administrator's decision.
    lchown(&link, Some(0), Some(0)).unwrap();
    restore(&repository, &link, &external).done();
    assert!(roots.join("ibdata1").is_file());
    assert_eq!(entry(&roots).owner.0, user.uid);
}

#[test]
fn a_place_that_belongs_to_something_else_is_refused() {
    let folder = open_folder();
    let (repository, server) = (folder.path().join("r"), folder.path().join("server"));
    let inside = repository.join("undo");
    Forge::new(ID).write(&repository);
    fs::create_dir(&server).unwrap();
    let below = server.join("new/data");
    for sign in ["ibdata1", "aria_log_control", "mysql/db.frm"] {
        fs::create_dir_all(server.join(sign).parent().unwrap()).unwrap();
        fs::write(server.join(sign), "").unwrap();
        let text = format!(
            "'{}' lies below '{}', which holds the files of a server ('{sign}'); name another directory",
            below.display(),
            server.display()
        );
        refused(folder.path(), &below, "", &text);
        fs::remove_file(server.join(sign)).unwrap();
    }
    symlink(&repository, folder.path().join("link")).unwrap();
    for (target, place) in [
        (repository.join("c/data"), repository.join("c/data")),
        (folder.path().join("link/data"), repository.join("data")),
    ] {
        let text = format!(
            "'{}' lies in the repository '{}'; name another directory",
            place.display(),
            repository.display()
        );
        refused(folder.path(), &target, "", &text);
    }
    // The places outside, too.
    Forge::new(ID)
        .external("innodb_undo_directory", &inside, &inside.join("undo002"), "x")
        .write(&repository);
    let (target, external) = (folder.path().join("data"), format!("--external {}", inside.display()));
    restore(&repository, &target, &external).fails_with(1, "/undo/undo002' lies in the repository '");
    fs::write(server.join("ibdata1"), "").unwrap();
    let map = format!("--map innodb_undo_directory={}", server.join("undo").display());
    restore(&repository, &target, &map).fails_with(1, "holds the files of a server ('ibdata1')");
    // Below the directory of this very restore there is no other server.
    restore(&repository, &target, &format!("--map innodb_undo_directory={}/undo", target.display())).done();
    assert_eq!(fs::read(target.join("undo/undo002")).unwrap(), b"x");
}

#[test]
fn holes_stay_holes_on_xfs() {
    const SIZE: u64 = 48 << 20;
    let folder = open_folder();
    let disk = folder.path().join("xfs");
    let _disk = LoopDisk::xfs(&folder.path().join("image"), &disk, SMALLEST_XFS);
    // A page in four is data, as in a page-compressed table.
    let segments: Vec<(u64, u64)> = (0..SIZE).step_by(16 << 10).map(|at| (at, 4096)).collect();
    let mut content = vec![0; usize::try_from(SIZE).unwrap()];
    for page in content.chunks_mut(16 << 10) {
        page[..4096].fill(7);
    }
    Forge::new(ID).sparse("db/compressed.ibd", content.clone(), &segments).write(&folder.path().join("r"));
    let target = disk.join("data");
    restore(&folder.path().join("r"), &target, "").done();
    let file = target.join("db/compressed.ibd");
    assert!(fs::read(&file).unwrap() == content, "the content is another");
    let taken = entry(&file).blocks.0 << 10;
    assert!(taken <= SIZE / 4 + (1 << 20), "{taken} of {SIZE} bytes are taken on the disk");
}
