//! A data directory with two names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::ScriptedMysqld;

#[test]
fn a_data_directory_has_one_name_however_options_spell_it() {
    let server = ScriptedMysqld::new();
    let real = server.path("real");
    fs::rename(server.datadir(), &real).unwrap();
    symlink(&real, server.datadir()).unwrap();
    has_one_name(&server, &server.datadir(), &real);

    // A second name that no link tells.
    let server = ScriptedMysqld::new();
    let real = server.path("real");
    fs::rename(server.datadir(), &real).unwrap();
    fs::create_dir(server.datadir()).unwrap();
    let _mount = BindMount::new(&real, &server.datadir());
    has_one_name(&server, &real, &server.datadir());
}

/// A directory that is seen at another place, too.
struct BindMount(PathBuf);

impl BindMount {
    fn new(directory: &Path, place: &Path) -> Self {
        let mount = Command::new("mount").arg("--bind").args([directory, place]).status().unwrap();
        assert!(mount.success(), "{mount}");
        Self(place.to_path_buf())
    }
}

impl Drop for BindMount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Options spell everything by the first of two names of one data directory; the program finds it by the second one, which is its real one for it.
fn has_one_name(server: &ScriptedMysqld, spelt: &Path, real: &Path) {
    let at = |name: &str| spelt.join(name).to_string_lossy().into_owned();
    for (name, content) in [
        ("a-bin.000001", "old events"),
        ("a-bin.000002", "events"),
        ("general.log", "a server log"),
        ("keys.enc", "keys"),
        ("tmp/#sql1.MAD", "temporary"),
        ("cache/gcache.page.000003", "write sets"),
        ("cache/galera.cache", "write sets"),
        ("r.000001", "a relay log"),
        ("r-src.000001", "a relay log"),
        ("r-src.index", "./r-src.000001\n./renamed.000001\n"),
        ("renamed.000001", "a relay log"),
        ("multi-master.info", "src\n"),
        ("master-src.info", "33\nm.000009\n900\n10.0.0.1\nrepl\nsecret\n3306\n60\n"),
        ("relay-log-src.info", "5\n./r-src.000001\n4\nm.000007\n815\n0\n"),
    ] {
        server.write(name, content);
    }
    server.write("a-bin.index", format!("{}\n{}\n", at("a-bin.000001"), at("a-bin.000002")));
    let options = [
        ("innodb_data_home_dir", at("")),
        ("innodb_log_group_home_dir", at("")),
        ("innodb_undo_directory", at(".")),
        ("general_log_file", at("general.log")),
        ("file_key_management_filename", at("keys.enc")),
        ("tmpdir", at("tmp")),
        ("relay_log", at("r")),
        ("wsrep_provider_options", format!("gcache.dir={}", at("cache"))),
    ];
    let lines: Vec<String> = options.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    server.configure("mysqld", &lines.join("\n"));
    let binlog = format!("--binlog '{}' --binlog-index '{}'", at("a-bin"), at("a-bin.index"));
    server.asks().options(&binlog).run().assert_backed_up(server);
    let backup = server.backup();
    let unpacked = backup.unpack(&server.path("unpacked"));
    let members = backup.members();
    let extra =
        ["a-bin", "general", "keys", "tmp", "cache", "r.", "r-src", "renamed", ".info", ".wsrep_sst_backup"];
    let found: Vec<&String> = members
        .iter()
        .filter(|path| extra.iter().any(|name| path.starts_with(name) || path.ends_with(name)))
        .collect();
    assert_eq!(found, ["cache", "a-bin.000002", "a-bin.index"]);
    let index = fs::read_to_string(unpacked.join("a-bin.index")).unwrap();
    assert_eq!(index, format!("{}\n", real.join("a-bin.000002").display()));
    let master = &backup.manifest["replication"][0];
    assert_eq!(
        (&master["name"], &master["host"], &master["log_file"], &master["log_pos"], &master["source"]),
        (&"src".into(), &"10.0.0.1".into(), &"m.000007".into(), &815.into(), &"files".into())
    );
    assert!(!backup.manifest.to_string().contains("secret"));
}
