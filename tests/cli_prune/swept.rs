//! What runs have left, and what somebody reads meanwhile.

use std::fs::{self, File};

use jiff::Timestamp;

use super::{ago, folders, grow_old, line, repository};
use crate::support::cli::forge::{Forge, put_object, status};
use crate::support::cli::{cli, open_folder};

#[test]
fn what_runs_have_left_is_swept_when_nobody_works_on_it() {
    let ids: Vec<String> = [9, 8, 7, 6, 5, 0].map(ago).into();
    let folder = repository(&ids[4..]);
    let c = |name: &str| format!("c/{name}");
    let put = |id: &str, state: &str| {
        let error = (state == "failed").then_some("No space left on device");
        let folder =
            put_object(folder.path(), &c(&format!("{id}/status.json")), status(id, state, error).to_string());
        put_object(&folder, "backup.tar.zst", "half");
        grow_old(&folder);
        folder
    };
    put(&ids[0], "failed");
    put(&ids[1], "copying");
    let running = put(&ids[2], "copying");
    fs::write(running.join(".index.json.zst.77.1.tmp"), "it grows").unwrap();
    let manifestless = put(&ids[3], "done");
    fs::remove_file(manifestless.join("status.json")).unwrap();
    let today = ids[5].replace("_n1", "_n2");
    put(&today, "failed");
    let whole = folder.path().join("c").join(&ids[4]);
    fs::write(whole.join(".backup.tar.zst.4711.0.tmp"), "half").unwrap();
    fs::write(whole.join(".keep"), "not ours").unwrap();
    grow_old(&whole);
    fs::write(whole.join(".status.json.4711.3.tmp"), "new").unwrap();
    fs::write(folder.path().join("c/notes.txt"), "a file").unwrap();
    fs::create_dir(folder.path().join("c/no-id")).unwrap();

    let answer = cli("prune --keep-last 5").on(folder.path()).run();
    let table = answer.done();
    for (name, action, reason) in [
        (ids[0].clone(), "sweep", "failed: No space left on device"),
        (ids[1].clone(), "sweep", "not complete: its program has died"),
        (ids[2].clone(), "leave", "not complete, and it may still run"),
        (ids[3].clone(), "sweep", "no manifest and no status: its program has died"),
        (today.clone(), "leave", "failed: No space left on device; it goes when it is a day old"),
        (format!("{}/.backup.tar.zst.4711.0.tmp", ids[4]), "sweep", "temporary file, last written at 20"),
        (format!("{}/.status.json.4711.3.tmp", ids[4]), "leave", "it goes when it is a day old"),
    ] {
        let line = line(table, &name);
        assert!(line.starts_with(action) && line.contains(reason), "{name} {reason}: {line}");
    }
    assert!(table.contains("\nRemoved 0 backups and 4 leftovers: "), "{table}");
    let mut left =
        vec![ids[2].clone(), ids[4].clone(), ids[5].clone(), today, "no-id".into(), "notes.txt".into()];
    left.sort();
    assert_eq!(folders(folder.path()), left);
    let hidden = [".backup.tar.zst.4711.0.tmp", ".keep", ".status.json.4711.3.tmp"];
    assert_eq!(hidden.map(|name| whole.join(name).exists()), [false, true, true]);
    cli("verify").arg(&ids[4]).on(folder.path()).run().done();
}

#[test]
fn what_is_younger_than_a_run_stays() {
    let ids: Vec<String> = [9, 7, 3, 0].map(ago).into();
    let folder = repository(&ids);
    let run = ago(5);
    let mut told = status(&run, "copying", None);
    told["updated"] = Timestamp::now().to_string().into();
    put_object(folder.path(), &format!("c/{run}/status.json"), told.to_string());
    let answer = cli("prune --keep-last 1").on(folder.path()).run();
    let kept = line(answer.done(), &ids[2]);
    assert!(kept.ends_with(&format!("younger than {run}, which may still run")), "{kept}");
    assert_eq!(folders(folder.path()), [run, ids[2].clone(), ids[3].clone()]);
}

#[test]
fn a_reader_whose_backup_is_removed_says_that_and_nothing_of_damage() {
    for line in ["verify", "restore --to"] {
        // Without its manifest, and with it.
        for is_removed in [true, false] {
            let folder = open_folder();
            let id = &ago(0);
            let mut state = 7_u64;
            let noise = (0..3 << 20).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                u8::try_from(state >> 56).unwrap()
            });
            let noise: Vec<u8> = noise.collect();
            Forge::new(id).file("db/large.MYD", noise).write(folder.path());
            let backup = folder.path().join("c").join(id);
            let archive = backup.join("backup.tar.zst");
            let target = folder.path().join("target");
            let mut reader = cli(line);
            if line.starts_with("restore") {
                reader = reader.arg(&target);
            }
            // It would take seconds; in the middle of it the archive ends.
            let mut reader = reader.arg("--limit-rate").arg("256K").arg(id).on(folder.path()).start();
            let open = format!("/proc/{}/fd", reader.pid());
            reader.wait_for("look at the archive", || {
                let open = fs::read_dir(&open).into_iter().flatten().flatten();
                open.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file == archive)
            });
            if is_removed {
                fs::remove_file(backup.join("manifest.json")).unwrap();
            }
            File::options().write(true).open(&archive).unwrap().set_len(100).unwrap();
            let answer = reader.finish();
            if is_removed {
                // Before the error, 'restore' tells that the limit makes it slow.
                let told = format!("error: backup '{id}' was removed while it was read");
                assert!(answer.status == Some(3) && answer.stderr.contains(&told), "{answer:?}");
            } else {
                assert_eq!(answer.status, Some(4), "{answer:?}");
                let told = format!("{}{}", answer.stdout, answer.stderr);
                assert!(told.contains("the archive ends at byte "), "{told}");
            }
            assert!(!target.exists());
        }
    }
}
