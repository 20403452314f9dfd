use super::*;
use crate::metrics::Scope;

const AWKWARD: &str = "n\\1 \"a\"\nb,c={d}";

fn run(node: &str) -> LastRun {
    LastRun {
        cluster: "c".into(),
        node: node.into(),
        started: "2026-11-20T11:34:52.25Z".parse().unwrap(),
        ended: "2026-11-20T11:34:54Z".parse().unwrap(),
        exit_status: 28,
        frozen_ms: Some(801),
    }
}

fn lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(&format!("{PREFIX}{name}{{"))).collect()
}

#[test]
fn names_that_are_awkward_come_back_as_they_were() {
    let mut all = Exposition::default();
    all.set_run(&run(AWKWARD));
    let text = all.render();
    let line = "wsrep_sst_backup_last_run_exit_status{cluster=\"c\",node=\"n\\\\1 \\\"a\\\"\\nb,c={d}\"} 28";
    assert_eq!(lines(&text, "last_run_exit_status"), [line]);
    assert_eq!(lines(&text, "last_run_duration_seconds")[0].rsplit_once(' ').unwrap().1, "1.750");
    assert_eq!(lines(&text, "last_run_timestamp_seconds")[0].rsplit_once(' ').unwrap().1, "1795174494");
    let again = Exposition::parse(&text);
    assert_eq!(again.render(), text);
    assert!(again.samples.iter().flat_map(|sample| &sample.labels).any(|(_, value)| value == AWKWARD));
}

#[test]
fn each_family_is_described_once_and_before_its_numbers() {
    let mut all = Exposition::default();
    all.set_run(&run("n1"));
    all.set_unreadable(Some("c"));
    all.set_unreadable(Some("b"));
    let text = all.render();
    let mut described = "";
    for line in text.lines().skip(1) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            described = rest.split(' ').next().unwrap();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest, format!("{described} gauge"));
        } else {
            assert!(line.starts_with(&format!("{described}{{")), "{line}");
        }
    }
    for family in &FAMILIES {
        assert!(text.matches(&format!("# HELP {PREFIX}{} ", family.name)).count() <= 1, "{text}");
        assert!(family.help.ends_with('.') && !family.help.contains(['\n', '\\']), "{}", family.help);
    }
    let version = concat!("wsrep_sst_backup_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
    assert_eq!(lines(&text, "build_info"), [version]);
}

#[test]
fn who_knows_one_thing_keeps_the_others() {
    let mut all = Exposition::default();
    all.set_run(&run("n1"));
    let numbers = |cluster: &str, value: &str| Numbers {
        cluster: cluster.into(),
        samples: ["kept_backups", "last_success_files"]
            .iter()
            .filter_map(|name| MetricSample::new(name, &[("cluster", cluster)], value.into()))
            .collect(),
    };
    all.set_cluster(&numbers("c", "1"));
    all.set_cluster(&numbers("d", "2"));
    all.set_cluster(&numbers("c", "3"));
    let kept = |all: &Exposition| lines(&all.render(), "kept_backups").join(" ");
    let of =
        |cluster: &str, value: u8| format!("wsrep_sst_backup_kept_backups{{cluster=\"{cluster}\"}} {value}");
    assert_eq!(kept(&all), format!("{} {}", of("c", 3), of("d", 2)));
    let newest = Numbers {
        cluster: "c".into(),
        samples: MetricSample::new("last_success_files", &[("cluster", "c")], "7".into())
            .into_iter()
            .collect(),
    };
    all.set_newest(&newest);
    assert_eq!(kept(&all), format!("{} {}", of("c", 3), of("d", 2)));
    assert!(lines(&all.render(), "last_success_files")[0].ends_with(" 7"));
    // The repository is gone, then one cluster in it.
    all.set_unreadable(None);
    assert_eq!(lines(&all.render(), "repository_readable").len(), 2);
    all.keep_clusters(&["d"]);
    assert_eq!(kept(&all), of("d", 2));
    // The last run stands through all of it, until the next, by whatever name.
    assert_eq!(lines(&all.render(), "last_run_success").len(), 1);
    all.set_run(&run("n2"));
    assert_eq!(
        lines(&all.render(), "last_run_success"),
        ["wsrep_sst_backup_last_run_success{cluster=\"c\",node=\"n2\"} 0"]
    );
}

#[test]
fn a_verification_or_a_drill_is_not_forgotten_with_its_backup() {
    for kinds in [["last_verify", "last_drill"], ["last_drill", "last_verify"]] {
        let names =
            kinds.map(|kind| [format!("{kind}_timestamp_seconds"), format!("{kind}_duration_seconds")]);
        let told = |names: &[String], time: Option<&str>| -> Vec<MetricSample> {
            let of = |name: &String| MetricSample::new(name, &[("cluster", "c")], time?.to_owned());
            names.iter().filter_map(of).collect()
        };
        let mut all = Exposition::default();
        for (found, wanted) in [(Some("5"), "5"), (None, "5"), (Some("4.5"), "5"), (Some("6"), "6")] {
            // The other kind comes and goes by itself.
            let samples = [told(&names[0], found), told(&names[1], Some("7"))].concat();
            all.set_cluster(&Numbers { cluster: "c".into(), samples });
            for (name, wanted) in
                names[0].iter().map(|name| (name, wanted)).chain(names[1].iter().map(|name| (name, "7")))
            {
                let line = format!("wsrep_sst_backup_{name}{{cluster=\"c\"}} {wanted}");
                assert_eq!(lines(&all.render(), name), [line]);
            }
        }
    }
}

#[test]
fn what_is_not_understood_is_left_out() {
    let ours = "wsrep_sst_backup_kept_backups{cluster=\"c\"} 3";
    let text = format!(
        "{MARK}\nwsrep_sst_backup_kept_backups{{cluster=\"c\" 3\nwsrep_sst_backup_kept_backups 3\nother{{}} 1\n\
         wsrep_sst_backup_other{{cluster=\"c\"}} 3\nwsrep_sst_backup_kept_backups{{cluster=\"c\"}} many\n\
         wsrep_sst_backup_kept_backups{{cluster=\"c\\\nwsrep_sst_backup_kept_backups{{cluster=\"c\"}} 2\n{ours}\n{{}}\n"
    );
    let all = Exposition::parse(&text);
    assert_eq!(all.samples.len(), 1);
    assert_eq!(lines(&all.render(), "kept_backups"), [ours]);
}

#[test]
fn seconds_are_exact_to_the_millisecond() {
    let cases =
        [(0, "0"), (1, "0.001"), (1500, "1.500"), (-1500, "-1.500"), (1_795_174_494_250, "1795174494.250")];
    for (ms, text) in cases {
        assert_eq!(seconds(ms), text);
    }
}

#[test]
fn a_repository_with_nothing_in_it_is_told_of_each_cluster_that_was_known() {
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let nothing = || News::of(Scope::All, Some(Catalog::default()), now);
    let mut all = Exposition::default();
    all.tell(&nothing());
    assert_eq!(all, Exposition::default());
    all.set_run(&run("n1"));
    let sample = |name: &str| MetricSample::new(name, &[("cluster", "c")], "3".into());
    let samples = ["kept_backups", "last_success_files", "last_verify_timestamp_seconds"];
    all.set_cluster(&Numbers {
        cluster: "c".into(),
        samples: samples.into_iter().filter_map(sample).collect(),
    });
    all.tell(&nothing());
    let text = all.render();
    for (name, value) in
        [("kept_backups", "0"), ("repository_readable", "1"), ("last_verify_timestamp_seconds", "3")]
    {
        assert_eq!(lines(&text, name), [format!("wsrep_sst_backup_{name}{{cluster=\"c\"}} {value}")]);
    }
    assert!(lines(&text, "last_success_files").is_empty(), "{text}");
    assert_eq!(lines(&text, "last_run_success").len(), 1);
}
