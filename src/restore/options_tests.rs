use super::*;
use crate::config::OptionFiles;

fn needs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn lines(needed: &[(&str, &str)], options: &[(&str, Option<&str>)]) -> Vec<String> {
    let word = |(name, value): &(&str, Option<&str>)| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    };
    let args: Vec<String> = options.iter().map(word).collect();
    let server = ServerOptions::from(&OptionFiles::default(), &args, Some("10.11.6-MariaDB"));
    missing(&needs(needed), Path::new("/new"), Some("10.11.6-MariaDB"), &server)
}

#[test]
fn defaults_and_what_is_set_alike_are_not_asked_for() {
    let defaults = [
        ("innodb_page_size", "16384"),
        ("innodb_data_file_path", "ibdata1:12M:autoextend"),
        ("innodb_undo_directory", "./"),
        ("aria_log_dir_path", "/new/"),
        ("innodb_undo_tablespaces", "0"),
        ("innodb_checksum_algorithm", "FULL_CRC32"),
        ("lower_case_table_names", "0"),
        ("innodb_encrypt_tables", "OFF"),
    ];
    assert_eq!(lines(&defaults, &[]), Vec::<String>::new());
    let set = [
        ("innodb-page-size", Some("4k")),
        ("innodb_encrypt_log", None),
        ("loose-innodb_undo_tablespaces", Some("2")),
        ("log-bin", None),
    ];
    let needed = [
        ("innodb_page_size", "4096"),
        ("innodb_encrypt_log", "ON"),
        ("innodb_undo_tablespaces", "2"),
        ("log_bin", "mysql-bin"),
    ];
    assert_eq!(lines(&needed, &set), Vec::<String>::new());
}

#[test]
fn what_differs_is_a_line_also_where_it_is_the_default() {
    let needed = [
        ("innodb_page_size", "16384"),
        ("innodb_undo_directory", "/far/undo"),
        ("innodb_undo_tablespaces", "3"),
        ("log_bin", "mysql-bin"),
        ("lower_case_table_names", "1"),
        ("plugin_load_add", "file_key_management;provider_lz4"),
    ];
    let set = [
        ("innodb_page_size", Some("4k")),
        ("innodb_undo_directory", Some("undo")),
        ("plugin_load_add", Some("provider_lz4")),
    ];
    assert_eq!(
        lines(&needed, &set),
        [
            "innodb_page_size = 16384",
            "innodb_undo_directory = /far/undo",
            "innodb_undo_tablespaces = 3",
            "log_bin = mysql-bin",
            "lower_case_table_names = 1",
            "plugin_load_add = file_key_management"
        ]
    );
}

#[test]
fn what_is_recorded_is_what_is_read() {
    let read: Vec<&str> = KNOWN
        .iter()
        .map(|(name, ..)| if *name == "log_bin" { "log_bin_basename" } else { name })
        .chain(PLUGINS.iter().map(|(_, variable)| *variable))
        .chain(["innodb_compression_algorithm"])
        .collect();
    for name in ServerIdentity::OPTIONS {
        assert!(read.contains(&name), "{name} is recorded and never read");
    }
    for name in read {
        assert!(ServerIdentity::OPTIONS.contains(&name), "{name} is read and never recorded");
    }
}

#[test]
fn what_keeps_a_server_from_starting_is_told_apart() {
    let made = |pairs: &[(&str, &str)]| ServerIdentity {
        options: needs(pairs),
        innodb_page_size: Some(4096),
        ..ServerIdentity::default()
    };
    let of = |made: &ServerIdentity, args: &[&str]| {
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        let server = ServerOptions::from(&OptionFiles::default(), &args, Some("10.11.6-MariaDB"));
        unstartable(made, Path::new("/new"), Some("10.11.6-MariaDB"), &server)
    };
    let keys = ("file_key_management_encryption_algorithm", "aes_ctr");
    let all = made(&[
        ("aria_block_size", "4096"),
        ("innodb_data_file_path", "ibdata1:10M;ibdata2:12M:autoextend"),
        ("innodb_encrypt_log", "ON"),
        ("lower_case_table_names", "1"),
        keys,
    ]);
    assert_eq!(
        of(&all, &[]),
        [
            "aria_block_size = 4096",
            "innodb_data_file_path = ibdata1:10M;ibdata2:12M:autoextend",
            "innodb_page_size = 4096",
            "plugin_load_add = file_key_management"
        ]
    );
    let alike = [
        "--aria-block-size=4k",
        "--innodb-data-file-path=ibdata1:10M;ibdata2:12M;ibdata3:12M:autoextend:max:1G",
        "--innodb-page-size=4k",
        "--plugin-load-add=file_key_management.so",
    ];
    assert_eq!(of(&all, &alike), Vec::<String>::new());
    // Tables that are encrypted are missed later; places are those of the restore.
    let some = made(&[keys, ("innodb_data_file_path", "/far/ibdata1:12M:autoextend")]);
    assert_eq!(of(&some, &["--innodb-page-size=4096"]), Vec::<String>::new());
}
