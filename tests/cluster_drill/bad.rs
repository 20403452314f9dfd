//! Backups and servers that do not pass.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use serde_json::Value;

use super::scene::Scene;
use super::support::cli::records::edit_manifest;
use super::support::program::{gtid, number, text};
use super::support::{PATIENCE, copy_program, wait_until};

/// Nothing is said of the backup.
pub(super) fn a_server_that_is_too_old(scene: &Scene, backup: &Value) {
    let before = scene.record(backup);
    let draft = scene.cluster.dir().join("old.sh");
    fs::write(&draft, "#!/bin/sh\necho 'mariadbd  Ver 10.3.39-MariaDB for Linux'\n").unwrap();
    let program = scene.cluster.dir().join("mariadbd");
    copy_program(&draft, &program);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let ran = scene.drill(backup, &["--mysqld", &program.display().to_string()]);
    assert!(ran.status == Some(1) && ran.err.contains("is MariaDB 10.3, backup '"), "{ran:?}");
    assert!(ran.err.contains("name one of that series with --mysqld"), "{ran:?}");
    assert_eq!(scene.record(backup), before);
}

pub(super) fn a_manifest_with_another_position(scene: &Scene, backup: &Value) {
    let seqno = gtid(backup).seqno;
    edit_manifest(&scene.folder(backup), |manifest| manifest["gtid"]["seqno"] = (seqno + 1).into());
    let (step, why) = scene.fails(backup);
    let is_told = why.contains(&seqno.to_string()) && why.contains(&(seqno + 1).to_string());
    assert!(["restore", "position"].contains(&step.as_str()) && is_told, "{step}: {why}");
    edit_manifest(&scene.folder(backup), |manifest| manifest["gtid"]["seqno"] = seqno.into());
    assert_eq!(scene.drill(backup, &["--tables", "none"]).status, Some(0));
}

/// A donor that has no SQL does not know that it lacks a file.
pub(super) fn a_tablespace_that_is_missing(scene: &Scene) {
    fs::remove_file(scene.cluster.n(2).datadir().join("d/gone.ibd")).unwrap();
    let backup = scene.back_up_with("freeze", "user=nobody\n");
    let (step, why) = scene.fails(&backup);
    assert_eq!(step, "tables");
    assert!(why.contains("d.gone: ") && why.contains("Tablespace is missing"), "{why}");
}

pub(super) fn a_stream_that_was_changed(scene: &Scene, backup: &Value) {
    let object = scene.folder(backup).join(text(backup, "/archive/name"));
    let file = OpenOptions::new().read(true).write(true).open(object).unwrap();
    let (middle, mut byte) = (file.metadata().unwrap().len() / 2, [0]);
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    let (step, why) = scene.fails(backup);
    assert!(step == "restore" && why.contains("is damaged"), "{step}: {why}");
}

pub(super) fn a_dump_that_was_cut_in_half(scene: &Scene, backup: &Value) {
    let object = scene.folder(backup).join(text(backup, "/archive/name"));
    let file = OpenOptions::new().write(true).open(object).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let (step, why) = scene.fails(backup);
    assert!(step == "restore" && why.contains("is damaged"), "{step}: {why}");
}

/// What was stored is what the donor had, so that no digest tells.
pub(super) fn a_page_that_was_damaged_on_the_donor(scene: &Scene) {
    let (first, donor) = (scene.cluster.n(1), scene.cluster.n(2));
    first.sql_all(&[
        "CREATE TABLE d.torn (a INT PRIMARY KEY, b TEXT) ENGINE=InnoDB",
        "USE d",
        "INSERT INTO torn SELECT seq, REPEAT(MD5(seq), 9) FROM seq_1_to_5000",
    ]);
    assert!(wait_until(PATIENCE, || first.position() == donor.position()));
    donor.exec("FLUSH TABLES d.torn FOR EXPORT");
    let file = File::options().write(true).open(donor.datadir().join("d/torn.ibd")).unwrap();
    file.write_all_at(b"not what the server wrote", 5 * 16384 + 100).unwrap();
    let backup = scene.back_up("freeze");
    assert_eq!(number(&backup, "/damaged_pages"), 1, "{backup:#}");
    let (step, why) = scene.fails(&backup);
    assert!(step == "tables" && why.contains("d.torn"), "{step}: {why}");
}
