//! What lies in the packages is in order: by the tools that look after packages, units, manuals and completions.

mod package;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use package::{ok, package, run, said};
use serde_json::Value;
use wsrep_sst_backup::config::SETTINGS;

const UNITS: [&str; 12] = [
    "wsrep-sst-backup.service",
    "wsrep-sst-backup.timer",
    "wsrep-sst-backup-run.service",
    "wsrep-sst-backup-run.timer",
    "wsrep-sst-backup-prune.service",
    "wsrep-sst-backup-prune.timer",
    "wsrep-sst-backup-verify.service",
    "wsrep-sst-backup-verify.timer",
    "wsrep-sst-backup-drill.service",
    "wsrep-sst-backup-drill.timer",
    "wsrep-sst-backup-snapshot.socket",
    "wsrep-sst-backup-snapshot@.service",
];

/// The files of the .deb.
fn unpacked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (file, place) = (package("deb", 1), folder.path());
    run("dpkg-deb", &["-x", &file.display().to_string(), &place.display().to_string()]);
    folder
}

#[test]
#[ignore = "needs the packages of scripts/install-deps"]
fn lintian_and_rpmlint_find_no_error() {
    let deb = package("deb", 1);
    let said_of_deb =
        Command::new("lintian").args(["--allow-root", "--fail-on", "error,warning"]).arg(deb).output();
    assert_eq!(ok(&said_of_deb.unwrap()), "");
    let rpm = package("rpm", 1).display().to_string();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/rpm/rpmlint.toml");
    let told = run("rpmlint", &["-c", &config.display().to_string(), &rpm]);
    assert!(told.contains(" 0 errors,"), "{told}");
}

#[test]
#[ignore = "needs the packages of scripts/install-deps"]
fn systemd_understands_every_unit() {
    let folder = unpacked();
    let place = folder.path().join("usr/lib/systemd/system");
    let bin = folder.path().join("usr/bin");
    for unit in UNITS {
        let text = fs::read_to_string(place.join(unit)).unwrap();
        // The program is not installed on this machine.
        fs::write(place.join(unit), text.replace("/usr/bin", &bin.display().to_string())).unwrap();
    }
    let verify = |units: &[PathBuf]| {
        let output =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output().unwrap();
        let told = said(&output);
        // Units of other packages are looked at too.
        let ours =
            told.lines().filter(|line| line.contains("wsrep")).map(ToOwned::to_owned).collect::<Vec<_>>();
        (output.status.success(), ours)
    };
    let units: Vec<PathBuf> = UNITS.iter().map(|unit| place.join(unit)).collect();
    assert_eq!(verify(&units), (true, Vec::new()));
    // It would see a mistake.
    let service = place.join(UNITS[0]);
    let text = fs::read_to_string(&service).unwrap();
    fs::write(&service, text.replace("ProtectHome", "ProtectHom")).unwrap();
    assert!(verify(&units).1.iter().any(|line| line.contains("ProtectHom")));
}

#[test]
#[ignore = "needs the packages of scripts/install-deps"]
fn the_manuals_render_and_leave_nothing_out() {
    let folder = unpacked();
    let man = |page: &str| {
        let page = folder.path().join("usr/share/man").join(page);
        let output = Command::new("man")
            .args(["--warnings", "-l"])
            .arg(page)
            .env("MANWIDTH", "120")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        ok(&output)
    };
    let program = man("man1/wsrep-sst-backup.1.gz");
    let help = run(env!("CARGO_BIN_EXE_wsrep_sst_backup"), &["--help"]);
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let names =
        listed.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(program.contains(&format!("\n   {name} ")), "no '{name}' in:\n{program}");
    }
    assert_eq!(man("man1/wsrep_sst_backup.1.gz"), program);
    let settings = man("man5/wsrep_sst_backup.cnf.5.gz");
    for setting in SETTINGS.iter().flat_map(|chapter| chapter.settings) {
        assert!(settings.contains(&format!("\n       {} = ", setting.name)), "no '{}'", setting.name);
    }
}

#[test]
#[ignore = "needs the packages of scripts/install-deps"]
fn bash_completes_commands_and_flags_under_both_names() {
    let folder = unpacked();
    for name in ["wsrep_sst_backup", "wsrep-sst-backup"] {
        let file = folder.path().join("usr/share/bash-completion/completions").join(name);
        let lines = format!(
            "source '{}'; COMP_WORDS=({name} backup --unl); COMP_CWORD=2; $(complete -p {name} | sed 's/.*-F \\([^ ]*\\).*/\\1/') \
             {name} --unl backup; echo \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        assert_eq!(run("bash", &["-c", &lines]), "--unless-newer-than\n", "{name}");
    }
    for file in
        ["fish/vendor_completions.d/wsrep_sst_backup.fish", "zsh/vendor-completions/_wsrep_sst_backup"]
    {
        let text = fs::read_to_string(folder.path().join("usr/share").join(file)).unwrap();
        assert!(text.contains("unless-newer-than"), "{file}");
    }
}

#[test]
#[ignore = "needs the packages of scripts/install-deps"]
fn everything_that_is_linked_is_listed_with_its_licence() {
    let folder = unpacked();
    let documents = folder.path().join("usr/share/doc/wsrep-sst-backup");
    let bom: Value = serde_json::from_slice(&fs::read(documents.join("sbom.cdx.json")).unwrap()).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = bom["components"].as_array().unwrap();
    let names: Vec<&str> = components.iter().filter_map(|part| part["name"].as_str()).collect();
    for linked in ["zstd-sys", "tar", "rustls", "glibc", "rust-std"] {
        assert!(names.contains(&linked), "no '{linked}' in {names:?}");
    }
    for test_only in ["proptest", "s3s", "clap_mangen", "serde_derive"] {
        assert!(!names.contains(&test_only), "'{test_only}' is not linked");
    }
    for part in components {
        assert!(part["licenses"][0]["expression"].as_str().is_some_and(|text| !text.is_empty()), "{part}");
        let is_crate = part["purl"].is_string();
        let checksum = part["hashes"][0]["content"].as_str().unwrap_or_default();
        assert_eq!(checksum.len(), if is_crate { 64 } else { 0 }, "{part}");
    }
    let licences = run("zcat", &[&documents.join("licences.txt.gz").display().to_string()]);
    for name in ["zstd-sys ", "tar ", "rustls "] {
        assert!(licences.contains(name), "no '{name}'");
    }
    let sums = package("deb", 1).with_file_name("SHA256SUMS");
    let mut check = Command::new("sha256sum");
    let checked = check.args(["--check", "--strict"]).arg(&sums).current_dir(sums.parent().unwrap()).output();
    assert_eq!(ok(&checked.unwrap()).matches(": OK").count(), 2);
}
