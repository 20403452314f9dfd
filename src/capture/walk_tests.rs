//! Links in every constellation: each file once, none forgotten.

use std::os::unix::fs::symlink;

use super::*;

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

fn list(root: &Path) -> FileList {
    let mut layout = ServerLayout::bare(root.join("data"));
    layout.system_tablespaces = vec![root.join("data/ibdata1")];
    list_files(&layout, BinlogChoice::Newest, false).unwrap()
}

/// Files by where they are, below `root`, in order; panics where a member path comes twice.
fn files(root: &Path, list: &FileList) -> Vec<String> {
    let paths: BTreeSet<&ArchivePath> = list.entries.iter().map(|entry| &entry.path).collect();
    assert_eq!(paths.len(), list.entries.len(), "{:?}", list.entries);
    let mut found: Vec<String> = list
        .entries
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File(_)))
        .map(|entry| entry.disk(&root.join("data")).strip_prefix(root).unwrap().display().to_string())
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

#[test]
fn a_link_that_leads_nowhere_is_kept_and_named() {
    let (_folder, root) = tree(&[]);
    symlink("/nowhere/t.MYD", root.join("data/t.MYD")).unwrap();
    fs::write(root.join("data/u.isl"), "/nowhere/u.ibd").unwrap();
    let list = list(&root);
    assert!(list.entries.iter().any(|entry| entry.path == ArchivePath::new("t.MYD")));
    assert_eq!(list.warnings.len(), 2, "{:?}", list.warnings);
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
