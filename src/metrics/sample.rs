//! One number of the file, with its labels.

use super::families::{FAMILIES, Family, PREFIX};

/// One number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricSample {
    /// Place in [`FAMILIES`].
    pub(super) family: &'static Family,
    pub(super) labels: Vec<(String, String)>,
    /// As text, so that what is kept stays as it is.
    pub(super) value: String,
}

impl MetricSample {
    /// A metric by its name without the prefix; nothing where there is none of that name.
    pub(super) fn new(name: &str, labels: &[(&str, &str)], value: String) -> Option<Self> {
        let family = FAMILIES.iter().find(|family| family.name == name)?;
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Some(Self { family, labels: labels.iter().map(own).collect(), value })
    }

    pub(super) fn cluster(&self) -> Option<&str> {
        self.labels.iter().find(|(name, _)| name == "cluster").map(|(_, value)| value.as_str())
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.family.name == name
    }

    pub(super) fn line(&self) -> String {
        let label = |(name, value): &(String, String)| format!("{name}=\"{}\"", escaped(value));
        let labels: Vec<String> = self.labels.iter().map(label).collect();
        format!("{PREFIX}{}{{{}}} {}\n", self.family.name, labels.join(","), self.value)
    }
}

/// Milliseconds as seconds.
pub(super) fn seconds(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    match ms % 1000 {
        0 => format!("{sign}{}", ms / 1000),
        rest => format!("{sign}{}.{rest:03}", ms / 1000),
    }
}

/// The text of a label.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
