//! The manifests in `doc/kubernetes.md` are what the API of Kubernetes takes, by its own schemas, release for release.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many releases of Kubernetes are asked.
const RELEASES: usize = 5;

/// The blocks of YAML of the document, as one stream of documents.
fn manifests() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/kubernetes.md")).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let blocks: Vec<&str> =
        blocks.map(|rest| rest.split_once("```").expect("the end of a block").0).collect();
    assert!(blocks.len() >= 3, "{} blocks", blocks.len());
    blocks.join("---\n")
}

/// What the schemas say of them: "KIND RELEASE ANSWER".
fn judged(manifests: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(root.join("target/kubernetes/bin/python"))
        .arg(root.join("tests/kubernetes/schemas.py"))
        .arg(root.join("tests/kubernetes/statefulset.yaml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("no target/kubernetes here: run scripts/install-deps");
    python.stdin.take().unwrap().write_all(manifests.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{manifests}");
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
#[ignore = "needs kubernetes-validate"]
fn every_manifest_is_one_of_the_api() {
    let answers = judged(&manifests());
    let wrong: Vec<&String> = answers.iter().filter(|answer| !answer.ends_with(" ok")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for kind in ["ConfigMap", "Secret", "StatefulSet", "CronJob"] {
        let seen = answers.iter().filter(|answer| answer.starts_with(&format!("{kind} "))).count();
        assert_eq!(seen, RELEASES, "{kind}: {answers:?}");
    }
}

#[test]
#[ignore = "needs kubernetes-validate"]
fn a_mistake_in_any_of_them_is_seen_by_every_release() {
    let manifests = manifests();
    for (kind, right, wrong) in [
        ("CronJob", "readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"),
        ("CronJob", "concurrencyPolicy: Forbid", "concurrencyPolicy: [Forbid]"),
        ("StatefulSet", "mountPath: /opt/wsrep_sst_backup\n", "\n"),
        ("StatefulSet", "preStop:", "beforeStop:"),
        ("Secret", "stringData:", "strings:"),
        ("ConfigMap", "\ndata:", "\ndatas:"),
    ] {
        assert!(manifests.contains(right), "{right}");
        let found = judged(&manifests.replacen(right, wrong, 1));
        let complaints = found.iter().filter(|answer| answer.starts_with(kind) && !answer.ends_with(" ok"));
        assert_eq!(complaints.count(), RELEASES, "{wrong}: {found:#?}");
    }
}
