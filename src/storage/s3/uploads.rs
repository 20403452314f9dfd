//! Uploads in parts that were begun, and are neither complete nor taken back.
//!
//! No listing of objects shows them, and they cost money. A writer takes its own back; a program that is killed, a machine that dies, or
//! a creation whose answer is lost leaves them. They are found here by
//! [`ListMultipartUploads`](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html), and how much
//! they hold by [`ListParts`](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html). A server that does not
//! list them, or a key without the right to, is told once and not asked again: then only a lifecycle rule of the bucket
//! removes them.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use object_store::multipart::MultipartStore;
use serde::Deserialize;

use super::bucket::Bucket;
use super::fault::{Fault, FaultKind};
use super::retry::retry;
use crate::storage::{StorageError, Unfinished};

/// A page of `ListMultipartUploads`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct UploadsPage {
    is_truncated: bool,
    next_key_marker: String,
    next_upload_id_marker: String,
    #[serde(rename = "Upload")]
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    #[serde(rename = "UploadId")]
    id: String,
    #[serde(default)]
    initiated: String,
}

/// A page of `ListParts`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PartsPage {
    is_truncated: bool,
    next_part_number_marker: String,
    #[serde(rename = "Part")]
    parts: Vec<ListedPart>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPart {
    size: u64,
}

/// The unfinished uploads below a folder (`""`: all of the repository), by the names of their objects in it; sorted.
pub(super) fn below(bucket: &Bucket, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
    if bucket.lists_no_uploads.load(Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let prefix = match bucket.key(folder).as_ref() {
        "" => String::new(),
        // With the slash, or those of another folder whose name begins alike would be among them.
        key => format!("{key}/"),
    };
    let found = bucket.wait(async {
        let mut found = Vec::new();
        for Upload { key, id, initiated } in list(bucket, folder, &prefix).await? {
            // A server that ignores the prefix answers with those of others.
            let Some(name) = key.strip_prefix(&prefix).filter(|name| !name.is_empty()) else { continue };
            let Some(bytes) = size(bucket, &key, &id).await? else { continue };
            // A time that cannot be told is the latest there is: nothing is removed for it.
            let modified = initiated.parse().unwrap_or(Timestamp::MAX);
            found.push(Unfinished { name: name.to_owned(), upload: Some(id), bytes, modified });
        }
        Ok(found)
    });
    match found {
        Ok(mut found) => {
            found.sort_by(|a, b| (&a.name, &a.upload).cmp(&(&b.name, &b.upload)));
            Ok(found)
        }
        // Whatever is wrong with these lists, retention must go on without them.
        Err(fault) if fault.kind != FaultKind::Transient => {
            if !bucket.lists_no_uploads.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "cannot list unfinished uploads in '{}': {fault}; what killed backups have left of them stays: \
                     allow the key to list them (s3:ListBucketMultipartUploads), or set a lifecycle rule of the bucket \
                     that aborts them (AbortIncompleteMultipartUpload)",
                    bucket.place("")
                );
            }
            Ok(Vec::new())
        }
        Err(fault) => Err(bucket.failed("list unfinished uploads in", folder, fault)),
    }
}

/// Takes an upload back; one that is not there any more is no error.
pub(super) fn abort(bucket: &Bucket, name: &str, upload: &str) -> Result<(), StorageError> {
    let key = bucket.key(name);
    let upload = upload.to_owned();
    let abort = || bucket.store.abort_multipart(&key, &upload);
    match bucket.run("abort the unfinished upload of", name, bucket.limits, abort) {
        Err(error) if error.is_not_found() => Ok(()),
        outcome => outcome,
    }
}

/// Page after page.
async fn list(bucket: &Bucket, folder: &str, prefix: &str) -> Result<Vec<Upload>, Fault> {
    let what = format!("cannot list unfinished uploads in '{}'", bucket.place(folder));
    let mut found = Vec::new();
    let mut markers = (String::new(), String::new());
    loop {
        let mut query = vec![("uploads", "")];
        let behind = [("prefix", prefix), ("key-marker", &markers.0), ("upload-id-marker", &markers.1)];
        query.extend(behind.into_iter().filter(|(_, value)| !value.is_empty()));
        let page: UploadsPage =
            retry(bucket.limits, &what, || bucket.requests.get(&bucket.store, "", &query)).await?;
        found.extend(page.uploads);
        let next = (page.next_key_marker, page.next_upload_id_marker);
        if !page.is_truncated {
            return Ok(found);
        }
        if next == markers || next.0.is_empty() {
            return Err(Fault::permanent(
                "the server says that there are more uploads, and not behind which",
            ));
        }
        markers = next;
    }
}

/// Bytes of the parts of an upload: 0 where the key must not see them, none where the upload has gone meanwhile.
async fn size(bucket: &Bucket, key: &str, upload: &str) -> Result<Option<u64>, Fault> {
    let what = format!("cannot list the parts of the unfinished '{key}'");
    let mut bytes = 0u64;
    let mut marker = String::new();
    loop {
        let mut query = vec![("uploadId", upload)];
        query.extend(
            [("part-number-marker", marker.as_str())].into_iter().filter(|(_, value)| !value.is_empty()),
        );
        let page: Result<PartsPage, Fault> =
            retry(bucket.limits, &what, || bucket.requests.get(&bucket.store, key, &query)).await;
        let page = match page {
            Ok(page) => page,
            Err(fault) if fault.kind == FaultKind::NotFound => return Ok(None),
            Err(fault) if fault.kind == FaultKind::Transient => return Err(fault),
            Err(_) => return Ok(Some(0)),
        };
        bytes = page.parts.iter().fold(bytes, |sum, part| sum.saturating_add(part.size));
        if !page.is_truncated || page.next_part_number_marker == marker {
            return Ok(Some(bytes));
        }
        marker = page.next_part_number_marker;
    }
}
