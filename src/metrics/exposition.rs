//! The text format of Prometheus (exposition format 0.0.4): written, and read back as far as we have written it.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::LastRun;
use super::families::{FAMILIES, MetricSource, PREFIX, find};
use super::numbers::{News, Numbers, NumbersScope};
use super::sample::{MetricSample, seconds};
use crate::catalog::Catalog;

/// The first line of a file that is ours.
pub(super) const MARK: &str = "# Written by wsrep_sst_backup";

/// Everything in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposition {
    samples: Vec<MetricSample>,
}

impl Exposition {
    /// What is in a text. Lines that are none of ours, or not understood, are left out; of two about the same the later
    /// one counts.
    pub fn parse(text: &str) -> Self {
        let mut samples: Vec<MetricSample> = Vec::new();
        for new in text.lines().filter(|line| !line.starts_with('#')).filter_map(parse_line) {
            samples.retain(|old| (old.family, &old.labels) != (new.family, &new.labels));
            samples.push(new);
        }
        Self { samples }
    }

    /// What was found takes the place of what was known.
    pub fn tell(&mut self, news: &News) {
        match &news.about {
            NumbersScope::Unreadable(cluster) => return self.set_unreadable(cluster.as_deref()),
            NumbersScope::One => {}
            // A repository that has nothing at all any more is no reason to fall silent: the number of backups is 0.
            NumbersScope::Nothing(now) => {
                for cluster in self.clusters() {
                    self.set_cluster(&Numbers::of_catalog(&cluster, &Catalog::default(), *now));
                }
            }
            NumbersScope::All => {
                let names: Vec<&str> = news.numbers.iter().map(|numbers| numbers.cluster.as_str()).collect();
                self.keep_clusters(&names);
            }
        }
        news.numbers.iter().for_each(|numbers| self.set_cluster(numbers));
    }

    /// The numbers of one cluster take the place of older ones. What is known of a verification or a drill stays when its
    /// backup goes, until there is a newer one.
    pub(super) fn set_cluster(&mut self, numbers: &Numbers) {
        let cluster = Some(numbers.cluster.as_str());
        let kept: Vec<&str> =
            ["last_verify_", "last_drill_"].into_iter().filter(|kind| self.is_newer(kind, numbers)).collect();
        let stays = |sample: &MetricSample| kept.iter().any(|kind| sample.family.name.starts_with(kind));
        let is_old = |sample: &MetricSample| {
            sample.family.about == MetricSource::Cluster && sample.cluster() == cluster && !stays(sample)
        };
        self.samples.retain(|sample| !is_old(sample));
        self.samples.extend(numbers.samples.iter().filter(|sample| !stays(sample)).cloned());
    }

    /// Whether what is known of that kind is newer than what was found.
    fn is_newer(&self, kind: &str, numbers: &Numbers) -> bool {
        let when = format!("{kind}timestamp_seconds");
        let time = |samples: &[MetricSample]| {
            let is = |sample: &&MetricSample| sample.is(&when) && sample.cluster() == Some(&numbers.cluster);
            samples.iter().find(is).and_then(|sample| sample.value.parse::<f64>().ok())
        };
        time(&self.samples).is_some_and(|old| time(&numbers.samples).is_none_or(|new| new < old))
    }

    /// A backup that was just made takes the place of the last one; what else was known of its cluster stays.
    pub fn set_newest(&mut self, numbers: &Numbers) {
        let named = |sample: &MetricSample| numbers.samples.iter().any(|new| new.family == sample.family);
        self.samples.retain(|sample| sample.cluster() != Some(&numbers.cluster) || !named(sample));
        self.samples.extend(numbers.samples.iter().cloned());
    }

    /// Of clusters that are gone from the repository nothing is told any more.
    pub(super) fn keep_clusters(&mut self, clusters: &[&str]) {
        let is_kept = |sample: &MetricSample| {
            sample.family.about != MetricSource::Cluster
                || sample.cluster().is_some_and(|cluster| clusters.contains(&cluster))
        };
        self.samples.retain(is_kept);
    }

    /// The repository could not be read: what was known of the cluster (of all, where none is named) stays.
    pub(super) fn set_unreadable(&mut self, cluster: Option<&str>) {
        for cluster in cluster.map_or_else(|| self.clusters(), |cluster| vec![cluster.to_owned()]) {
            self.samples.retain(|s| !s.is("repository_readable") || s.cluster() != Some(&cluster));
            self.samples.extend(MetricSample::new(
                "repository_readable",
                &[("cluster", &cluster)],
                "0".into(),
            ));
        }
    }

    /// The clusters of which anything of the repository is known.
    fn clusters(&self) -> Vec<String> {
        let known = self.samples.iter().filter(|sample| sample.family.about == MetricSource::Cluster);
        let names: BTreeSet<&str> = known.filter_map(MetricSample::cluster).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The last run on this node.
    pub fn set_run(&mut self, run: &LastRun) {
        self.samples.retain(|sample| sample.family.about != MetricSource::LastRun);
        let labels = [("cluster", run.cluster.as_str()), ("node", run.node.as_str())];
        let took = run.ended.duration_since(run.started).as_millis();
        let mut add =
            |name: &str, value: String| self.samples.extend(MetricSample::new(name, &labels, value));
        add("last_run_start_timestamp_seconds", seconds(run.started.as_millisecond()));
        add("last_run_timestamp_seconds", seconds(run.ended.as_millisecond()));
        add("last_run_success", u8::from(run.exit_status == 0).to_string());
        add("last_run_exit_status", run.exit_status.to_string());
        add("last_run_duration_seconds", seconds(i64::try_from(took).unwrap_or(i64::MAX).max(0)));
        let frozen = run.frozen_ms.unwrap_or(0);
        add("last_run_frozen_seconds", seconds(i64::try_from(frozen).unwrap_or(i64::MAX)));
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = format!("{MARK}. It is replaced as a whole; what is added here is lost.\n");
        let version = MetricSample::new("build_info", &[("version", env!("CARGO_PKG_VERSION"))], "1".into());
        for family in &FAMILIES {
            let known = self.samples.iter().filter(|sample| sample.family.about != MetricSource::File);
            let mut lines: Vec<String> = known
                .chain(&version)
                .filter(|sample| sample.family == family)
                .map(MetricSample::line)
                .collect();
            if lines.is_empty() {
                continue;
            }
            lines.sort();
            lines.dedup();
            let _ = writeln!(text, "# HELP {PREFIX}{} {}", family.name, family.help);
            let _ = writeln!(text, "# TYPE {PREFIX}{} gauge", family.name);
            text.extend(lines);
        }
        text
    }
}

/// `name{label="value",…} number`.
fn parse_line(line: &str) -> Option<MetricSample> {
    let (name, rest) = line.split_once('{')?;
    let family = find(name)?;
    let mut labels = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.starts_with('}') {
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.push((name.to_owned(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    let value = rest.strip_prefix('}')?.trim();
    value.parse::<f64>().ok()?;
    Some(MetricSample { family, labels, value: value.to_owned() })
}

/// The text up to the closing quote, and what is behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    loop {
        match letters.next()? {
            (at, '"') => return Some((value, text.get(at + 1..)?)),
            (_, '\\') => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, letter) => value.push(letter),
        }
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
