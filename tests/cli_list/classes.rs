//! A repository with backups of several classes, which count apart.

use serde_json::json;

use super::changed;
use super::support::cli::forge::{ID, put_manifest};
use super::support::cli::{cli, open_folder};

#[test]
fn a_column_tells_of_which_class_each_backup_is_where_there_are_several() {
    let folder = open_folder();
    put_manifest(folder.path(), "c", &changed(ID, |_| ()));
    assert!(!cli("list").on(folder.path()).run().done().contains("CLASS"));
    let put_dump = |id: &str, whole: bool, filter: &str| {
        let manifest = changed(id, |m| {
            m["format"] = 2.into();
            (m["content"], m["method"]) = ("sql".into(), "logical".into());
            m["archive"]["name"] = "backup.2026-11-20T11:34:52Z.sql.gz".into();
            m["archive"]["compression"] = "gzip".into();
            m["dump"] = json!({"whole": whole, "filter": filter, "program": "10.11.19-MariaDB"});
        });
        put_manifest(folder.path(), "c", &manifest);
    };
    put_dump("20261120T120000Z_n1", true, "");
    put_dump("20261120T130000Z_n1", false, "accounts,orders");
    put_dump("20261120T140000Z_n1", false, &"many_databases,".repeat(9));
    let table = "\
ID                   TAKEN                    SEQNO     DATA    STORED  FROZEN    TOOK  CLASS                                 NOTE
20261120T113452Z_n1  2026-11-20 11:34:52 UTC    417  141 MiB  53.0 MiB  801 ms  900 ms  physical
20261120T120000Z_n1  2026-11-20 12:00:00 UTC    417  141 MiB  53.0 MiB  801 ms  900 ms  dump
20261120T130000Z_n1  2026-11-20 13:00:00 UTC    417  141 MiB  53.0 MiB  801 ms  900 ms  dump of accounts,orders
20261120T140000Z_n1  2026-11-20 14:00:00 UTC    417  141 MiB  53.0 MiB  801 ms  900 ms  dump of many_databases,many_databas…
";
    assert_eq!(cli("list").on(folder.path()).run().done(), table);
    let listed = cli("list --json").on(folder.path()).run().json();
    let classes: Vec<_> =
        listed["backups"].as_array().unwrap().iter().map(|backup| &backup["class"]).collect();
    assert_eq!(classes, ["physical", "dump", "partial-dump", "partial-dump"]);
}
