use std::collections::HashMap;

use super::*;

fn layout(datadir: &Path, pairs: &[(&str, &str)]) -> Result<ServerLayout, LayoutError> {
    let variables: HashMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let server = Server { datadir: datadir.into(), ..Server::default() };
    ServerLayout::new(&server, &Facts::from_variables(variables))
}

#[test]
fn a_default_server_has_everything_in_its_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let datadir = fs::canonicalize(folder.path()).unwrap();
    fs::write(datadir.join("ibdata1"), "").unwrap();
    let layout = layout(&datadir, &[("log_bin_basename", "mysql-bin")]).unwrap();
    assert_eq!(layout.externals, []);
    assert_eq!(layout.system_tablespaces, [datadir.join("ibdata1")]);
    let binlog = layout.binlog.unwrap();
    assert_eq!((binlog.base, binlog.index), (datadir.join("mysql-bin"), datadir.join("mysql-bin.index")));
}

#[test]
fn directories_elsewhere_are_found_and_those_inside_are_not_external() {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    for directory in ["data/inside", "home", "redo"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for file in [
        "home/ibdata1",
        "home/ibdata2",
        "home/foreign",
        "redo/ib_logfile0",
        "redo/ib_0000000000003000.log",
        "data/inside/undo001",
    ] {
        fs::write(root.join(file), "").unwrap();
    }
    let at = |name: &str| root.join(name).to_string_lossy().into_owned();
    let layout = layout(
        &root.join("data"),
        &[
            ("innodb_data_home_dir", &at("home")),
            ("innodb_data_file_path", "ibdata1:12M;ibdata2:12M:autoextend:max:1G"),
            ("innodb_log_group_home_dir", &at("redo/")),
            ("innodb_undo_directory", "./inside"),
        ],
    )
    .unwrap();
    let homes = vec![root.join("home/ibdata1"), root.join("home/ibdata2")];
    assert_eq!(
        layout.externals,
        [
            External { variable: "innodb_data_home_dir", root: root.join("home"), files: homes },
            External {
                variable: "innodb_log_group_home_dir",
                root: root.join("redo"),
                files: vec![root.join("redo/ib_0000000000003000.log"), root.join("redo/ib_logfile0")]
            },
        ]
    );
}

#[test]
fn a_data_directory_behind_a_link_is_one_with_what_options_spell_through_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    fs::create_dir_all(root.join("real/undo")).unwrap();
    for file in ["real/ibdata1", "real/undo/undo001", "real/ib_logfile0"] {
        fs::write(root.join(file), "").unwrap();
    }
    std::os::unix::fs::symlink(root.join("real"), root.join("link")).unwrap();
    let at = |name: &str| root.join("link").join(name).to_string_lossy().into_owned();
    let pairs = [
        ("innodb_data_home_dir", at("")),
        ("innodb_undo_directory", at("undo")),
        ("innodb_log_group_home_dir", at(".")),
        ("log_bin_basename", at("mysql-bin")),
        ("wsrep_data_home_dir", at("")),
    ];
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for name in ["link", "real"] {
        let layout = layout(&root.join(name), &pairs).unwrap();
        assert_eq!((&layout.externals, &layout.wsrep_home), (&vec![], &None), "{name}");
        assert_eq!(layout.system_tablespaces, [root.join("real/ibdata1")]);
        assert_eq!(layout.gcache, root.join("real"));
        assert_eq!(layout.binlog.unwrap().base, root.join("real/mysql-bin"));
    }
}

#[test]
fn a_wrong_data_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = layout(folder.path(), &[]).unwrap_err().to_string();
    assert!(error.contains("no InnoDB system tablespace"), "{error}");
    let error = layout(&folder.path().join("missing"), &[]).unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains("No such file"), "{error}");
}

#[test]
fn undo_tablespaces_by_name() {
    for (name, wanted) in
        [("undo001", true), ("undo_001", true), ("extra.ibu", true), ("undo", false), ("undoing", false)]
    {
        assert_eq!(is_undo(name), wanted, "{name}");
    }
}

#[test]
fn page_sizes_of_both_sources() {
    assert_eq!((page_size("16384"), page_size("64k"), page_size("x")), (Some(16384), Some(65536), None));
}
