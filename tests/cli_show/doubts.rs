//! What `show` says of a backup is what `list` says: in words, as JSON, and by the exit status.

use super::*;

#[test]
fn what_speaks_against_a_backup_is_told_as_list_tells_it() {
    let ids = ["20261119T000000Z_n1", "20261120T000000Z_n1", "20261121T000000Z_n1", "20261122T000000Z_n1"];
    let folder = repository(&ids);
    let place = |id: &str, name: &str| folder.path().join("c").join(id).join(name);
    fs::remove_file(place(ids[0], "backup.tar.zst")).unwrap();
    fs::OpenOptions::new().write(true).open(place(ids[1], "backup.tar.zst")).unwrap().set_len(9).unwrap();
    // It says that it was frozen before it began.
    edit_manifest(&folder.path().join("c").join(ids[2]), |m| m["frozen_at"] = "2026-11-20T23:00:00Z".into());
    let listed = cli("list --json").on(folder.path()).run().json();
    let list = cli("list").on(folder.path()).run();
    for (place, (id, status, words)) in [
        (ids[0], 4, Some("DAMAGED: backup.tar.zst: it is missing")),
        (ids[1], 4, Some("DAMAGED: backup.tar.zst: it has 9 bytes, the manifest says 55574528")),
        (ids[2], 0, Some("WRONG CLOCK: it was frozen before it began, by its own times")),
        (ids[3], 0, None),
    ]
    .into_iter()
    .enumerate()
    {
        let doubt = &listed["backups"][place]["doubt"];
        assert_eq!(doubt.as_str(), words);
        assert!(list.done().contains(words.unwrap_or(id)), "{}", list.stdout);
        let json = cli("show --json").arg(id).on(folder.path()).run();
        let shown: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((json.status, json.stderr.as_str()), (Some(status), ""), "{id}");
        assert_eq!((&shown["id"], &shown["doubt"]), (&json!(id), doubt));
        assert_eq!(shown.as_object().unwrap().contains_key("doubt"), words.is_some());
        let text = cli("show").arg(id).on(folder.path()).run();
        assert_eq!((text.status, text.stderr.as_str()), (Some(status), ""), "{id}");
        let line = words.map(|words| format!("Backup            {id}\nDoubt             {words}\nCluster "));
        let line = line.unwrap_or_else(|| format!("Backup            {id}\nCluster "));
        assert!(text.stdout.starts_with(&line), "{}", text.stdout);
    }
}
