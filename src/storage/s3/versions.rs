//! Versions of objects that were overwritten or removed: they cost money, and are only seen by
//! [`ListObjectVersions`](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html).

use serde::Deserialize;

use super::bucket::Bucket;
use super::fault::Fault;
use super::retry::retry;
use crate::storage::{StorageError, Versions};

/// So many pages of 1,000 are looked at: whoever has more than that has been told enough.
const PAGES: usize = 50;

/// A page of `ListObjectVersions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct VersionsPage {
    is_truncated: bool,
    next_key_marker: String,
    next_version_id_marker: String,
    #[serde(rename = "Version")]
    versions: Vec<ObjectVersion>,
    #[serde(rename = "DeleteMarker")]
    marks: Vec<Mark>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectVersion {
    #[serde(default)]
    is_latest: bool,
    #[serde(default)]
    size: u64,
}

#[derive(Debug, Deserialize)]
struct Mark {}

/// Those of the whole repository.
pub(super) fn below(bucket: &Bucket) -> Result<Versions, StorageError> {
    match bucket.wait(list(bucket)) {
        Ok(found) => Ok(found),
        // A server that does not know the question has no versions.
        Err(fault) if fault.status == Some(501) => Ok(Versions::default()),
        Err(fault) => Err(bucket.failed("list old versions in", "", fault)),
    }
}

async fn list(bucket: &Bucket) -> Result<Versions, Fault> {
    let what = format!("cannot list old versions in '{}'", bucket.place(""));
    let prefix = match bucket.key("").as_ref() {
        "" => String::new(),
        key => format!("{key}/"),
    };
    let mut found = Versions::default();
    let mut markers = (String::new(), String::new());
    for _ in 0..PAGES {
        let mut query = vec![("versions", "")];
        let behind =
            [("key-marker", markers.0.as_str()), ("prefix", &prefix), ("version-id-marker", &markers.1)];
        query.extend(behind.into_iter().filter(|(_, value)| !value.is_empty()));
        let page: VersionsPage =
            retry(bucket.limits, &what, || bucket.requests.get(&bucket.store, "", &query)).await?;
        let old = || page.versions.iter().filter(|version| !version.is_latest);
        found.count += old().count();
        found.bytes = old().fold(found.bytes, |sum, version| sum.saturating_add(version.size));
        found.marks += page.marks.len();
        let next = (page.next_key_marker, page.next_version_id_marker);
        if !page.is_truncated || next == markers || next.0.is_empty() {
            return Ok(found);
        }
        markers = next;
    }
    Ok(Versions { more: true, ..found })
}
