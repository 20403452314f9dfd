//! `restore --only`: some tables out of a backup, wherever their files lay, and nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests report by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use support::cli::forge::{Forge, ID};
use support::cli::{Cli, cli, open_folder};
use support::scripted_mysqld::shell;

/// So much noise in a file that it has blocks of its own.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[1]
    };
    (0..9 << 20).map(next).collect()
}

/// Two databases, one of them behind a link, with tables in every place that a table can have.
fn repository() -> (tempfile::TempDir, PathBuf) {
    let folder = open_folder();
    let far = Path::new("/far");
    let backup = Forge::empty(ID)
        .system("ibdata1", vec![0; 16 << 10])
        .directory("mysql")
        .file("mysql/user.frm", "user")
        .directory("shop")
        .file("shop/db.opt", "default-character-set=utf8mb4\n")
        .file("shop/big.ibd", noise(1))
        .file("shop/orders.frm", "orders")
        .file("shop/orders.ibd", noise(2))
        .file("shop/orders_old.frm", "old")
        .file("shop/parts#P#p0.ibd", "p0")
        .file("shop/parts#P#p1.ibd", "p1")
        .file("shop/parts.par", "par")
        .file("shop/odd@002dname.ibd", "odd")
        .file("shop/caf@0i.MYD", "caf")
        .file("shop/view.frm", "TYPE=VIEW")
        .file("shop/there.isl", "/far/shop/there.ibd")
        .file("shop/#sql-1_2.ibd", "left over")
        .link("shop/linked.MYD", "/far/x/linked.MYD")
        .link("elsewhere", "/far/folder")
        .directory("empty")
        .file("SHA256SUMS.txt", "no table")
        .external("data_directory", far, &far.join("shop/there.ibd"), "there")
        .external("symlink", &far.join("x"), &far.join("x/linked.MYD"), "linked")
        .external("symlink", &far.join("folder"), &far.join("folder/t.MYD"), "t")
        .write(folder.path());
    (folder, backup)
}

fn only(repository: &Path, target: &Path, patterns: &[&str]) -> Cli {
    patterns
        .iter()
        .fold(cli("restore latest").on(repository).to(target), |cli, pattern| cli.arg("--only").arg(pattern))
}

/// What is in a directory, below it.
fn found(target: &Path) -> Vec<String> {
    let list = String::from_utf8(shell(target, "find . ! -type d -printf '%P\\n' | sort")).unwrap();
    list.lines().map(str::to_owned).collect()
}

#[test]
fn the_files_of_a_table_come_wherever_they_lay() {
    let (folder, _) = repository();
    for (number, (patterns, files)) in [
        (&["shop.orders"][..], &["shop/orders.frm", "shop/orders.ibd"][..]),
        (&["`shop`.`parts`"], &["shop/parts#P#p0.ibd", "shop/parts#P#p1.ibd", "shop/parts.par"]),
        (&["shop.odd-name", "shop.caf@0i"], &["shop/caf@0i.MYD", "shop/odd@002dname.ibd"]),
        (&["shop.there"], &["shop/there.ibd"]),
        (&["shop.linked"], &["shop/linked.MYD"]),
        (&["elsewhere.*"], &["elsewhere/t.MYD"]),
        (&["*.orders*"], &["shop/orders.frm", "shop/orders.ibd", "shop/orders_old.frm"]),
    ]
    .into_iter()
    .enumerate()
    {
        let place = open_folder();
        let target = place.path().join(format!("tables{number}"));
        only(folder.path(), &target, patterns).run().done();
        let mut left: Vec<String> = found(&target);
        left.retain(|file| !file.ends_with("db.opt"));
        assert_eq!(left, files, "{patterns:?}");
        let has_options = target.join("shop/db.opt").exists();
        assert_eq!(has_options, files[0].starts_with("shop/"), "{patterns:?}");
    }
    let place = open_folder();
    let target = place.path().join("tables");
    let answer = only(folder.path(), &target, &["shop.*"]).run();
    assert_eq!(fs::read(target.join("shop/orders.ibd")).unwrap(), noise(2));
    assert_eq!(found(&target).len(), 13, "{:?}", found(&target));
    for text in [
        "Extracted from backup 20261120T113452Z_n1 to ",
        "  shop.orders: shop/orders.frm shop/orders.ibd\n",
        "Note: shop.view has no file of its own for rows",
        "--as standalone",
    ] {
        assert!(answer.done().contains(text), "{text}: {}", answer.stdout);
    }
    assert!(!answer.stdout.contains("Note: shop.orders has"), "{}", answer.stdout);
    let json = only(folder.path(), &place.path().join("again"), &["shop.orders"]).arg("--json").run().json();
    assert_eq!(json["tables"]["shop.orders"], serde_json::json!(["shop/orders.frm", "shop/orders.ibd"]));
}

#[test]
fn only_the_blocks_of_the_table_are_read() {
    let (folder, backup) = repository();
    let archive = fs::OpenOptions::new().write(true).open(backup.join("backup.tar.zst")).unwrap();
    // Damage in another table, which a restore of everything finds.
    archive.write_at(&[0xff; 64], 4 << 20).unwrap();
    let place = open_folder();
    let target = place.path().join("tables");
    only(folder.path(), &target, &["shop.big"]).run().fails_with(4, "shop/big.ibd");
    assert!(!target.exists(), "what was extracted is removed");
    only(folder.path(), &target, &["shop.orders"]).run().done();
    assert_eq!(fs::read(target.join("shop/orders.ibd")).unwrap(), noise(2));
}

#[test]
fn a_server_with_no_other_tables_can_be_had() {
    let (folder, _) = repository();
    let place = open_folder();
    let target = place.path().join("data");
    let answer = only(folder.path(), &target, &["shop.orders"]).arg("--as").arg("standalone").run();
    assert!(answer.done().contains("Restored backup "), "{}", answer.stdout);
    assert_eq!(
        found(&target),
        ["SHA256SUMS.txt", "ibdata1", "mysql/user.frm", "shop/db.opt", "shop/orders.frm", "shop/orders.ibd"]
    );
    assert!(!target.join("empty").exists() && !target.join("elsewhere").exists());
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_touched() {
    let (folder, _) = repository();
    let place = open_folder();
    let target = place.path().join("tables");
    for (pattern, what) in [
        ("shop.none", "--only 'shop.none': backup '20261120T113452Z_n1' holds no file of such a table"),
        ("empty.*", "--only 'empty.*': backup"),
        ("orders", "--only 'orders': it has the form DATABASE.TABLE"),
        ("shop.", "it has the form DATABASE.TABLE"),
        ("shop/orders.ibd", "names of a database and a table are wanted"),
    ] {
        only(folder.path(), &target, &["shop.orders", pattern]).run().fails_with(2, what);
        assert!(!target.exists(), "{pattern}");
    }
    for purpose in ["node", "cluster", "replica"] {
        let started = only(folder.path(), &target, &["shop.orders"]).arg("--as").arg(purpose);
        started.run().fails_with(2, "--only goes with '--as standalone'");
    }
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), "x").unwrap();
    only(folder.path(), &target, &["shop.orders"]).run().fails_with(1, "is not empty");
    assert_eq!(found(&target), ["precious"]);
}
