use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn hidden(folder: &Path) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'))
        .count()
}

#[test]
fn an_object_appears_at_commit_and_an_abandoned_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::new(folder.path().join("a"));
    assert!(storage.create("c/id/x").err().unwrap().is_not_found());
    storage.claim("c/id").unwrap();
    let mut object = storage.create("c/id/x").unwrap();
    object.write_all(b"half").unwrap();
    assert_eq!(storage.objects("c/id").unwrap(), []);
    drop(object);
    assert_eq!(hidden(&folder.path().join("a/c/id")), 0);
    storage.put("c/id/x", b"whole").unwrap();
    storage.put("c/id/x", b"again").unwrap();
    let found = storage.objects("c/id").unwrap();
    assert_eq!((found.len(), found[0].name.as_str(), found[0].bytes), (1, "x", 5));
    assert_eq!(storage.read_small("c/id/x", 5).unwrap(), b"again");
    assert!(storage.read_small("c/id/x", 4).unwrap_err().to_string().contains("larger than 4"));
    let mode = fs::metadata(folder.path().join("a/c/id/x")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, FILE_MODE);
    storage.remove("c/id/x").unwrap();
    storage.remove("c/id/x").unwrap();
    assert!(storage.open("c/id/x").err().unwrap().is_not_found());
}

#[test]
fn what_is_not_committed_is_found_and_a_folder_goes_when_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::new(folder.path());
    storage.claim("c/id").unwrap();
    assert_eq!(storage.last_written("c/id").unwrap(), None);
    let mut object = storage.create("c/id/backup.tar").unwrap();
    object.write_all(b"half").unwrap();
    for other in [".tmp", "..1.2.tmp", ".x.1.tmp", ".x.1.b.tmp", "x.1.2.tmp", ".nfs0001", ".x.1..tmp"] {
        fs::write(folder.path().join("c/id").join(other), "").unwrap();
    }
    fs::create_dir(folder.path().join("c/id/.x.1.2.tmp")).unwrap();
    let found = storage.unfinished("c/id").unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].name.starts_with(".backup.tar."), found[0].bytes), (true, 4));
    assert!(storage.last_written("c/id").unwrap().is_some_and(|time| time >= found[0].modified));
    assert!(storage.remove_folder("c/id").unwrap_err().to_string().contains("cannot remove the folder"));
    assert_eq!(storage.unfinished_below("").unwrap(), None);
    storage.discard("c/id", &found[0]).unwrap();
    assert_eq!(storage.unfinished("c/id").unwrap(), []);
    assert_eq!(storage.unfinished("c/none").unwrap(), []);
    drop(object);
    storage.claim("c/empty").unwrap();
    storage.remove_folder("c/empty").unwrap();
    storage.remove_folder("c/empty").unwrap();
    assert_eq!(storage.folders("c").unwrap(), ["id"]);
}

#[test]
fn a_folder_is_claimed_once() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::new(folder.path().join("repository"));
    assert_eq!(storage.folders("").unwrap(), Vec::<String>::new());
    assert!(storage.claim("c/one").unwrap());
    assert!(!storage.claim("c/one").unwrap());
    assert!(storage.claim("c/two").unwrap());
    assert_eq!(storage.folders("c").unwrap(), ["one", "two"]);
}

#[test]
fn nothing_is_read_written_or_removed_through_a_link_and_no_pipe_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (folder.path().join("repository"), folder.path().join("other"));
    for place in [&root, &other, &root.join("c"), &root.join("c/id")] {
        fs::create_dir(place).unwrap();
    }
    fs::write(other.join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
    std::os::unix::fs::symlink(&other, root.join("c/link")).unwrap();
    std::os::unix::fs::symlink(other.join("secret"), root.join("c/id/status.json")).unwrap();
    nix::unistd::mkfifo(&root.join("c/id/hold.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let storage = LocalStorage::new(&root);
    // A link is seen, so that what lies behind it is refused by its name and not taken for absent.
    assert_eq!(storage.folders("").unwrap(), ["c", "link"]);
    assert_eq!(storage.folders("c").unwrap(), ["id", "link"]);
    for error in [storage.folders("link").err(), storage.read_small("c/link/secret", 10).err()] {
        let error = error.unwrap();
        assert!(
            !error.is_not_found() && error.to_string().contains("link': it is a symbolic link"),
            "{error}"
        );
    }
    assert_eq!(storage.objects("c/id").unwrap(), []);
    for name in ["link/secret", "c/link/secret", "c/id/status.json", "c/id/hold.json"] {
        assert!(storage.read_small(name, 10).is_err(), "{name}");
    }
    assert!(storage.put("c/link/new", b"x").is_err() && storage.put("link/new", b"x").is_err());
    assert!(storage.claim("c/link").is_err() && storage.claim("link/id").is_err());
    assert!(storage.remove("c/link/secret").is_err() && storage.remove("link/secret").is_err());
    assert!(storage.remove_folder("c/link").is_err() && storage.objects("c/link").is_err());
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    assert_eq!(fs::read(other.join("secret")).unwrap(), b"x");
}

#[test]
fn errors_name_the_thing_and_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let storage = LocalStorage::new(folder.path().join("file"));
    let error = storage.claim("c/id").unwrap_err().to_string();
    assert!(error.contains("/file") && error.contains("cannot create"), "{error}");
}
