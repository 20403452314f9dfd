//! Which clusters are judged where none is named: never those of others by the policy of one machine.

use super::*;

/// Two backups of each of these clusters.
fn shared_by(clusters: &[&str]) -> (tempfile::TempDir, Vec<String>) {
    let ids: Vec<String> = [3, 0].map(ago).into();
    let folder = repository(&ids);
    for cluster in clusters {
        for id in &ids {
            let to = folder.path().join(cluster).join(id);
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(folder.path().join("c").join(id)).unwrap().flatten() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
            edit_manifest(&to, |manifest| manifest["cluster"] = (*cluster).into());
        }
    }
    fs::remove_dir_all(folder.path().join("c")).unwrap();
    (folder, ids)
}

fn host() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

#[test]
fn where_none_of_several_clusters_is_the_own_one_nothing_is_judged() {
    let (folder, ids) = shared_by(&["prod", "test"]);
    let before = tree(folder.path());
    for more in ["", " --dry-run", " --json", " --forget-history 4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f"] {
        cli(&format!("prune --keep-last 1{more}"))
            .on(folder.path())
            .run()
            .fails_with(2, "there are backups of the clusters 'prod', 'test', and neither ");
    }
    assert_same(&tree(folder.path()), &before);
    cli("prune --keep-last 1 --cluster test").on(folder.path()).run().done();
    let scope = |more: &str| {
        let line = format!("prune --keep-last 1 --dry-run --json {more}");
        cli(&line).on(folder.path()).run().json()["scope"].clone()
    };
    let named =
        json!({"cluster_folder": "test", "why": "which is named by --cluster or the setting 'cluster'"});
    assert_eq!((scope("--cluster test"), scope("--all-clusters")), (named, Value::Null));
    let is_there = |cluster: &str| folder.path().join(cluster).join(&ids[0]).exists();
    assert!(is_there("prod") && !is_there("test"));
    cli("prune --keep-last 1 --all-clusters").on(folder.path()).run().done();
    assert!(!is_there("prod"));
}

#[test]
fn a_server_by_itself_prunes_what_is_under_the_name_of_its_host() {
    let host = host();
    // What its option files say of a cluster, and which one is judged.
    let cases = [
        ("", Some(&*host)),
        ("wsrep_on=OFF\nwsrep_cluster_name=prod\n", Some(&*host)),
        ("wsrep_on=ON\nwsrep_cluster_name=prod\n", Some("prod")),
        ("wsrep_cluster_name=gone\n", Some(&*host)),
        ("wsrep_cluster_name=prod\n", None),
    ];
    for (options, judged) in cases {
        let (folder, ids) = shared_by(&["prod", &host]);
        let cnf = folder.path().join("my.cnf");
        fs::write(&cnf, format!("[mysqld]\n{options}[wsrep_sst_backup]\nkeep-last=1\n")).unwrap();
        let prune = |line: &str| {
            let defaults = format!("--defaults-file={}", cnf.display());
            cli(line).own_defaults().on(folder.path()).arg(defaults).run()
        };
        let planned = judged.map(|_| prune("prune --dry-run --json").json());
        let pruned = prune("prune");
        match judged {
            Some(name) => {
                let scope = planned.map(|planned| planned["scope"].clone()).unwrap_or_default();
                assert_eq!(scope["cluster_folder"], name, "{options}");
                let told = format!("Only cluster '{name}' is judged, {}; ", scope["why"].as_str().unwrap());
                assert!(pruned.done().starts_with(&told), "{options}: {}", pruned.stdout);
            }
            None => pruned.fails_with(2, "say which are to be judged with --cluster"),
        }
        for cluster in ["prod", &host] {
            let is_there = folder.path().join(cluster).join(&ids[0]).exists();
            assert_eq!(is_there, judged != Some(cluster), "{options}: {cluster}");
        }
    }
}
