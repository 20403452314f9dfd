//! Links in every constellation: each file once, none forgotten.

use std::os::unix::fs::symlink;

use super::*;
use crate::capture::demand::Demands;
use crate::capture::facts::Facts;
use crate::sql::testing::{Wire, server, session};

/// A data directory `data` beside `far`, both with these files.
fn tree(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    for file in [&["data/ibdata1", "far/x"][..], files].concat() {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    (folder, root)
}

fn layout(root: &Path) -> ServerLayout {
    let mut layout = ServerLayout::bare(root.join("data"));
    layout.system_tablespaces = vec![root.join("data/ibdata1")];
    layout
}

fn list(root: &Path) -> FileList {
    list_files(&layout(root), &ListOptions { try_reading: true, ..ListOptions::default() }).unwrap()
}

/// Files by where they are, below `root`, in order; panics where a member path comes twice.
fn files(root: &Path, list: &FileList) -> Vec<String> {
    let paths: BTreeSet<&ArchivePath> = list.entries.iter().map(|entry| &entry.path).collect();
    assert_eq!(paths.len(), list.entries.len(), "{:?}", list.entries);
    let mut found: Vec<String> = list
        .entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File(_)))
        .map(|entry| entry.belongs(&root.join("data")).strip_prefix(root).unwrap().display().to_string())
        .collect();
    found.sort();
    found
}

#[test]
fn a_link_to_one_file_does_not_stand_for_the_linked_database_around_it() {
    let (_folder, root) = tree(&["far/extra/x.MYD", "far/extra/y.MYD", "data/other/db.opt"]);
    symlink(root.join("far/extra"), root.join("data/extra")).unwrap();
    symlink(root.join("far/extra/x.MYD"), root.join("data/other/x.MYD")).unwrap();
    let list = list(&root);
    assert_eq!(
        files(&root, &list),
        ["data/ibdata1", "data/other/db.opt", "far/extra/x.MYD", "far/extra/y.MYD"]
    );
}

#[test]
fn a_file_that_several_links_lead_to_is_stored_once() {
    let (_folder, root) = tree(&["far/extra/t.ibd", "far/extra/m.MYD", "far/t/u.MYD"]);
    symlink(root.join("far/extra"), root.join("data/extra")).unwrap();
    symlink(root.join("far/extra"), root.join("data/again")).unwrap();
    fs::write(root.join("far/extra/t.isl"), root.join("far/extra/t.ibd").to_str().unwrap()).unwrap();
    symlink(root.join("far/extra/m.MYD"), root.join("far/extra/linked.MYD")).unwrap();
    symlink(root.join("far/t/u.MYD"), root.join("data/one.MYD")).unwrap();
    symlink(root.join("far/t/u.MYD"), root.join("data/two.MYD")).unwrap();
    let list = list(&root);
    assert_eq!(
        files(&root, &list),
        ["data/ibdata1", "far/extra/m.MYD", "far/extra/t.ibd", "far/extra/t.isl", "far/t/u.MYD"]
    );
}

#[test]
fn directories_inside_each_other_are_walked_whole_and_once() {
    let (_folder, root) = tree(&["far/a/b/deep.MYD", "far/a/flat.MYD"]);
    symlink(root.join("far/a/b"), root.join("data/inner")).unwrap();
    symlink(root.join("far/a"), root.join("data/outer")).unwrap();
    assert_eq!(files(&root, &list(&root)), ["data/ibdata1", "far/a/b/deep.MYD", "far/a/flat.MYD"]);
}

#[test]
fn a_circle_of_links_ends() {
    let (_folder, root) = tree(&["far/a/t.MYD"]);
    symlink(root.join("far/a"), root.join("data/a")).unwrap();
    symlink(root.join("far/a"), root.join("far/a/self")).unwrap();
    symlink(root.join("data"), root.join("far/a/home")).unwrap();
    assert_eq!(files(&root, &list(&root)), ["data/ibdata1", "far/a/t.MYD"]);
}

#[test]
fn a_chain_of_links_is_stored_as_one() {
    let (_folder, root) = tree(&["far/real/t.MYD"]);
    symlink(root.join("far/real/t.MYD"), root.join("far/between")).unwrap();
    symlink(root.join("far/between"), root.join("data/t.MYD")).unwrap();
    let list = list(&root);
    assert_eq!(files(&root, &list), ["data/ibdata1", "far/real/t.MYD"]);
    let link = list.entries.iter().find(|entry| entry.path == ArchivePath::new("t.MYD")).unwrap();
    assert_eq!(link.kind, EntryKind::Symlink(root.join("far/real/t.MYD").into()));
}

/// Names of what is objected to, below the data directory.
fn objections(root: &Path, list: &FileList) -> Vec<String> {
    let below = |path: &Path| path.strip_prefix(root.join("data")).unwrap_or(path).display().to_string();
    let mut names: Vec<String> = list.objections.iter().map(|objection| below(&objection.path)).collect();
    names.sort();
    names
}

#[test]
fn a_link_of_the_server_that_leads_nowhere_is_refused_and_others_are_kept_and_named() {
    let (_folder, root) = tree(&["data/db/w.frm"]);
    for name in ["db/t.MYD", "database", "notes.txt"] {
        symlink("/nowhere/x", root.join("data").join(name)).unwrap();
    }
    symlink("circle", root.join("data/circle")).unwrap();
    for name in ["db/u.isl", "db/w#P#p0.isl"] {
        fs::write(root.join("data").join(name), "/nowhere/u.ibd").unwrap();
    }
    let list = list(&root);
    assert_eq!(objections(&root, &list), ["circle", "database", "db/t.MYD", "db/w#P#p0.isl"]);
    // No table has the other .isl file.
    assert_eq!(list.warnings.len(), 2, "{:?}", list.warnings);
    assert!(list.entries.iter().any(|entry| entry.path == ArchivePath::new("notes.txt")));
}

#[test]
fn what_links_lead_to_is_in_the_list_or_refused() {
    let ours = "data/.wsrep_sst_backup";
    let (_folder, root) = tree(&[
        "data/db/in.frm",
        &format!("{ours}/data_directory/db/in.ibd"),
        &format!("{ours}/symlink/far/t.MYD"),
        "data/db/t.ibd",
    ]);
    fs::write(
        root.join("data/db/in.isl"),
        root.join(ours).join("data_directory/db/in.ibd").to_str().unwrap(),
    )
    .unwrap();
    symlink(root.join(ours).join("symlink/far"), root.join("data/far")).unwrap();
    symlink("t.ibd", root.join("data/db/same.ibd")).unwrap();
    let list = list(&root);
    let unlisted = [".wsrep_sst_backup/data_directory/db/in.ibd", ".wsrep_sst_backup/symlink/far"];
    assert_eq!(objections(&root, &list), unlisted);
    assert!(list.objections[0].text.contains("after an unpacking by hand"), "{:?}", list.objections);
}

#[test]
fn a_system_tablespace_behind_a_link_is_the_file_and_not_the_link() {
    for inside in [false, true] {
        let (_folder, root) = tree(&[]);
        let real = root.join(if inside { "data/real" } else { "far/real" });
        fs::rename(root.join("data/ibdata1"), &real).unwrap();
        symlink(&real, root.join("data/ibdata1")).unwrap();
        let list = list(&root);
        assert_eq!(list.objections, []);
        let marked: Vec<&Entry> = list.entries.iter().filter(|entry| entry.system_tablespace).collect();
        assert_eq!(marked.len(), 1, "{marked:?}");
        assert_eq!(marked[0].belongs(&root.join("data")), real);
        assert_eq!(marked[0].class, FileClass::Data);
    }
    let (_folder, root) = tree(&[]);
    fs::remove_file(root.join("data/ibdata1")).unwrap();
    assert_eq!(objections(&root, &list(&root)), ["ibdata1"]);
}

#[test]
fn what_is_no_file_is_refused_under_the_name_of_a_table_only() {
    use nix::sys::stat::Mode;
    let (_folder, root) = tree(&["data/db/t.frm"]);
    for name in ["db/t.MYD", "db/pipe"] {
        nix::unistd::mkfifo(&root.join("data").join(name), Mode::S_IRWXU).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(root.join("data/db/socket")).unwrap();
    symlink("/dev/null", root.join("data/db/u.MYD")).unwrap();
    let list = list(&root);
    assert_eq!(objections(&root, &list), ["db/t.MYD", "db/u.MYD"]);
    assert_eq!(list.warnings.len(), 1, "{:?}", list.warnings);
    assert!(list.warnings[0].contains("db/pipe' is a pipe"), "{:?}", list.warnings);
}

#[test]
fn what_the_server_and_its_variables_name_is_in_the_list_or_missed() {
    let (_folder, root) = tree(&["data/db/t.ibd", "far/db/u.ibd", "data/.wsrep_sst_backup/undo/undo001"]);
    let data = root.join("data");
    fs::write(data.join("db/u.isl"), root.join("far/db/u.ibd").to_str().unwrap()).unwrap();
    symlink(root.join("far/db"), data.join("linked")).unwrap();
    let layout = layout(&root);
    let list = list_files(&layout, &ListOptions::default()).unwrap();
    let variables = [("innodb_undo_directory", "./.wsrep_sst_backup/undo")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut facts = Facts::from_variables(variables.into());
    let demands = Demands::of(&layout, &mut facts);
    let missed = |demands: &Demands| -> Vec<String> {
        let missed = demands.unmet(&list, &data);
        missed.iter().map(|o| o.path.strip_prefix(&root).unwrap().display().to_string()).collect()
    };
    let of_variables = ["data/ib_logfile0", "data/.wsrep_sst_backup/undo/undo001"];
    assert_eq!(missed(&demands), of_variables);
    let far = root.join("far/db/u.ibd").display().to_string();
    let named = ["./ibdata1", ".//db/t.ibd", &far, "./linked/u.ibd", "./db/lost.ibd"];
    let demands = demands.with_tablespaces(&named);
    assert_eq!(missed(&demands), [&of_variables[..], &["data/db/lost.ibd"]].concat());
}

/// A tablespace that the server has named before the freeze is not there under it, and these are what it names then; none: it does not answer.
fn missed_under_the_freeze(now: Option<&'static str>) -> usize {
    let (_folder, root) = tree(&["data/db/t.ibd"]);
    let demands = Demands::default().with_tablespaces(&["./db/t.ibd", "./db/dropped.ibd"]);
    let mut facts = Facts::from_variables(std::collections::HashMap::new());
    let answer = move |wire: &mut Wire, _: &str| match now {
        Some(path) => wire.texts(1, &[vec![path]]),
        None => wire.error(1227),
    };
    let (endpoint, _) = server(&root, answer);
    facts.sql = Some(session(&endpoint, crate::sql::LIMIT));
    demands.unmet_now(&list(&root), &root.join("data"), &mut facts).len()
}

#[test]
fn what_was_dropped_on_the_way_to_the_freeze_is_no_reason_to_refuse() {
    assert_eq!(missed_under_the_freeze(Some("./db/t.ibd")), 0);
    assert_eq!(missed_under_the_freeze(Some("./db/dropped.ibd")), 1, "the server has it still");
    // What is not on the disk counts as dropped where nobody tells.
    assert_eq!(missed_under_the_freeze(None), 0);
}

#[test]
fn a_look_that_takes_too_long_ends_with_what_there_is() {
    let (_folder, root) = tree(&["data/db/t.ibd"]);
    let options = ListOptions { until: Some(Instant::now()), ..ListOptions::default() };
    let list = list_files(&layout(&root), &options).unwrap();
    assert!(list.is_cut && list.entries.is_empty());
}

fn links(list: &FileList) -> Vec<(String, String)> {
    let links = list.entries.iter().filter_map(|entry| match &entry.kind {
        EntryKind::Symlink(target) => Some((entry.path.to_string(), target.display().to_string())),
        _ => None,
    });
    links.collect()
}

#[test]
fn a_link_names_the_place_that_is_backed_up() {
    let (_folder, root) = tree(&["far/real/t.MYD"]);
    symlink("real", root.join("far/via")).unwrap();
    symlink("../far/via", root.join("data/relative")).unwrap();
    symlink(root.join("far/real"), root.join("data/straight")).unwrap();
    let real = root.join("far/real").display().to_string();
    assert_eq!(links(&list(&root)), [("relative".to_owned(), real.clone()), ("straight".to_owned(), real)]);
}

#[test]
fn a_link_that_stays_inside_stays_inside_when_it_is_restored_elsewhere() {
    let (_folder, root) = tree(&["data/db/t.MYD"]);
    symlink(root.join("data/db"), root.join("data/absolute")).unwrap();
    symlink(root.join("data/db/t.MYD"), root.join("data/db/u.MYD")).unwrap();
    symlink("t.MYD", root.join("data/db/v.MYD")).unwrap();
    let expected = [("absolute", "db"), ("db/u.MYD", "../db/t.MYD"), ("db/v.MYD", "t.MYD")];
    assert_eq!(links(&list(&root)), expected.map(|(link, target)| (link.to_owned(), target.to_owned())));
}

#[test]
fn of_all_binary_logs_none_is_in_the_index_that_is_not_in_the_list() {
    let (_folder, root) = tree(&["data/b.000001", "data/b.000002", "data/b.000003"]);
    let mut layout = layout(&root);
    layout.binlog = Some(crate::capture::layout::BinlogFiles {
        base: root.join("data/b"),
        index: root.join("data/b.index"),
    });
    // The first one was purged behind the look at the index.
    fs::write(root.join("data/b.index"), "./b.000000\n./b.000001\n./b.000002\n./b.000003\n").unwrap();
    let options = ListOptions { binlogs: BinlogChoice::All, ..ListOptions::default() };
    let list = list_files(&layout, &options).unwrap();
    let paths: Vec<String> = list.entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(paths, ["b.000001", "b.000002", "b.000003", "ibdata1", "b.index"]);
    let EntryKind::Generated(index) = &list.entries.last().unwrap().kind else { panic!() };
    assert_eq!(&index[..], b"./b.000001\n./b.000002\n./b.000003\n");
}
