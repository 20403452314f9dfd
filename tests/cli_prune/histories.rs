//! Two histories in the folder of one cluster: what each keeps, what is said of it, and how one goes.

use super::*;

const OTHER: &str = "00000000-2f3a-11ef-9a3c-0a1b2c3d4e5f";

/// A cluster that was lost four days ago, and what has come in its place since.
fn lost_and_bootstrapped_anew() -> (tempfile::TempDir, Vec<String>) {
    let ids: Vec<String> = [9, 8, 4, 3, 1, 0].map(ago).into();
    let folder = repository(&ids);
    for id in &ids[3..] {
        edit_manifest(&folder.path().join("c").join(id), |manifest| manifest["gtid"]["uuid"] = OTHER.into());
    }
    (folder, ids)
}

fn own_uuid(folder: &Path, id: &str) -> String {
    let text = fs::read_to_string(folder.join("c").join(id).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["gtid"]["uuid"].as_str().unwrap().to_owned()
}

#[test]
fn the_last_backup_of_a_lost_cluster_stays_until_it_is_forgotten_by_name() {
    let (folder, ids) = lost_and_bootstrapped_anew();
    let place = folder.path();
    let uuid = own_uuid(place, &ids[0]);
    let pruned = cli("prune --keep-last 1").on(place).run();
    let table = pruned.done();
    assert!(
        line(table, &ids[2]).ends_with(&format!("the newest of history {uuid}; keep-last: number 1")),
        "{table}"
    );
    assert!(line(table, &ids[5]).ends_with("the newest; keep-last: number 1"), "{table}");
    for text in [
        "These are backups of 2 histories (state UUIDs)".to_owned(),
        format!("  {uuid}: 3 backups, the newest {}, taken ", ids[2]),
        format!("  {OTHER}: 3 backups, the newest {}, taken ", ids[5]),
    ] {
        assert!(table.contains(&text), "{text}: {table}");
    }
    assert_eq!(folders(place), [ids[2].clone(), ids[5].clone()]);
    // Once is enough, however often.
    assert!(cli("prune --keep-last 1").on(place).run().done().contains("There is nothing to remove."));

    // Whoever asks for the newest is told of the other.
    let shown = cli("show latest").on(place).run();
    assert_eq!(shown.status, Some(0), "{shown:?}");
    assert!(shown.stdout.contains(&ids[5]) && shown.stderr.contains("there are backups of other histories"));
    assert!(shown.stderr.contains(&format!("{uuid}: 1 backup, {}, taken ", ids[2])), "{}", shown.stderr);
    let list = cli("list").on(place).run();
    assert!(list.done().contains("\nBackups of 2 histories (state UUIDs) are in the folder of cluster 'c'"));
    let json = cli("list --json").on(place).run().json();
    assert_eq!(json["many_histories"][0]["histories"][1]["uuid"], uuid.as_str());

    let before = tree(place);
    let forget =
        |uuid: &str, more: &str| cli(&format!("prune --forget-history {uuid}{more}")).on(place).run();
    forget(OTHER, "")
        .fails_with(1, "is the history of the newest backup of cluster 'c', so nothing was removed");
    forget(&OTHER.replace('0', "1"), "").fails_with(3, "there is no backup of the history 11111111-");
    assert!(forget(&uuid, " --dry-run").done().contains("its history is to be forgotten (--forget-history)"));
    assert_same(&tree(place), &before);
    // What somebody holds, nobody forgets.
    cli(&format!("hold {}", ids[2])).on(place).run().done();
    assert!(forget(&uuid, "").done().contains("There is nothing to remove."));
    cli(&format!("release {}", ids[2])).on(place).run().done();
    let json = cli(&format!("prune --json --forget-history {}", uuid.to_uppercase())).on(place).run().json();
    assert_eq!(
        (&json["outcome"]["backups"], &json["clusters"][0]["histories"][1]["uuid"]),
        (&1.into(), &uuid.into())
    );
    assert_eq!(folders(place), ids[5..]);
    let list = cli("list").on(place).run();
    assert!(
        !list.done().contains("histories")
            && !cli("show latest").on(place).run().stderr.contains("histories")
    );
}

/// Old files of a cluster that is lost; of the one that has come in its place there are dumps only.
#[test]
fn dumps_of_the_living_cluster_are_not_forgotten_for_old_files() {
    let (folder, ids) = lost_and_bootstrapped_anew();
    let place = folder.path();
    for id in &ids[3..] {
        let backup = place.join("c").join(id);
        edit_manifest(&backup, |manifest| {
            manifest["format"] = 2.into();
            manifest["content"] = "sql".into();
            manifest["method"] = "logical".into();
            manifest["dump"] = json!({"whole": true, "program": "10.11.19-MariaDB"});
        });
    }
    let before = tree(place);
    let uuid = own_uuid(place, &ids[0]);
    for living in [OTHER, &uuid] {
        let words = format!("--forget-history: {living} is the history of the newest backup of cluster 'c'");
        cli(&format!("prune --forget-history {living}")).on(place).run().fails_with(1, &words);
    }
    assert_same(&tree(place), &before);
}

/// A server in no cluster that was lost and installed anew under its name.
#[test]
fn the_last_backup_of_a_lost_server_stays_whatever_an_empty_one_of_its_name_makes() {
    let ids: Vec<String> = [9, 8, 2, 1, 0].map(ago).into();
    let prune = |lsns: [Option<u64>; 5]| {
        let folder = repository(&ids);
        for (id, lsn) in ids.iter().zip(lsns) {
            let backup = folder.path().join("c").join(id);
            edit_manifest(&backup, |manifest| {
                manifest["format"] = 2.into();
                manifest["gtid"] = Value::Null;
                manifest["donor_gtid"] = Value::Null;
                manifest["innodb_lsn"] = json!(lsn);
            });
            let manifest: Value =
                serde_json::from_str(&fs::read_to_string(backup.join("manifest.json")).unwrap()).unwrap();
            let finished: Timestamp = manifest["finished"].as_str().unwrap().parse().unwrap();
            let written = SystemTime::from(finished) + Duration::from_secs(60);
            let file = File::open(backup.join("manifest.json")).unwrap();
            file.set_times(FileTimes::new().set_modified(written)).unwrap();
        }
        let pruned = cli("prune --keep-last 1").on(folder.path()).run();
        (pruned.done().to_owned(), folders(folder.path()))
    };
    let (table, left) = prune([Some(880_000), Some(900_000), Some(50_000), Some(60_000), Some(70_000)]);
    assert!(line(&table, &ids[1]).ends_with("the furthest position of its history"), "{table}");
    assert_eq!(left, [ids[1].clone(), ids[4].clone()]);
    // Backups of an older program do not say it.
    let (_, left) = prune([None; 5]);
    assert_eq!(left, ids[4..]);
    let (_, left) = prune([None, None, Some(50_000), Some(60_000), Some(70_000)]);
    assert_eq!(left, ids[4..]);
}

#[test]
fn the_furthest_position_stays_and_is_told() {
    let ids: Vec<String> = [400, 2, 1, 0].map(ago).into();
    let folder = repository(&ids);
    let place = folder.path();
    // Donor and repository had one clock, which was a year behind when the newest backup was taken.
    for (id, seqno) in ids.iter().zip([900, 100, 200, 300]) {
        let backup = place.join("c").join(id);
        edit_manifest(&backup, |manifest| manifest["gtid"]["seqno"] = seqno.into());
        let manifest: Value =
            serde_json::from_str(&fs::read_to_string(backup.join("manifest.json")).unwrap()).unwrap();
        let finished: Timestamp = manifest["finished"].as_str().unwrap().parse().unwrap();
        let written = SystemTime::from(finished) + Duration::from_secs(60);
        let file = File::open(backup.join("manifest.json")).unwrap();
        file.set_times(FileTimes::new().set_modified(written)).unwrap();
    }
    let pruned = cli("prune --keep-last 1").on(place).run();
    let told = line(pruned.done(), &ids[0]);
    assert!(told.ends_with("the furthest position of its history"), "{}", pruned.stdout);
    assert_eq!(folders(place), [ids[0].clone(), ids[3].clone()]);
    let shown = cli("show latest").on(place).run();
    let words = format!("is not the furthest of its history: that is {} at seqno 900", ids[0]);
    assert_eq!(shown.status, Some(0), "{shown:?}");
    assert!(shown.stdout.contains(&ids[3]) && shown.stderr.contains(&words), "{}", shown.stderr);
}
