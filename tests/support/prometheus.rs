//! A reader of Prometheus' text format that knows nothing of the writer, and `promtool`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a file says: each metric with its labels and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Metrics {
    /// Reads a file, all of whose lines must be as the format wants them.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text =
            fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read '{}': {e}", path.display()));
        assert!(text.ends_with('\n'), "{text}");
        let (mut found, mut described, mut typed) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a text behind the name");
                assert!(!help.is_empty() && described.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.strip_suffix(" gauge").expect("a gauge");
                assert!(typed.insert(name.to_owned()), "{line}");
            } else if !line.starts_with('#') {
                let (name, labels, value) = sample(line);
                assert!(described.contains(&name) && typed.contains(&name), "{line}");
                assert!(found.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        Self(found)
    }

    /// The value of a metric with just these labels; `wsrep_sst_backup_` is left out.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.get(&(format!("wsrep_sst_backup_{name}"), labels)).copied()
    }

    /// The value of a metric with the label `cluster` only.
    #[track_caller]
    pub fn of(&self, cluster: &str, name: &str) -> f64 {
        self.get(name, &[("cluster", cluster)])
            .unwrap_or_else(|| panic!("no {name} of {cluster} in {self:?}"))
    }

    /// The label sets of a metric.
    pub fn labels(&self, name: &str) -> Vec<&BTreeMap<String, String>> {
        let name = format!("wsrep_sst_backup_{name}");
        self.0.keys().filter(|(found, _)| *found == name).map(|(_, labels)| labels).collect()
    }

    /// The names of all metrics.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(name, _)| name.as_str()).collect()
    }
}

/// `name{label="value"} 1`, letter by letter.
#[track_caller]
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let mut letters = line.chars().peekable();
    let mut word = |ends: &[char]| {
        let mut word = String::new();
        while let Some(letter) = letters.peek().copied().filter(|letter| !ends.contains(letter)) {
            word.push(letter);
            letters.next();
        }
        (word, letters.next())
    };
    let (name, _) = word(&['{']);
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    assert!(is_name(&name) && !name.is_empty(), "{line}");
    let mut labels = BTreeMap::new();
    loop {
        let (label, end) = word(&['=', '}']);
        if end == Some('}') {
            break;
        }
        let label = label.trim_start_matches(',').to_owned();
        assert!(is_name(&label), "{line}");
        assert_eq!(word(&['"']).0, "", "{line}");
        let mut value = String::new();
        loop {
            let (part, end) = word(&['"', '\\']);
            value.push_str(&part);
            if end == Some('"') {
                break;
            }
            // The letter behind a backslash.
            let (escape, next) = word(&['"', '\\', 'n']);
            assert_eq!(escape, "", "{line}");
            value.push(match next {
                Some('n') => '\n',
                Some(other) => other,
                None => panic!("{line}"),
            });
        }
        assert!(labels.insert(label, value).is_none(), "{line}");
    }
    let rest: String = letters.collect();
    let value = rest.strip_prefix(' ').and_then(|rest| rest.parse().ok());
    (name, labels, value.unwrap_or_else(|| panic!("no number: {line}")))
}

/// `promtool` with these arguments and this file on stdin; what it says when it is content.
#[track_caller]
pub fn promtool(args: &[&str], stdin: Option<&Path>) -> String {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/target/promtool/promtool");
    let stdin = stdin.map_or_else(Stdio::null, |path| fs::File::open(path).expect("the file").into());
    let output = Command::new(program).args(args).stdin(stdin).output();
    let output = output.unwrap_or_else(|e| panic!("cannot run '{program}' (scripts/install-deps): {e}"));
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "promtool {args:?}: {said}");
    said
}
