//! Backups of one history that have parted.

use std::fs::File;

use jiff::Timestamp;
use serde_json::json;

use super::changed;
use crate::support::cli::forge::{UUID, ago, put_manifest};
use crate::support::cli::{cli, open_folder};

#[test]
fn what_a_cluster_has_left_behind_and_two_clusters_in_one_folder_are_told() {
    for (positions, told, two, left) in [
        (
            &[10, 30, 12, 32][..],
            "went back to an older backup, and what was taken of the part that it has left behind is still there (",
            &[][..],
            &[1][..],
        ),
        (
            &[100, 200, 110, 210, 120, 220],
            "two clusters that were made of one backup seem to store into the folder of cluster 'c'",
            &[3, 4, 5],
            &[1, 3],
        ),
        (&[10, 20, 30], "", &[], &[]),
    ] {
        let folder = open_folder();
        let days = (1..).take(positions.len()).collect::<Vec<i64>>().into_iter().rev();
        let ids: Vec<String> = days.map(ago).collect();
        for (id, seqno) in ids.iter().zip(positions) {
            let place = put_manifest(
                folder.path(),
                "c",
                &changed(id, |manifest| manifest["gtid"]["seqno"] = (*seqno).into()),
            );
            // The storage confirms the times.
            let taken = Timestamp::strptime("%Y%m%dT%H%M%S%z", format!("{}+0000", &id[..15])).unwrap();
            File::options()
                .append(true)
                .open(place.join("manifest.json"))
                .unwrap()
                .set_modified(taken.into())
                .unwrap();
        }
        let shown = cli("list").on(folder.path()).run().done().to_owned();
        assert_eq!(shown.contains("Note: "), !told.is_empty(), "{shown}");
        assert!(shown.contains(told), "{shown}");
        let names = |places: &[usize]| places.iter().map(|place| &ids[*place]).collect::<Vec<_>>();
        let parted = if told.is_empty() {
            json!([])
        } else {
            json!([{"cluster_folder": "c", "history": UUID, "two_lines": names(two), "left_behind": names(left)}])
        };
        assert_eq!(cli("list --json").on(folder.path()).run().json()["parted"], parted);
    }
}
