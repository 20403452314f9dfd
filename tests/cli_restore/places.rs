//! Files from outside of the data directory: back to their place, or by `--map` to another one, and the paths to them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::restore;
use crate::support::ScriptedMysqld;
use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::open_folder;
use crate::support::cli::tree::{Tree, assert_same, paths, tree, without_blocks};

/// The folders beside the data directory, and what `--map` calls them.
const OUTSIDE: [(&str, &str); 8] = [
    ("home", "innodb_data_home_dir"),
    ("undo", "innodb_undo_directory"),
    ("redo", "innodb_log_group_home_dir"),
    ("aria", "aria_log_dir_path"),
    ("logs", "log_bin"),
    ("space", "data_directory"),
    ("myisam", "symlink"),
    ("bigdisk/linked", "symlink"),
];

/// A server with all kinds of external files, and its backup.
fn server() -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    for (from, to) in [
        ("ibdata1", "home/ibdata1"),
        ("undo001", "undo/undo001"),
        ("ib_logfile0", "redo/ib_logfile0"),
        ("aria_log_control", "aria/aria_log_control"),
        ("aria_log.00000001", "aria/aria_log.00000001"),
    ] {
        server.write_outside(to, fs::read(server.datadir().join(from)).unwrap());
        fs::remove_file(server.datadir().join(from)).unwrap();
    }
    let at = |name: &str| server.path(name).to_string_lossy().into_owned();
    server.configure(
        "mariadb",
        &format!(
            "innodb_data_home_dir={}\ninnodb_undo_directory={}\ninnodb_log_group_home_dir={}\naria_log_dir_path={}\n\
             log_bin={}",
            at("home"),
            at("undo"),
            at("redo"),
            at("aria"),
            at("logs/bin")
        ),
    );
    server.write_outside("logs/bin.000007", "events");
    server.write_outside("logs/bin.index", format!("{}\n", at("logs/bin.000007")));
    let far = server.write_outside("space/db/far.ibd", vec![0; 65536]);
    server.write("db/far.isl", far.to_str().unwrap());
    let table = server.write_outside("myisam/t.MYD", "rows");
    symlink(table, server.datadir().join("db/t.MYD")).unwrap();
    server.write_outside("bigdisk/linked/t.frm", "a table");
    symlink(server.path("bigdisk/linked"), server.datadir().join("linked")).unwrap();
    symlink("../ib_buffer_pool", server.datadir().join("db/inside")).unwrap();
    server.asks().options(&format!("--binlog '{}'", at("logs/bin"))).run().assert_backed_up(&server);
    server
}

/// Everything below this folder may go back to where it was.
fn back(folder: &Path) -> String {
    format!("--external {}", folder.display())
}

fn trees(server: &ScriptedMysqld) -> Vec<Tree> {
    OUTSIDE.iter().map(|(folder, _)| without_blocks(&tree(&server.path(folder)))).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|e| panic!("'{}': {e}", path.display()))
}

fn link(path: impl AsRef<Path>) -> PathBuf {
    fs::read_link(path).unwrap()
}

#[test]
fn external_files_go_back_to_where_they_were() {
    let server = server();
    let before = trees(&server);
    let target = server.path("new");
    // One is gone with all that was above it, one is there and empty, in one lies something of somebody else.
    for (folder, _) in OUTSIDE {
        fs::remove_dir_all(server.path(folder)).unwrap();
    }
    fs::remove_dir(server.path("bigdisk")).unwrap();
    fs::create_dir(server.path("undo")).unwrap();
    fs::set_permissions(server.path("undo"), fs::Permissions::from_mode(0o711)).unwrap();
    let foreign = server.write_outside("aria/foreign.txt", "of somebody else");
    chown(server.path("aria"), Some(4711), Some(4712)).unwrap();
    let aria = tree(&server.path(""))[Path::new("aria")].clone();

    let answer = restore(&server.repository(), &target, &back(&server.path("")));
    for (folder, _) in OUTSIDE {
        let note = format!(
            "\nNote: Files outside the data directory were restored to '{}'.\n",
            server.path(folder).display()
        );
        assert!(answer.done().contains(&note), "{folder}: {}", answer.stdout);
    }
    assert_eq!(read(&foreign), "of somebody else");
    let after = tree(&server.path(""));
    let now = &after[Path::new("aria")];
    assert_eq!((now.mode, now.owner), (aria.mode, aria.owner), "a directory that is in use stays as it is");
    assert_eq!(after[Path::new("undo")].mode, 0o711);
    fs::remove_file(foreign).unwrap();
    for (found, wanted) in trees(&server).iter().zip(&before) {
        assert_same(found, wanted);
    }
    let at = |name: &str| server.path(name).to_string_lossy().into_owned();
    assert_eq!(read(target.join("db/far.isl")), at("space/db/far.ibd"));
    assert_eq!(read(server.path("logs/bin.index")), format!("{}\n", at("logs/bin.000007")));
    assert_eq!(link(target.join("db/t.MYD")), server.path("myisam/t.MYD"));
    assert_eq!(link(target.join("linked")), server.path("bigdisk/linked"));
    assert_eq!(link(target.join("db/inside")), Path::new("../ib_buffer_pool"));
    assert!(!target.join("ibdata1").exists() && !target.join(".wsrep_sst_backup").exists());
}

#[test]
fn each_variable_can_be_mapped_to_another_place() {
    let server = server();
    let before = trees(&server);
    let target = server.path("deeper/new");
    fs::create_dir(server.path("deeper")).unwrap();
    let mut maps = String::new();
    for (folder, variable) in &OUTSIDE[..7] {
        // Dashes are underscores, as everywhere in MariaDB.
        let variable = variable.replace('_', "-");
        maps.push_str(&format!(" --map {variable}={}/", server.path(&format!("new-{folder}")).display()));
    }
    let answer = restore(&server.repository(), &target, &maps);
    answer.done();
    // The two directories behind links keep their own paths below the new one.
    let below = |folder: &str| {
        let whole = server.path(folder);
        server.path("new-myisam").join(whole.strip_prefix("/").unwrap())
    };
    let place = |folder: &str| match folder {
        "myisam" | "bigdisk/linked" => below(folder),
        _ => server.path(&format!("new-{folder}")),
    };
    for ((folder, _), wanted) in OUTSIDE.iter().zip(&before) {
        let mut found = without_blocks(&tree(&place(folder)));
        if *folder == "logs" {
            // Its text is another one, and so are size and time.
            let index = Path::new("bin.index");
            found.insert(index.to_owned(), wanted[index].clone());
        }
        assert_same(&found, wanted);
    }
    assert_eq!(read(target.join("db/far.isl")), place("space").join("db/far.ibd").to_string_lossy());
    let log = place("logs").join("bin.000007");
    assert_eq!(read(place("logs").join("bin.index")), format!("{}\n", log.display()));
    assert_eq!(link(target.join("db/t.MYD")), below("myisam").join("t.MYD"));
    assert_eq!(link(target.join("linked")), below("bigdisk/linked"));
    assert_eq!(read(target.join("linked/t.frm")), "a table");
    assert_eq!(link(target.join("db/inside")), Path::new("../ib_buffer_pool"));
    for (found, wanted) in trees(&server).iter().zip(&before) {
        assert_same(found, wanted);
    }
}

#[test]
fn a_map_must_fit_the_backup() {
    let server = server();
    let target = server.path("new");
    let known = "aria_log_dir_path, data_directory, innodb_data_home_dir, innodb_log_group_home_dir, \
                 innodb_undo_directory, log_bin, symlink";
    restore(&server.repository(), &target, "--map innodb_undo_dir=/x")
        .fails(2, &format!("--map innodb_undo_dir: the backup holds {known}"));
    let folder = open_folder();
    Forge::new(ID).write(&folder.path().join("r"));
    restore(&folder.path().join("r"), &target, "--map symlink=/x")
        .fails(2, "--map symlink: the backup holds nothing outside its data directory");
    assert!(!target.exists());
}

#[test]
fn two_files_never_get_the_same_place() {
    let folder = open_folder();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    Forge::new(ID)
        .external("innodb_undo_directory", &a, &a.join("undo002"), "a")
        .external("aria_log_dir_path", &b, &b.join("undo002"), "b")
        .write(&folder.path().join("r"));
    let target = folder.path().join("data");
    let x = folder.path().join("x").display().to_string();
    let maps = format!("--map innodb_undo_directory={x} --map aria_log_dir_path={x}");
    restore(&folder.path().join("r"), &target, &maps).fails_with(
        2,
        &format!("would both be written to '{x}/undo002'; give them different places with --map"),
    );
    let inside = target.display();
    let answer = restore(
        &folder.path().join("r"),
        &target,
        &format!("--map innodb_undo_directory={inside}/db --map aria_log_dir_path={inside}/db"),
    );
    answer.fails_with(2, &format!("would both be written to '{inside}/db/undo002'"));
    assert!(!target.exists() && !folder.path().join("x").exists());
    // Below the data directory there is room for one of them. The last --map of a variable counts.
    let maps = format!(
        "--map aria_log_dir_path={x}/1 --map aria_log_dir_path={x}/2 --map innodb_undo_directory={inside}/db"
    );
    restore(&folder.path().join("r"), &target, &maps).done();
    assert_eq!(
        (read(target.join("db/undo002")), read(folder.path().join("x/2/undo002"))),
        ("a".into(), "b".into())
    );
    assert_eq!(paths(&tree(&folder.path().join("x"))), ["2", "2/undo002"]);
}

#[test]
fn relative_paths_lead_to_the_same_place_from_a_new_directory() {
    let folder = open_folder();
    let outside = folder.path().join("myisam/t.MYD");
    fs::create_dir_all(outside.parent().unwrap()).unwrap();
    fs::write(&outside, "rows").unwrap();
    let old = folder.path().join("old").display().to_string();
    Forge::new(ID)
        .manifest(|manifest| manifest["server"]["datadir"] = old.into())
        .link("db/u.MYD", "../../myisam/t.MYD")
        .link("db/v.MYD", "../undo001")
        .generated("bin.index", "../logs/bin.000001\n./bin.000002\n")
        .write(&folder.path().join("r"));
    fs::create_dir(folder.path().join("deep")).unwrap();
    let log = folder.path().join("logs/bin.000001").display().to_string();
    for (target, link_text, index) in [
        ("new", "../../myisam/t.MYD".into(), "../logs/bin.000001\n./bin.000002\n".to_owned()),
        ("deep/new", outside.clone(), format!("{log}\n./bin.000002\n")),
    ] {
        let target = folder.path().join(target);
        let more = format!("--as standalone {}", back(folder.path()));
        restore(&folder.path().join("r"), &target, &more).done();
        assert_eq!(
            (link(target.join("db/u.MYD")), read(target.join("db/u.MYD"))),
            (link_text, "rows".to_owned())
        );
        assert_eq!(link(target.join("db/v.MYD")), Path::new("../undo001"));
        assert_eq!(read(target.join("bin.index")), index);
    }
}

#[test]
fn what_two_links_share_is_restored_once() {
    let server = ScriptedMysqld::new();
    let table = server.write_outside("shared/d/t.ibd", vec![0; 65536]);
    symlink(server.path("shared/d"), server.datadir().join("one")).unwrap();
    symlink(server.path("shared/d"), server.datadir().join("two")).unwrap();
    server.write("db/far.isl", table.to_str().unwrap());
    symlink(&table, server.datadir().join("db/u.MYD")).unwrap();
    // Of a directory that is stored because a link leads to one of its files, everything is stored where another link
    // leads to it, whichever is found first.
    server.write_outside("shared/d/v.ibd", "more");
    symlink(&table, server.datadir().join("a.MYD")).unwrap();
    symlink(&table, server.datadir().join("zz.MYD")).unwrap();
    server.asks().run().assert_backed_up(&server);
    fs::remove_dir_all(server.path("shared")).unwrap();
    let target = server.path("new");
    restore(&server.repository(), &target, &back(&server.path("shared"))).done();
    assert_eq!(read(server.path("shared/d/v.ibd")), "more");
    for path in ["one/t.ibd", "two/t.ibd", "db/u.MYD"] {
        assert_eq!(fs::read(target.join(path)).unwrap(), vec![0; 65536], "{path}");
    }
}
