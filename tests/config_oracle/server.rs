//! The options of the server against `mariadbd --help --verbose`.

use std::process::Command;

use wsrep_sst_backup::config::{OptionFiles, ServerOptions, server_groups};

/// The table "Variables and options" of `mariadbd ARGS --help --verbose`: name and value.
fn mariadbd_variables(args: &[&str]) -> Vec<(String, String)> {
    let output = Command::new("mariadbd")
        .args([&["--no-defaults"], args, &["--help", "--verbose"]].concat())
        .output()
        .expect("mariadbd runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let table = text.lines().skip_while(|line| !line.starts_with("-----")).skip(1);
    let rows = table.take_while(|line| !line.is_empty());
    let columns = rows.filter_map(|line| line.split_once(' '));
    columns.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn server_options(args: &[&str]) -> ServerOptions {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    ServerOptions::from(&OptionFiles::default(), &args, None)
}

#[test]
#[ignore = "needs mariadbd"]
fn arguments_mean_to_us_what_they_mean_to_mariadbd() {
    let defaults = mariadbd_variables(&[]);
    for args in [
        &["--datadir=/a", "--datadir", "/b"][..],
        &["-h", "/a", "--wsrep_on"],
        &["-ah/a", "-P", "33", "-u", "mysql", "-t/t"],
        &["--DataDir=/a", "--loose_datadir=/b/"],
        &["--datadi=/a", "--innodb-undo-dir=/u", "--innodb-undo-directory", "/v"],
        &["--innodb-undo-directory=/v", "--innodb-undo-dir=/u"],
        &["--plugin-innodb-undo-directory=/p"],
        &["--wsrep-on", "--skip-wsrep-on"],
        &["--skip-wsrep-on", "--loose-enable-wsrep-on"],
        &["--wsrep-on", "--loose-skip-wsrep-on"],
        &["--skip-wsrep-on=0", "--skip-name-resolve"],
        &["--wsrep-on=yes", "--skip-name-resolve=0"],
        &["--wsrep-on=TRUE", "--wsrep-on=off"],
        &["--innodb_doublewrite=0", "--skip-networking=0"],
        &["--log-error", "--port=12", "--log-bin=/x", "--log-bin-index=/i"],
    ] {
        let ours = server_options(args);
        let theirs = mariadbd_variables(args);
        assert!(theirs.len() > 500, "{args:?}");
        let of = |table: &[(String, String)], name: &str| {
            let row = table.iter().find(|(known, _)| known == name);
            row.map(|(_, value)| value.trim_end_matches('/').to_owned())
        };
        for name in ["datadir", "innodb-undo-directory", "port", "tmpdir", "log-bin", "log-bin-index"] {
            let wanted = ours.get(name).map(|value| value.trim_end_matches('/').to_owned());
            assert_eq!(of(&theirs, name), wanted.or_else(|| of(&defaults, name)), "{name} of {args:?}");
        }
        for name in ["wsrep-on", "skip-name-resolve", "innodb-doublewrite", "skip-networking"] {
            let wanted = ours.flag(name).map(|on| if on { "TRUE" } else { "FALSE" }.to_owned());
            assert_eq!(of(&theirs, name), wanted.or_else(|| of(&defaults, name)), "{name} of {args:?}");
        }
    }
}

#[test]
#[ignore = "needs mariadbd"]
fn no_option_of_mariadbd_is_taken_for_another() {
    let names: Vec<String> =
        mariadbd_variables(&[]).into_iter().map(|(name, _)| name.to_lowercase()).collect();
    assert!(names.len() > 500);
    for given in &names {
        let options = server_options(&[&format!("--{given}=1")]);
        for asked in names.iter().filter(|name| *name != given) {
            assert_eq!(options.lookup(asked), None, "{given} answers for {asked}");
        }
    }
}

#[test]
#[ignore = "needs mariadbd"]
fn the_groups_are_those_that_mariadbd_names() {
    let version = Command::new("mariadbd").arg("--version").output().expect("mariadbd runs").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let version = version.split("Ver ").nth(1).unwrap();
    let help =
        Command::new("mariadbd").args(["--no-defaults", "--help", "--verbose"]).output().unwrap().stdout;
    let help = String::from_utf8_lossy(&help).into_owned();
    let groups = help.lines().find_map(|line| line.strip_prefix("The following groups are read: ")).unwrap();
    let mut theirs: Vec<&str> = groups.split_whitespace().collect();
    let mut ours = server_groups(Some(version));
    theirs.sort_unstable();
    ours.sort();
    assert_eq!(ours, theirs);
}
