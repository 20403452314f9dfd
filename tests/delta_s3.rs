//! `restore --delta` out of a bucket, and of encrypted backups: only what differs is fetched, in several requests at once, and what comes of it is what a
//! usual restore makes.

#[path = "storage/server.rs"]
mod server;
mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use server::{FileServer, KEY_ID, Line, SECRET};
use support::cli::forge::{Forge, ID};
use support::cli::tree::{Tree, assert_same, tree};
use support::cli::{Answer, Cli, cli, open_folder};
use support::scripted_mysqld::shell;
use support::{ScriptedMysqld, noise};

/// Of a bucket in the next region.
const ROUND_TRIP: Duration = Duration::from_millis(20);
const TABLE: &str = "db/large.MYD";
const BLOCK: u64 = 256 << 10;
/// Bytes of the table: blocks of a forged backup have 256 KiB.
const LARGE: u64 = 96 * BLOCK;

/// A command on the backups in a bucket.
fn in_bucket(server: &FileServer, line: &str) -> Cli {
    cli(&format!("{line} --repository s3://bucket/backups"))
        .env("WSREP_SST_BACKUP_S3_ENDPOINT", server.endpoint())
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Other bytes in each of these places of a file.
fn change(file: &Path, places: impl Iterator<Item = u64>) {
    let file = File::options().write(true).open(file).unwrap();
    for at in places {
        file.write_all_at(&[0x5a; 100], at).unwrap();
    }
}

/// Without the time at which the restore itself has written its own file.
fn still(root: &Path) -> Tree {
    let mut tree = tree(root);
    tree.get_mut(Path::new("grastate.dat")).expect("a position").mtime = (0, 0);
    tree
}

fn read_bytes(answer: &Answer) -> u64 {
    let told = answer.json();
    assert_eq!(told["delta"]["anew"]["files"], 0, "{told}");
    told["delta"]["read_bytes"].as_u64().unwrap()
}

#[test]
fn of_a_bucket_only_what_differs_is_fetched_and_several_ranges_at_once() {
    let folder = open_folder();
    let line = Line::of(ROUND_TRIP);
    let server = FileServer::behind(line.clone());
    let large = noise(usize::try_from(LARGE).unwrap(), 1);
    let backup = Forge::new(ID).file(TABLE, large).write(&server.bucket().join("backups"));
    let (wanted, node) = (folder.path().join("wanted"), folder.path().join("node"));
    in_bucket(&server, "restore latest").to(&wanted).run().done();
    copy(&wanted, &node);
    let archive = fs::metadata(backup.join("backup.tar.zst")).unwrap().len();

    // Each sixth block.
    change(&node.join(TABLE), (0..LARGE / BLOCK / 6).map(|number| number * 6 * BLOCK + BLOCK / 2));
    line.take();
    let answer = in_bucket(&server, "restore latest --delta --any-server --json").to(&node).run();
    let (requests, at_once) = line.take();
    let read = read_bytes(&answer);
    assert!(read < archive / 3, "{read} of {archive} bytes were read");
    assert!(at_once >= 3, "one after the other: {at_once}");
    // Sixteen blocks, once each; the rest is the manifest, the index, and opening.
    assert!((16..16 + 24).contains(&requests), "{requests} requests");
    assert_same(&still(&node), &still(&wanted));

    // One block is no work for several.
    change(&node.join(TABLE), std::iter::once(LARGE / 2));
    in_bucket(&server, "restore latest --delta --any-server --json").to(&node).run().done();
    let (fewer, _) = line.take();
    assert!(fewer + 8 < requests, "{fewer} requests");
    assert_same(&still(&node), &still(&wanted));
}

/// A server whose backups are encrypted, and the file of the key that opens them.
fn encrypted(folder: &Path) -> (ScriptedMysqld, PathBuf) {
    let public = shell(folder, "age-keygen -o key 2>/dev/null && age-keygen -y key");
    let server = ScriptedMysqld::new();
    let public = String::from_utf8(public).unwrap();
    server.configure("wsrep_sst_backup", &format!("encrypt-to={}\nmethod=freeze\n", public.trim()));
    server.write(TABLE, noise(20 << 20, 2));
    server.write("db/small.MYD", noise(1000, 3));
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    (server, folder.join("key"))
}

#[test]
fn encrypted_backups_are_compared_and_read_by_their_blocks_too() {
    let folder = open_folder();
    let (mysqld, key) = encrypted(folder.path());
    let bucket = FileServer::start();
    copy(&mysqld.repository(), &bucket.bucket().join("backups"));
    let (wanted, node) = (folder.path().join("wanted"), folder.path().join("node"));
    let with_key = |command: Cli, target: &Path| command.arg("--identity-file").arg(&key).to(target);
    let here = |line: &str| cli(line).on(&mysqld.repository());
    with_key(here("restore latest"), &wanted).run().done();
    let delta = "restore latest --delta --any-server --json";
    for is_in_bucket in [false, true] {
        copy(&wanted, &node);
        change(&node.join(TABLE), [100, 9 << 20, (20 << 20) - 100].into_iter());
        let command = if is_in_bucket { in_bucket(&bucket, delta) } else { here(delta) };
        // Without the key nothing is touched.
        let before = still(&node);
        let locked = command.to(&node).run();
        assert!(locked.status != Some(0) && locked.stderr.contains("is encrypted for"), "{}", locked.stderr);
        assert_same(&still(&node), &before);
        let command = if is_in_bucket { in_bucket(&bucket, delta) } else { here(delta) };
        let read = read_bytes(&with_key(command, &node).run());
        assert!(read > 0 && read < 18 << 20, "{read} bytes were read");
        assert_same(&still(&node), &still(&wanted));
    }
}
