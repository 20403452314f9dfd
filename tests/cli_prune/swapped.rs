//! A folder that is swapped for a link while a removal in it is on its way.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Instant;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use std::process::{Command, Stdio};

use super::*;

#[test]
#[ignore = "needs strace"]
fn a_folder_that_becomes_a_link_between_look_and_removal_leads_nowhere() {
    let ids: Vec<String> = [5, 0].map(ago).into();
    let folder = repository(&ids);
    let (ours, link) = (folder.path().join("c").join(&ids[0]), folder.path().join("c/link"));
    // The same names elsewhere.
    let outside = open_folder();
    for entry in fs::read_dir(&ours).unwrap().map(|entry| entry.unwrap().file_name()) {
        fs::write(outside.path().join(entry), "SECRET").unwrap();
    }
    symlink(outside.path(), &link).unwrap();
    let before = tree(outside.path());

    // Each removal waits where it enters the system, with whatever path it has been given.
    let asked = cli("prune --keep-last 1").on(folder.path()).command();
    let mut prune = Command::new("strace")
        .args(["-f", "-q", "-o", "/dev/null", "-e", "trace=unlink,unlinkat"])
        .args(["-e", "inject=unlink,unlinkat:delay_enter=500ms"])
        .arg(asked.get_program())
        .args(asked.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The manifest goes first: the next removal has been looked at, or will be.
    let start = Instant::now();
    while ours.join("manifest.json").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is removed");
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(100));
    renameat2(AT_FDCWD, &ours, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
    let mut said = String::new();
    prune.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let status = prune.wait().unwrap();
    assert_same(&tree(outside.path()), &before);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("is a symbolic link, and nothing in a repository is one"), "{said}");
}
