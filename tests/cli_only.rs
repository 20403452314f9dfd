//! `restore --only`: some tables out of a backup, wherever their files lay, and nothing else.

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use support::cli::forge::{Forge, ID};
use support::cli::{Cli, cli, open_folder};
use support::noise;
use support::scratch::ServerUser;
use support::scripted_mysqld::shell;

/// So much noise in a file that it has blocks of its own.
const LARGE: usize = 9 << 20;

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
        .file("shop/big.ibd", noise(LARGE, 1))
        .file("shop/orders.frm", "orders")
        .file("shop/orders.ibd", noise(LARGE, 2))
        .file("shop/orders_old.frm", "old")
        .file("shop/parts#P#p0.ibd", "p0")
        .file("shop/parts#P#p1.ibd", "p1")
        .file("shop/parts.par", "par")
        .file("shop/odd@002dname.ibd", "odd")
        .file("shop/caf@0i.MYD", "caf")
        .file("shop/caf@0p.MYD", "café")
        .file("shop/view.frm", "TYPE=VIEW")
        .file("shop/there.isl", "/far/shop/there.ibd")
        .file("shop/#sql-1_2.ibd", "left over")
        .file("shop/notes.sql", "no table")
        .file("shop/counts.TRN", "TYPE=TRIGGERNAME\ntrigger_table=trg-1\n")
        .file("shop/FTS_0000000000000014_CONFIG.ibd", "words")
        .file("shop/trg@002d1.frm", "trg")
        .file("shop/trg@002d1.TRG", "TYPE=TRIGGERS")
        .file("shop/other.TRN", "TYPE=TRIGGERNAME\ntrigger_table=orders\n")
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
        (&["shop.trg-1"], &["shop/counts.TRN", "shop/trg@002d1.TRG", "shop/trg@002d1.frm"]),
        (&["shop.café"], &["shop/caf@0p.MYD"]),
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
    assert_eq!(fs::read(target.join("shop/orders.ibd")).unwrap(), noise(LARGE, 2));
    assert_eq!(found(&target).len(), 17, "{:?}", found(&target));
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

/// Who cannot give files away keeps them, and is told so by both.
#[test]
#[ignore = "needs root"]
fn that_the_files_keep_their_new_owner_is_told() {
    let (folder, _) = repository();
    let (place, user) = (open_folder(), ServerUser::current());
    user.own(place.path());
    let ask = |name: &str| {
        only(folder.path(), &place.path().join(name), &["shop.orders"]).user(&user, folder.path())
    };
    let told = "The files belong to you, not to '0'.";
    let text = ask("text").run();
    assert!(text.done().contains(&format!("\nNote: {told}\n")), "{}", text.stdout);
    let json = ask("json").arg("--json").run().json();
    let has_note = |json: &serde_json::Value| json["notes"].as_array().unwrap().contains(&told.into());
    assert!(json["owner_kept"] == "0" && has_note(&json), "{json}");
    let own = only(folder.path(), &place.path().join("own"), &["shop.orders"]).arg("--json").run().json();
    assert!(own["owner_kept"].is_null() && !has_note(&own), "{own}");
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
    assert_eq!(fs::read(target.join("shop/orders.ibd")).unwrap(), noise(LARGE, 2));
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
        [
            "SHA256SUMS.txt",
            "ibdata1",
            "mysql/user.frm",
            "shop/FTS_0000000000000014_CONFIG.ibd",
            "shop/db.opt",
            "shop/orders.frm",
            "shop/orders.ibd",
            "wsrep_sst_backup.cnf"
        ]
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
        ("Shop.orders", "there is 'shop.orders': capital letters count"),
        ("shop.counts", "it is the name of a trigger, and triggers come with their table"),
        ("shop.notes", "holds no file of such a table"),
        ("shop.FTS_*", "holds no file of such a table"),
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

/// A server whose files lie in many places, some of them with names that files in its data directory have too.
fn scattered() -> (tempfile::TempDir, PathBuf) {
    let folder = open_folder();
    let at = |path: &'static str| Path::new(path);
    let backup = Forge::empty(ID)
        .file("aria_log_control", "left over from before aria_log_dir_path was set")
        .file("multi-master.info", "a replica")
        .file("relay-bin.000001", "a relay log")
        .file("ib_buffer_pool", "pages")
        .directory("mysql")
        .file("mysql/user.frm", "user")
        .directory("undo")
        .file("undo/undo001", "an undo tablespace")
        .directory("shop")
        .file("shop/db.opt", "default-character-set=utf8mb4\n")
        .file("shop/FTS_0000000000000014_CONFIG.ibd", "words")
        .file("shop/far.frm", "far")
        .file("shop/far.isl", "/far/shop/far.ibd")
        .file("shop/joined.frm", "joined")
        .file("shop/joined.MRG", "part\n./other/part\n#INSERT_METHOD=LAST\n")
        .file("shop/old.frm", "\u{1}\u{10}\u{7}\0ARCHIVE\0")
        .file("shop/old.ARZ", "old")
        .file("shop/part.MYD", "part")
        .file("shop/seen.frm", "TYPE=VIEW\nquery=select `shop`.`far`.`id` AS `id` from `shop`.`far`\n")
        .directory("other")
        .file("other/FTS_0000000000000015_CONFIG.ibd", "words")
        .file("other/part.MYD", "part of other")
        .generated("binlog.index", "/logs/binlog.000007\n")
        .external("innodb_data_home_dir", at("/one"), at("/one/ibdata1"), vec![0; 12 << 20])
        .with(|member| member.system_tablespace = true)
        .external("innodb_data_home_dir", at("/two"), at("/two/ibdata1"), vec![0; 3 << 20])
        .with(|member| member.system_tablespace = true)
        .external("innodb_log_group_home_dir", at("/redo"), at("/redo/ib_logfile0"), "redo")
        .external("aria_log_dir_path", at("/aria"), at("/aria/aria_log_control"), "in use")
        .external("log_bin", at("/logs"), at("/logs/binlog.000007"), "events")
        .external("data_directory", at("/far"), at("/far/shop/far.ibd"), "far")
        .write(folder.path());
    (folder, backup)
}

#[test]
fn a_server_with_some_tables_lies_inside_the_target_wherever_the_donor_had_its_files() {
    let (folder, _) = scattered();
    let place = open_folder();
    let target = place.path().join("data #1");
    let answer = only(folder.path(), &target, &["shop.far"]).arg("--as").arg("standalone").run();
    let said = answer.done();
    let left = found(&target);
    let second = left.iter().find(|file| file.ends_with("-ibdata1")).unwrap();
    let common = ["aria_log_control", "ib_buffer_pool", "ib_logfile0", "ibdata1", "mysql/user.frm"];
    let of_table = ["shop/FTS_0000000000000014_CONFIG.ibd", "shop/db.opt", "shop/far.frm", "shop/far.ibd"];
    let mut wanted = [&common[..], &of_table, &["undo001", "wsrep_sst_backup.cnf", second]].concat();
    wanted.sort_unstable();
    let mut left: Vec<&str> = left.iter().map(String::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, wanted);
    assert_eq!(fs::read_to_string(target.join("aria_log_control")).unwrap(), "in use");
    assert_eq!(fs::metadata(target.join("ibdata1")).unwrap().len(), 12 << 20);
    let options = fs::read_to_string(target.join("wsrep_sst_backup.cnf")).unwrap();
    for line in [
        format!("datadir = \"{}\"", target.display()),
        format!("socket = \"{}/socket\"", target.display()),
        "skip_slave_start".into(),
        format!("innodb_data_file_path = ibdata1:12M;{second}:3M:autoextend"),
    ] {
        assert!(options.lines().any(|found| found == line), "{line}: {options}");
        assert!(said.contains(&line), "{line}: {said}");
    }
    for text in ["--defaults-file='", "1 files with 1 MiB", "shop.far had files outside the data directory"] {
        assert!(said.contains(text), "{text}: {said}");
    }
    for place in ["/one", "/two", "/redo", "/aria", "/logs", "/far"] {
        assert!(!Path::new(place).exists(), "{place} was made");
    }
}

#[test]
fn what_a_table_cannot_do_without_comes_along_or_is_named() {
    let (folder, _) = scattered();
    let place = open_folder();
    let target = place.path().join("data");
    let patterns = ["shop.joined", "shop.old", "shop.seen"];
    let answer = only(folder.path(), &target, &patterns).arg("--as").arg("standalone").run();
    let said = answer.done();
    for file in ["shop/joined.MRG", "shop/part.MYD", "other/part.MYD", "shop/old.ARZ", "shop/seen.frm"] {
        assert!(target.join(file).exists(), "{file}");
    }
    assert!(!target.join("shop/far.frm").exists());
    for text in [
        "shop.joined is a MERGE table: its rows are those of shop.part, other.part, which come along.",
        "shop.seen is a view: a definition without rows. It reads shop.far, and mariadb-dump wants",
        "plugin_load_add = ha_archive",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let files = only(folder.path(), &place.path().join("files"), &["shop.far"]).run();
    assert!(files.done().contains("The files of FULLTEXT indexes (FTS_…) are left out"), "{}", files.stdout);
    assert!(
        files.stdout.contains("primary key alone") && files.stdout.contains("error 1815"),
        "{}",
        files.stdout
    );
}

#[test]
fn a_damaged_trigger_of_another_table_is_no_reason_to_refuse() {
    let folder = open_folder();
    let backup = Forge::empty(ID)
        .system("ibdata1", vec![0; 16 << 10])
        .directory("shop")
        .file("shop/a.TRG", "TYPE=TRIGGERS")
        .file("shop/a.frm", "a")
        .file("shop/big.ibd", noise(LARGE, 3))
        .file("shop/z.TRN", "TYPE=TRIGGERNAME\ntrigger_table=z\n")
        .file("shop/zz.ibd", noise(LARGE, 4))
        .write(folder.path());
    let archive = fs::OpenOptions::new().write(true).open(backup.join("backup.tar.zst")).unwrap();
    let place = open_folder();
    // The block of z.TRN lies somewhere there, and the tables' own definitions do not.
    for at in (8 << 20..10 << 20).step_by(64 << 10) {
        archive.write_at(&[0xff; 64], at).unwrap();
    }
    let answer = only(folder.path(), &place.path().join("tables"), &["shop.a"]).run();
    assert!(answer.done().contains("'shop/z.TRN' cannot be read, so it is left out"), "{}", answer.stdout);
    assert_eq!(found(&place.path().join("tables")), ["shop/a.TRG", "shop/a.frm"]);
}
