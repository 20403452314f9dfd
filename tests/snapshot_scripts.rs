//! The ready scripts for LVM and ZFS, against programs that take the place of the real ones and note what they are told: nothing here has a volume
//! group or a pool. That for btrfs is tested with a real one (`donor_snapshot_command`, `cluster_snapshot_command`); here is where it puts its snapshots.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// `findmnt` of both: the redo log is on a volume of its own.
const FINDMNT: &str = r#"case "$*" in
    *-M*) [ -e "$STATE/mounted.$(basename "$3")" ]; exit ;;
esac
case "$*" in */redo*) volume=redo ;; *) volume=data ;; esac
case "$3" in
    TARGET) echo "/srv/$volume" ;;
    SOURCE) echo "$SOURCE$volume" ;;
    FSTYPE) echo "$TYPE" ;;
esac"#;
const MOUNT: &str = r#"for at; do :; done
[ ! -e "$STATE/mount-fails" ] || exit 32
touch "$STATE/mounted.$(basename "$at")""#;
const UMOUNT: &str = r#"rm "$STATE/mounted.$(basename "$2")""#;
const LVS: &str = r#"case "$*" in
    *@*) cat "$STATE/made" 2>/dev/null; exit 0 ;;
    *pool_lv*) [ -e "$STATE/thick" ] || echo "  pool" ;;
    *vg_name*) echo "  vg" ;;
    *lv_name*) echo "  ${5##*-}" ;;
esac"#;
const LVCREATE: &str = r#"for of; do :; done
echo "  vg ${of#vg/}.n" >>"$STATE/made""#;
const LVREMOVE: &str = r#"for of; do :; done
grep -v "${of#vg/}" "$STATE/made" >"$STATE/rest" || :
mv "$STATE/rest" "$STATE/made""#;
const ZFS: &str = r#"case "$1" in
    snapshot) shift; printf '%s\n' "$@" >"$STATE/made" ;;
    list) grep -qFx "$8" "$STATE/made" ;;
    destroy) grep -vFx "$3" "$STATE/made" >"$STATE/rest" || :; mv "$STATE/rest" "$STATE/made" ;;
esac"#;

/// `stat` of a btrfs with one subvolume.
const STAT: &str = r#"for of; do :; done
case "$*" in
    "-f "*) echo btrfs ;;
    *%i*) case $of in */volume | */.wsrep_sst_backup-*) echo 256 ;; *) echo 257 ;; esac ;;
    *) exec /usr/bin/stat "$@" ;;
esac"#;
const BTRFS: &str = r#"for of; do :; done
case "$*" in
    *rootid*) echo 300 ;;
    *snapshot*) mkdir "$of" ;;
    *delete*) rmdir "$of" ;;
esac"#;

struct Scene {
    script: &'static str,
    folder: TempDir,
}

impl Scene {
    fn new(script: &'static str, programs: &[(&str, &str)]) -> Self {
        let scene = Self { script, folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(scene.at("bin")).unwrap();
        for (name, text) in programs {
            let path = scene.at("bin").join(name);
            fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>\"$STATE/calls\"\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether it has succeeded, what it has printed, and what it has said.
    fn run(&self, word: &str, name: &str) -> (bool, String, String) {
        self.run_in(Some("mounts"), word, name)
    }

    /// The same with another folder, or none.
    fn run_in(&self, folder: Option<&str>, word: &str, name: &str) -> (bool, String, String) {
        let script = format!("{}/packaging/snapshot/{}", env!("CARGO_MANIFEST_DIR"), self.script);
        let is_zfs = self.script == "zfs";
        let output = Command::new("/bin/sh")
            .args(["-c", "umask 077; exec \"$@\"", "sh", &script, word])
            .args(folder.map(|folder| self.at(folder)))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.at("bin").display()))
            .env("STATE", self.folder.path())
            .env("SOURCE", if is_zfs { "tank/" } else { "/dev/mapper/vg-" })
            .env("TYPE", if is_zfs { "zfs" } else { "xfs" })
            .env("SNAPSHOT_NAME", name)
            .env("SNAPSHOT_DIRECTORIES", self.directories())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let shown = text(output.stdout).replace(&self.at("mounts").display().to_string(), "MOUNTS");
        (output.status.success(), shown, text(output.stderr))
    }

    fn directories(&self) -> String {
        match self.script {
            "btrfs" => self.at("volume/data").display().to_string(),
            _ => "/srv/data/mysql\n/srv/redo/logs\n/srv/data/more".into(),
        }
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The server's user reaches what is mounted there.
    fn is_reached(&self) -> bool {
        fs::metadata(self.at("mounts")).unwrap().permissions().mode() & 0o777 == 0o755
    }

    /// What was called since the last time, without questions.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        fs::write(self.at("calls"), "").unwrap();
        let is_question = |call: &&str| {
            ["findmnt ", "lvs ", "zfs list", "stat ", "btrfs inspect-internal"]
                .iter()
                .any(|word| call.starts_with(word))
        };
        let calls = calls.lines().filter(|call| !is_question(call));
        calls.map(|call| call.replace(&self.at("mounts").display().to_string(), "MOUNTS")).collect()
    }

    fn is_clean(&self) -> bool {
        let made = fs::read_to_string(self.at("made")).unwrap_or_default();
        let mounted = fs::read_dir(self.folder.path()).unwrap().flatten();
        let mounted =
            mounted.filter(|entry| entry.file_name().to_string_lossy().starts_with("mounted.")).count();
        made.is_empty() && mounted == 0 && !self.at("mounts/n").exists()
    }
}

fn lvm() -> Scene {
    let programs = [
        ("findmnt", FINDMNT),
        ("mount", MOUNT),
        ("umount", UMOUNT),
        ("lvs", LVS),
        ("lvcreate", LVCREATE),
        ("lvremove", LVREMOVE),
    ];
    Scene::new("lvm", &programs)
}

#[test]
fn lvm_snapshots_each_thin_volume_once_and_removes_no_other() {
    let scene = lvm();
    let (done, printed, said) = scene.run("take", "n");
    assert!(done && scene.is_reached(), "{said}");
    assert_eq!(
        printed,
        "/srv/data\tMOUNTS/n/vg-data\n/srv/redo\tMOUNTS/n/vg-redo\n/srv/data\tMOUNTS/n/vg-data\n"
    );
    let create = |volume: &str| {
        format!(
            "lvcreate --quiet --snapshot --setactivationskip n --activate y --addtag wsrep_sst_backup.n --name {volume}.n -- vg/{volume}"
        )
    };
    let mount = |volume: &str| {
        format!("mount -t xfs -o ro,nouuid,nosuid,nodev,noexec -- /dev/vg/{volume}.n MOUNTS/n/vg-{volume}")
    };
    assert_eq!(scene.calls(), [create("data"), mount("data"), create("redo"), mount("redo")]);
    let (done, _, said) = scene.run("release", "n");
    assert!(done && scene.is_clean(), "{said}");
    let removed = ["data", "redo"].map(|volume| format!("lvremove --quiet --yes -- vg/{volume}.n"));
    let unmounted = ["data", "redo"].map(|volume| format!("umount -- MOUNTS/n/vg-{volume}"));
    assert_eq!(scene.calls(), [unmounted, removed].concat());
    // Where there is nothing that is a success.
    let (done, _, said) = scene.run("release", "n");
    assert!(done && scene.calls().is_empty(), "{said}");
}

#[test]
fn lvm_removes_what_it_has_begun_and_refuses_what_it_cannot_do() {
    let scene = lvm();
    fs::write(scene.at("mount-fails"), "").unwrap();
    let (done, _, said) = scene.run("take", "n");
    assert!(!done && said.contains("the snapshot 'vg/data.n' cannot be mounted"), "{said}");
    assert!(scene.run("release", "n").0 && scene.is_clean());
    fs::write(scene.at("thick"), "").unwrap();
    scene.calls();
    let (done, _, said) = scene.run("take", "n");
    assert!(!done && said.contains("'vg/data' is no thin volume") && scene.calls().is_empty(), "{said}");
    for name in ["", "../n", "-n", "n;n", "n n"] {
        for word in ["take", "release"] {
            let (done, _, said) = scene.run(word, name);
            assert!(!done && said.contains("SNAPSHOT_NAME is no name"), "{name}: {said}");
        }
    }
    assert!(scene.calls().is_empty());
}

fn zfs() -> Scene {
    Scene::new("zfs", &[("findmnt", FINDMNT), ("mount", MOUNT), ("umount", UMOUNT), ("zfs", ZFS)])
}

#[test]
fn zfs_snapshots_all_datasets_at_once_and_destroys_no_other() {
    let scene = zfs();
    let (done, printed, said) = scene.run("take", "n");
    assert!(done && scene.is_reached(), "{said}");
    assert_eq!(printed, "/srv/data\tMOUNTS/n/1\n/srv/redo\tMOUNTS/n/2\n");
    let at = |dataset: &str| format!("tank/{dataset}@wsrep_sst_backup-n");
    let mount = |dataset: &str, number: u8| {
        format!("mount -t zfs -o ro,nosuid,nodev,noexec -- {} MOUNTS/n/{number}", at(dataset))
    };
    let all = format!("zfs snapshot {} {}", at("data"), at("redo"));
    assert_eq!(scene.calls(), [all, mount("data", 1), mount("redo", 2)]);
    let (done, _, said) = scene.run("release", "n");
    assert!(done && scene.is_clean(), "{said}");
    let destroyed = ["data", "redo"].map(|dataset| format!("zfs destroy -- {}", at(dataset)));
    assert_eq!(
        scene.calls(),
        [vec!["umount -- MOUNTS/n/1".into(), "umount -- MOUNTS/n/2".into()], destroyed.to_vec()].concat()
    );
    assert!(scene.run("release", "n").0 && scene.calls().is_empty());
    // Half the way: nothing is left.
    fs::write(scene.at("mount-fails"), "").unwrap();
    let (done, _, said) = scene.run("take", "n");
    assert!(!done && said.contains("'tank/data@wsrep_sst_backup-n' cannot be mounted"), "{said}");
    assert!(scene.run("release", "n").0 && scene.is_clean());
}

/// Root would follow a link of the server's user there.
#[test]
fn nothing_is_mounted_or_removed_where_others_can_write() {
    for scene in [lvm(), zfs()] {
        fs::create_dir(scene.at("mounts")).unwrap();
        for mode in [0o777, 0o1777, 0o775] {
            scene.set_mode("mounts", mode);
            let (done, _, said) = scene.run("take", "n");
            assert!(!done && said.contains("mounts' can be written by others than root"), "{said}");
            assert!(scene.calls().is_empty());
            // Nothing was made, so nothing is to be removed.
            let (done, _, said) = scene.run("release", "n");
            assert!(done, "{said}");
        }
        scene.set_mode("mounts", 0o755);
        assert!(scene.run("take", "n").0);
        scene.set_mode("mounts", 0o777);
        scene.calls();
        let (done, _, said) = scene.run("release", "n");
        assert!(!done && said.contains("can be written by others"), "{said}");
        assert!(scene.calls().is_empty());
    }
}

#[test]
fn a_subvolume_is_made_and_removed_only_where_others_cannot_write() {
    let scene = Scene::new("btrfs", &[("stat", STAT), ("btrfs", BTRFS)]);
    fs::create_dir_all(scene.at("volume/data")).unwrap();
    fs::create_dir(scene.at("mounts")).unwrap();
    // In the named folder, or not at all.
    let refused = |words: &[&str]| {
        for word in words {
            let (done, _, said) = scene.run(word, "n");
            assert!(!done && said.contains("can be written by others than root"), "{word}: {said}");
        }
        assert!(scene.calls().is_empty());
    };
    for mode in [0o777, 0o1777, 0o775] {
        scene.set_mode("mounts", mode);
        refused(&["take"]);
        assert!(scene.run("release", "n").0, "nothing was made, so nothing is to be removed");
    }
    scene.set_mode("mounts", 0o755);
    let (done, printed, said) = scene.run("take", "n");
    assert!(done, "{said}");
    let volume = scene.at("volume");
    assert_eq!(printed, format!("{}\tMOUNTS/.wsrep_sst_backup-n-300\n", volume.display()));
    scene.calls();
    scene.set_mode("mounts", 0o777);
    refused(&["release"]);
    scene.set_mode("mounts", 0o755);
    let (done, _, said) = scene.run("release", "n");
    assert!(done && fs::read_dir(scene.at("mounts")).unwrap().count() == 0, "{said}");
    scene.calls();
    // A link in the place of the folder above it, which the server's user could have put there.
    fs::create_dir(scene.at("open")).unwrap();
    scene.set_mode("open", 0o777);
    fs::rename(scene.at("mounts"), scene.at("open/mounts")).unwrap();
    std::os::unix::fs::symlink(scene.at("open/mounts"), scene.at("mounts")).unwrap();
    refused(&["take"]);
    // Without a folder: in the first one upwards in which nobody else can write.
    for (mode, below) in [(0o755, "volume/"), (0o777, "")] {
        scene.set_mode("volume", mode);
        let (done, printed, said) = scene.run_in(None, "take", "n");
        assert!(done, "{said}");
        let place = scene.at(&format!("{below}.wsrep_sst_backup-n-300"));
        assert_eq!(printed, format!("{}\t{}\n", volume.display(), place.display()));
        assert!(place.exists() && scene.run_in(None, "release", "n").0 && !place.exists());
    }
}
