//! `metrics-file` as the commands of an administrator write it, and what is shipped to read it.
#![allow(clippy::float_cmp, reason = "numbers are compared as they were written")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use support::cli::forge::{Forge, ago, manifest, put_manifest, put_object};
use support::cli::{Cli, cli, open_folder};
use support::prometheus::{Metrics, promtool};
use wsrep_sst_backup::metrics::{FAMILIES, PREFIX};

struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Self(open_folder());
        fs::create_dir(stage.repository()).unwrap();
        stage
    }

    fn repository(&self) -> PathBuf {
        self.0.path().join("repository")
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("x.prom")
    }

    /// A command that has a metrics file.
    fn cli(&self, line: &str) -> Cli {
        cli(line)
            .on(&self.repository())
            .env("WSREP_SST_BACKUP_METRICS_FILE", self.file().display().to_string())
    }

    fn metrics(&self) -> Metrics {
        Metrics::read(&self.file())
    }
}

#[test]
fn a_verification_is_told_and_kept_when_its_backup_goes() {
    let stage = Stage::new();
    let (old, new) = (ago(3), ago(1));
    let backup = Forge::new(&old).write(&stage.repository());
    Forge::new(&new).write(&stage.repository());
    stage.cli("verify").arg(&old).run().done();
    let metrics = stage.metrics();
    let verified = metrics.of("c", "last_verify_timestamp_seconds");
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let now = Timestamp::now().as_second() as f64;
    assert!((now - 60.0..=now + 1.0).contains(&verified), "{verified}");
    assert_eq!(metrics.of("c", "last_verify_success"), 1.0);
    let taken = metrics.of("c", "last_verify_backup_timestamp_seconds");
    assert!(taken < metrics.of("c", "last_success_timestamp_seconds"));
    assert_eq!((metrics.of("c", "kept_backups"), metrics.of("c", "damaged_backups")), (2.0, 0.0));

    let archive = fs::read(backup.join("backup.tar.zst")).unwrap();
    fs::write(backup.join("backup.tar.zst"), &archive[..archive.len() / 2]).unwrap();
    assert_eq!(stage.cli("verify").arg(&old).run().status, Some(4));
    let metrics = stage.metrics();
    assert_eq!((metrics.of("c", "last_verify_success"), metrics.of("c", "damaged_backups")), (0.0, 1.0));
    assert!(metrics.of("c", "last_verify_findings") >= 1.0);
    let damaged = metrics.of("c", "last_verify_timestamp_seconds");

    // Nothing is removed, nothing is written.
    let before = fs::read(stage.file()).unwrap();
    stage.cli("prune --keep-last 1 --dry-run").run().done();
    assert_eq!(fs::read(stage.file()).unwrap(), before);
    stage.cli("prune --keep-last 1").run().done();
    let metrics = stage.metrics();
    assert_eq!((metrics.of("c", "kept_backups"), metrics.of("c", "damaged_backups")), (1.0, 0.0));
    assert_eq!(metrics.of("c", "last_verify_timestamp_seconds"), damaged);
}

#[test]
fn a_drill_is_told_until_its_backup_goes_and_the_latest_one_counts() {
    let stage = Stage::new();
    let (old, new) = (ago(3), ago(1));
    for id in [&old, &new] {
        put_manifest(&stage.repository(), "c", &manifest(id));
    }
    let drill = |id: &str, outcome: &str, at: &str| {
        let text = format!(
            r#"{{"drilled": "{at}", "by": "u@h", "outcome": "{outcome}", "failed_at": null, "server": "10.11.19-MariaDB",
                "tables": {{"all": 9, "checked": 9}}, "rows": 1, "queries": 0, "restore_ms": 61500, "start_ms": 2500,
                "check_ms": 500, "join": {{"ms": 3100, "writesets": 7, "position": "u:9"}}, "took_ms": 70000,
                "tool": {{"version": "0.1.0"}}}}"#
        );
        fs::write(stage.repository().join("c").join(id).join("drill.json"), text).unwrap();
    };
    drill(&old, "proved", "2026-11-20T11:34:52Z");
    drill(&new, "failed", "2026-11-19T11:34:52Z");
    stage.cli("prune --keep-last 9").run().done();
    let metrics = stage.metrics();
    let value = |name: &str| metrics.of("c", name);
    assert_eq!(value("last_drill_timestamp_seconds"), 1_795_174_492.0);
    assert_eq!((value("last_drill_success"), value("damaged_backups")), (1.0, 0.0));
    assert_eq!(
        ["restore", "start", "check", "duration"].map(|part| value(&format!("last_drill_{part}_seconds"))),
        [61.5, 2.5, 0.5, 70.0]
    );
    assert!(value("last_drill_backup_timestamp_seconds") < value("last_success_timestamp_seconds"));
    drill(&new, "failed", "2026-11-21T11:34:52Z");
    stage.cli("prune --keep-last 9").run().done();
    assert_eq!(stage.metrics().of("c", "last_drill_success"), 0.0);
}

#[test]
fn prune_knows_every_cluster_or_the_one_that_is_named() {
    let stage = Stage::new();
    for (cluster, days) in [("c", 1), ("c", 2), ("d", 1), ("e", 1)] {
        put_manifest(&stage.repository(), cluster, &manifest(&ago(days)));
    }
    let clusters = |metrics: &Metrics| -> Vec<String> {
        metrics.labels("kept_backups").iter().map(|labels| labels["cluster"].clone()).collect()
    };
    stage.cli("prune --keep-last 9 --cluster c").run().done();
    assert_eq!(clusters(&stage.metrics()), ["c"]);
    stage.cli("prune --keep-last 9 --all-clusters").run().done();
    assert_eq!(clusters(&stage.metrics()), ["c", "d", "e"]);
    fs::remove_dir_all(stage.repository().join("d")).unwrap();
    stage.cli("prune --keep-last 1 --cluster c").run().done();
    assert_eq!(clusters(&stage.metrics()), ["c", "d", "e"], "d was not asked for");
    assert_eq!(stage.metrics().of("c", "kept_backups"), 1.0);
    stage.cli("prune --keep-last 1 --all-clusters").run().done();
    assert_eq!(clusters(&stage.metrics()), ["c", "e"]);
}

#[test]
fn check_refreshes_them_and_says_when_the_repository_cannot_be_read() {
    let stage = Stage::new();
    put_manifest(&stage.repository(), "c", &manifest(&ago(1)));
    let mut other = manifest(&ago(9));
    other["gtid"]["uuid"] = "00000000-2f3a-11ef-9a3c-0a1b2c3d4e5f".into();
    put_manifest(&stage.repository(), "c", &other);
    let cnf = stage.0.path().join("my.cnf");
    let nowhere = stage.0.path().join("nowhere");
    let text = format!(
        "[mysqld]\ndatadir={0}\nsocket={0}/s\nwsrep_cluster_name=c\n[wsrep_sst_backup]\nrepository={1}\nmetrics-file={2}\n",
        nowhere.display(),
        stage.repository().display(),
        stage.file().display()
    );
    fs::write(&cnf, text).unwrap();
    let check = || {
        let defaults = format!("--defaults-file={}", cnf.display());
        cli("check --json").own_defaults().arg(defaults).run()
    };
    let first = check();
    assert_eq!(first.stderr, "", "{}", first.stdout);
    let metrics = stage.metrics();
    assert_eq!((metrics.of("c", "kept_backups"), metrics.of("c", "repository_readable")), (2.0, 1.0));
    assert_eq!(metrics.of("c", "histories"), 2.0);
    // The last run on this node is the donor's word.
    let run = "# HELP wsrep_sst_backup_last_run_success x\n# TYPE wsrep_sst_backup_last_run_success gauge\n\
               wsrep_sst_backup_last_run_success{cluster=\"c\",node=\"n1\"} 0\n";
    let text = fs::read_to_string(stage.file()).unwrap();
    fs::write(stage.file(), format!("{text}{run}")).unwrap();

    fs::rename(stage.repository(), stage.0.path().join("away")).unwrap();
    check();
    let after = stage.metrics();
    assert_eq!((after.of("c", "kept_backups"), after.of("c", "repository_readable")), (2.0, 0.0));
    let at = |metrics: &Metrics| metrics.of("c", "catalog_timestamp_seconds");
    assert_eq!(at(&after), at(&metrics), "nothing new is known");
    fs::rename(stage.0.path().join("away"), stage.repository()).unwrap();
    check();
    let back = stage.metrics();
    assert_eq!(back.of("c", "repository_readable"), 1.0);
    assert!(at(&back) > at(&metrics));
    assert_eq!(back.get("last_run_success", &[("cluster", "c"), ("node", "n1")]), Some(0.0));
}

#[test]
fn what_cannot_be_written_is_a_warning() {
    let stage = Stage::new();
    Forge::new(&ago(1)).write(&stage.repository());
    put_object(stage.0.path(), "x.prom", "node_load1 0.5\n");
    let answer = stage.cli("verify latest").run();
    assert_eq!(answer.status, Some(0));
    let warning = format!(
        "warning: metrics: '{}' is not replaced: wsrep_sst_backup has not written it (the setting 'metrics-file' names it)\n",
        stage.file().display()
    );
    assert_eq!(answer.stderr, warning);
    assert_eq!(fs::read_to_string(stage.file()).unwrap(), "node_load1 0.5\n");
}

/// Every word in a text that begins like one of our metrics.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.match_indices(PREFIX).filter(|(at, _)| !text[..*at].ends_with(is_part));
    words.map(|(at, _)| text[at..].chars().take_while(|c| is_part(*c)).collect()).collect()
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// What Grafana would ask Prometheus.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_shipped_names_metrics_that_exist() {
    let all: BTreeSet<String> = FAMILIES.iter().map(|family| format!("{PREFIX}{}", family.name)).collect();
    assert_eq!(all.len(), FAMILIES.len());
    let rules = fs::read_to_string(shipped("prometheus/wsrep_sst_backup.rules.yml")).unwrap();
    let dashboard = fs::read_to_string(shipped("grafana/wsrep_sst_backup.json")).unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/monitoring.md")).unwrap();
    for (what, least, text) in [("rules", 10, &rules), ("dashboard", 15, &dashboard)] {
        let named = named(text);
        assert!(named.len() >= least, "{what}: {named:?}");
        assert_eq!(named.difference(&all).collect::<Vec<_>>(), Vec::<&String>::new(), "{what}");
    }
    for family in &FAMILIES {
        assert!(page.contains(&format!("`{}`", family.name)), "doc/monitoring.md: {}", family.name);
    }
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(expressions(&dashboard).len() >= 15);
    let ids: BTreeSet<i64> =
        dashboard["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), dashboard["panels"].as_array().unwrap().len());
}

#[test]
#[ignore = "needs promtool"]
fn promtool_understands_what_is_shipped_and_each_alert_comes_when_it_should() {
    let rules = shipped("prometheus/wsrep_sst_backup.rules.yml");
    promtool(&["check", "rules", &rules.to_string_lossy()], None);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli_metrics/rules_test.yml");
    promtool(&["test", "rules", &cases.to_string_lossy()], None);
    let cases = fs::read_to_string(cases).unwrap();
    for alert in fs::read_to_string(&rules).unwrap().lines().filter_map(|line| line.split_once("- alert: ")) {
        assert!(cases.contains(&format!("alertname: {}\n        exp_alerts:", alert.1)), "{}", alert.1);
    }
    // The expressions of the dashboard as rules.
    let folder = open_folder();
    let dashboard = fs::read(shipped("grafana/wsrep_sst_backup.json")).unwrap();
    let dashboard: Value = serde_json::from_slice(&dashboard).unwrap();
    let lines: Vec<Value> = expressions(&dashboard)
        .iter()
        .enumerate()
        .map(|(nth, expr)| serde_json::json!({ "record": format!("panel:{nth}"), "expr": expr }))
        .collect();
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": lines }] });
    put_object(folder.path(), "d/rules.json", rules.to_string());
    promtool(&["check", "rules", &folder.path().join("d/rules.json").to_string_lossy()], None);
}

#[test]
fn a_repository_that_is_empty_all_at_once_does_not_fall_silent() {
    let stage = Stage::new();
    for cluster in ["c", "d"] {
        put_manifest(&stage.repository(), cluster, &manifest(&ago(1)));
    }
    let kept = |metrics: &Metrics| ["c", "d"].map(|name| metrics.of(name, "kept_backups"));
    stage.cli("check --sample 0").run();
    assert_eq!(kept(&stage.metrics()), [1.0, 1.0]);
    // A file system that is not mounted leaves the directory below it, and nothing here has a cluster's name.
    fs::rename(stage.repository(), stage.0.path().join("away")).unwrap();
    fs::create_dir(stage.repository()).unwrap();
    stage.cli("check --sample 0").run();
    let empty = stage.metrics();
    assert_eq!(kept(&empty), [0.0, 0.0]);
    assert_eq!(empty.get("last_success_timestamp_seconds", &[("cluster", "c")]), None);
}

#[test]
fn a_command_that_cannot_use_the_repository_says_so() {
    let stage = Stage::new();
    put_manifest(&stage.repository(), "c", &manifest(&ago(1)));
    let away = stage.0.path().join("away");
    let told = |line: &str, place: &Path| {
        let repository = place.display().to_string();
        let file = stage.file().display().to_string();
        let by_setting = cli(line).env("WSREP_SST_BACKUP_REPOSITORY", repository);
        let status = by_setting.env("WSREP_SST_BACKUP_METRICS_FILE", file).run().status;
        let metrics = stage.metrics();
        (status, metrics.of("c", "kept_backups"), metrics.of("c", "repository_readable"))
    };
    for line in ["verify latest", "drill latest", "prune --keep-last 1 --cluster c"] {
        assert_eq!(told("prune --keep-last 1", &stage.repository()), (Some(0), 1.0, 1.0));
        assert_eq!(told(line, &away), (Some(1), 1.0, 0.0), "{line}");
        assert_eq!(told("prune --keep-last 1", &stage.repository()).2, 1.0);
        // A flag may mean another one.
        let file = stage.file().display().to_string();
        let elsewhere = cli(line).on(&away).env("WSREP_SST_BACKUP_METRICS_FILE", file).run();
        assert_eq!(
            (elsewhere.status, stage.metrics().of("c", "repository_readable")),
            (Some(1), 1.0),
            "{line}"
        );
    }
}

#[test]
fn a_run_that_gets_no_further_than_to_its_server_is_told() {
    let stage = Stage::new();
    let cnf = stage.0.path().join("my.cnf");
    let nowhere = stage.0.path().join("nowhere");
    let text = format!(
        "[mysqld]\nwsrep_on=ON\nwsrep_cluster_name=my cluster\nwsrep_node_name=n7\ndatadir={0}\nsocket={0}/s\n\
         [wsrep_sst_backup]\nmetrics-file={1}\n",
        nowhere.display(),
        stage.file().display()
    );
    fs::write(&cnf, text).unwrap();
    let run = |line: &str| {
        let defaults = format!("--defaults-file={}", cnf.display());
        cli(line).own_defaults().arg(defaults).on(&stage.repository()).run()
    };
    // A command is no backup, and what a killed run has left is no matter of one.
    assert_eq!(run("run --resync").status, Some(0));
    let defaults = format!("--defaults-file={}", cnf.display());
    let command = cli("run").own_defaults().arg(defaults).arg("--").arg("true").run();
    assert!(command.status != Some(0) && !stage.file().exists(), "{}", command.stderr);
    for line in ["run", "run --unless-newer-than 20h"] {
        let _ = fs::remove_file(stage.file());
        let ran = run(line);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        let metrics = stage.metrics();
        let of_run = [("cluster", "my_cluster"), ("node", "n7")];
        assert_eq!(metrics.get("last_run_success", &of_run), Some(0.0), "{line}");
        assert_eq!(metrics.get("last_run_exit_status", &of_run), Some(1.0), "{line}");
        assert_eq!(metrics.get("repository_readable", &[("cluster", "my_cluster")]), None, "{line}");
    }
}
