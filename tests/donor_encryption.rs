//! Backups that only the holder of a secret key can read: the donor has none, and stock `age` opens them.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::cli::{Cli, cli, open_folder};
use support::scripted_mysqld::shell;
use support::trees::assert_same_files;
use support::{ScriptedMysqld, noise};

/// A key pair in files of its own.
struct KeyPair {
    folder: tempfile::TempDir,
    public: String,
}

impl KeyPair {
    fn age() -> Self {
        let folder = open_folder();
        let line = "age-keygen -o key 2>/dev/null && age-keygen -y key";
        let public = String::from_utf8(shell(folder.path(), line)).unwrap().trim().to_owned();
        Self { folder, public }
    }

    fn ssh(kind: &str) -> Self {
        let folder = open_folder();
        let line = format!("ssh-keygen -q -t {kind} -N '' -C 'backup@vault' -f key && cat key.pub");
        let public = String::from_utf8(shell(folder.path(), &line)).unwrap().trim().to_owned();
        Self { folder, public }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("key")
    }
}

/// A server with three files whose backups are encrypted for these keys.
fn server(recipients: &[&str], more: &str) -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    let lines: String = recipients.iter().map(|key| format!("encrypt-to={key}\n")).collect();
    server.configure("wsrep_sst_backup", &format!("{lines}{more}"));
    server.write("salaries/first_secret.MYD", noise(6 << 20, 1));
    server.write("salaries/second_secret.MYD", vec![b's'; 3 << 20]);
    server
}

fn command(line: &str, server: &ScriptedMysqld) -> Cli {
    cli(line).on(&server.repository())
}

fn with_key(line: &str, server: &ScriptedMysqld, key: &Path) -> Cli {
    command(line, server).arg("--identity-file").arg(key)
}

fn backup_of(server: &ScriptedMysqld) -> PathBuf {
    let attempts = server.attempts();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    attempts[0].clone()
}

#[test]
fn every_recipient_can_restore_it_and_stock_age_can_too() {
    for (compression, tool) in
        [("zstd", "zstd -dc"), ("gzip", "gzip -dc"), ("bzip2", "bzip2 -dc"), ("none", "cat")]
    {
        let keys = [KeyPair::age(), KeyPair::ssh("ed25519")];
        let public = keys.each_ref().map(|key| key.public.as_str());
        let server = server(&public, &format!("compression={compression}"));
        let outcome = server.asks().run();
        assert_eq!((outcome.code, outcome.messages("ERROR")), (Some(0), vec![]), "{}", outcome.stderr);
        let backup = backup_of(&server);
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(backup.join("manifest.json")).unwrap()).unwrap();
        let archive = manifest["archive"]["name"].as_str().unwrap();
        assert!(
            Path::new(archive).extension() == Some("age".as_ref())
                && manifest["index"]["name"] == "index.json.zst.age",
            "{manifest}"
        );
        assert_eq!(manifest["archive"]["encryption"], "age");
        let ssh = public[1].trim_end_matches(" backup@vault");
        assert_eq!(manifest["archive"]["recipients"], serde_json::json!([public[0], ssh]));

        for key in &keys {
            let target = open_folder();
            let data = target.path().join("data");
            with_key("restore latest --as standalone", &server, &key.file()).to(&data).run().done();
            assert_same_files(&server.datadir(), &data);
            with_key("verify latest", &server, &key.file()).run().done();
            let stock = target.path().join("stock");
            fs::create_dir(&stock).unwrap();
            let line = format!(
                "age -d -i '{}' '{}' | {tool} | tar -x --no-same-owner && sha256sum --quiet -c SHA256SUMS",
                key.file().display(),
                backup.join(archive).display()
            );
            shell(&stock, &line);
            assert_same_files(&server.datadir(), &stock);
        }
    }
}

#[test]
fn nothing_but_the_manifest_can_be_read_without_a_key() {
    let (key, other) = (KeyPair::age(), KeyPair::age());
    let server = server(&[&key.public], "");
    assert_eq!(server.asks().run().code, Some(0));
    let backup = backup_of(&server);
    for object in fs::read_dir(&backup).unwrap() {
        let bytes = fs::read(object.unwrap().path()).unwrap();
        for secret in ["first_secret", "salaries", "ssssssssssssssss"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
    let id = backup.file_name().unwrap().to_str().unwrap();
    assert!(command("list", &server).run().done().contains(id));
    let shown = command("show latest", &server).run();
    assert!(shown.done().contains(&format!("Encrypted         for {}\n", key.public)), "{}", shown.stdout);
    let target = open_folder();
    let data = target.path().join("data");
    for line in ["ls latest", "verify latest", "restore latest"] {
        let started = if line.starts_with("restore") {
            command(line, &server).to(&data)
        } else {
            command(line, &server)
        };
        let what =
            format!("backup '{id}' is encrypted for {}; name the file of a secret key with", key.public);
        started.run().fails_with(2, &what);
        let started = with_key(line, &server, &other.file());
        let started = if line.starts_with("restore") { started.to(&data) } else { started };
        let what = format!(
            "is encrypted for {}; the keys in '{}' are those of {}",
            key.public,
            other.file().display(),
            other.public
        );
        started.run().fails_with(2, &what);
    }
    assert!(!data.exists(), "a restore that cannot be read touches nothing");
    with_key("verify latest", &server, Path::new("/none/key"))
        .run()
        .fails_with(2, "cannot use the keys in '/none/key'");
    let stored = command("verify latest --objects-only", &server).run();
    assert!(
        stored.done().starts_with(&format!("The objects of backup {id} are intact: ")),
        "{}",
        stored.stdout
    );
    // Its key may stand in the option file.
    server.configure("wsrep_sst_backup", &format!("identity-file={}", key.file().display()));
    cli("ls latest").own_defaults().arg("--defaults-file").arg(server.cnf()).run().done();
}

#[test]
fn damage_is_told_from_a_wrong_key_and_costs_the_files_where_it_is() {
    let key = KeyPair::age();
    let server = server(&[&key.public], "compression=none");
    assert_eq!(server.asks().run().code, Some(0));
    let backup = backup_of(&server);
    let archive = backup.join("backup.tar.age");
    let whole = fs::read(&archive).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&archive, bytes).unwrap();
        let answer = with_key("verify latest --json", &server, &key.file()).run();
        assert_eq!(answer.status, Some(4), "{at}: {}{}", answer.stdout, answer.stderr);
        let stored = command("verify latest --objects-only", &server).run();
        assert!(stored.status == Some(4) && stored.stdout.contains("its SHA-256 is"), "{}", stored.stdout);
        answer.stdout
    };
    let place = |name: &str| {
        let plain = shell(&backup, &format!("age -d -i '{}' backup.tar.age", key.file().display()));
        plain.windows(name.len()).position(|window| window == name.as_bytes()).unwrap_or(whole.len() / 2)
    };
    fs::write(&archive, &whole).unwrap();
    let second = place("salaries/second_secret.MYD") + (2 << 20);
    let found = changed(second);
    assert!(
        found.contains("salaries/second_secret.MYD")
            && found.contains("encryption shows that it was changed"),
        "{found}"
    );
    assert!(!found.contains("first_secret"), "{found}");
    // In the header nothing of the archive can be had.
    let found = changed(60);
    assert!(found.contains("first_secret") && found.contains("second_secret"), "{found}");
    fs::write(&archive, &whole[..whole.len() - 100_000]).unwrap();
    let cut = with_key("verify latest --json", &server, &key.file()).run();
    assert_eq!(cut.status, Some(4), "{}", cut.stdout);
    fs::write(&archive, &whole).unwrap();
    let target = open_folder();
    let index = backup.join("index.json.zst.age");
    let mut bytes = fs::read(&index).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&index, bytes).unwrap();
    let damaged = with_key("restore latest", &server, &key.file()).to(&target.path().join("data")).run();
    assert_eq!(damaged.status, Some(4), "{}", damaged.stderr);
}

#[test]
fn a_backup_that_should_be_encrypted_and_cannot_is_none() {
    for (line, what) in [
        ("encrypt-to=age1nobody", "encrypt-to: 'age1nobody' is no public key"),
        ("encrypt-to=/none/keys", "cannot read '/none/keys'"),
        ("encrypt-to", "encrypt-to: needs a value"),
    ] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", line);
        let outcome = server.asks().run();
        outcome.assert_refused_early(22, what);
    }
}

#[test]
fn a_manifest_that_is_not_encrypted_names_no_file() {
    let key = KeyPair::age();
    let server = server(&[&key.public], "");
    std::os::unix::fs::symlink("/nowhere/hidden_name.txt", server.datadir().join("salaries/hidden_name.txt"))
        .unwrap();
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.messages("WARNING").iter().any(|text| text.contains("hidden_name")),
        "{}",
        outcome.stderr
    );
    let manifest = fs::read_to_string(backup_of(&server).join("manifest.json")).unwrap();
    assert!(!manifest.contains("hidden_name") && manifest.contains("1 more name files"), "{manifest}");
}
