//! What `s3s-fs` keeps in a bucket, listed in one walk and small objects read in one step, without a change of thread: `s3s-fs`
//! itself hands each look at a file to another one, and looks at all files for every page, which takes longer than what is measured.
#![allow(unreachable_pub, dead_code, reason = "every test binary uses another part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use md5::{Digest, Md5};
use s3s::dto::{
    CommonPrefix, ETag, GetObjectInput, GetObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
};
use s3s::{Body, S3Result};
use wsrep_sst_backup::archive::hex;

/// Bytes of an object that is read in one step.
const SMALL: u64 = 1 << 20;

/// A clock of the server that goes on by a leap: what is written from then on has the later time.
#[derive(Clone, Debug, Default)]
pub struct Leap(Arc<Mutex<Option<(SystemTime, Duration)>>>);

impl Leap {
    /// Goes on by so much, from this moment.
    pub fn take(&self, by: Duration) {
        *self.0.lock().unwrap() = Some((SystemTime::now(), by));
    }

    fn time(&self, modified: SystemTime) -> SystemTime {
        match *self.0.lock().unwrap() {
            Some((from, by)) if modified >= from => modified + by,
            _ => modified,
        }
    }
}

/// What a list has at a name.
enum Entry {
    Object(Box<Object>),
    Prefix,
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>: sorted by key, behind the token, of which the
/// last name of the page before is one.
pub fn list(bucket: &Path, leap: &Leap, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let mut objects = Vec::new();
    let prefix = input.prefix.clone().unwrap_or_default();
    // Nothing else begins with it than what lies in its folder.
    let parent = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
    match walk(&bucket.join(parent), parent, leap, &mut objects) {
        Err(error) if error.kind() == ErrorKind::NotFound && bucket.is_dir() => {}
        outcome => outcome.map_err(|_| s3s::s3_error!(NoSuchBucket))?,
    }
    let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
    let mut entries = BTreeMap::new();
    for object in objects {
        let key = object.key.clone().unwrap_or_default();
        let Some(rest) = key.strip_prefix(&prefix) else { continue };
        match delimiter.as_ref().and_then(|delimiter| rest.split_once(delimiter.as_str())) {
            Some((folder, _)) => {
                let name = format!("{prefix}{folder}{}", delimiter.as_deref().unwrap_or_default());
                entries.insert(name, Entry::Prefix);
            }
            None => drop(entries.insert(key, Entry::Object(Box::new(object)))),
        }
    }
    let behind = input.continuation_token.clone().max(input.start_after.clone()).unwrap_or_default();
    let mut wanted = entries.into_iter().filter(|(name, _)| *name > behind).peekable();
    let page = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or_default();
    let page: Vec<(String, Entry)> = wanted.by_ref().take(page).collect();
    let is_truncated = wanted.peek().is_some();
    let (key_count, last) = (page.len(), page.last().map(|(name, _)| name.clone()));
    let (mut contents, mut common_prefixes) = (Vec::new(), Vec::new());
    for (name, entry) in page {
        match entry {
            Entry::Object(object) => contents.push(*object),
            Entry::Prefix => common_prefixes.push(CommonPrefix { prefix: Some(name) }),
        }
    }
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: input.prefix,
        delimiter: input.delimiter,
        key_count: i32::try_from(key_count).ok(),
        max_keys: input.max_keys,
        is_truncated: Some(is_truncated),
        next_continuation_token: last.filter(|_| is_truncated),
        continuation_token: input.continuation_token,
        start_after: input.start_after,
        contents: Some(contents).filter(|contents| !contents.is_empty()),
        common_prefixes: Some(common_prefixes).filter(|prefixes| !prefixes.is_empty()),
        ..ListObjectsV2Output::default()
    })
}

/// A small object without attributes as a whole; none where it is to be had in another way.
pub fn small(bucket: &Path, input: &GetObjectInput) -> Option<GetObjectOutput> {
    let path = bucket.join(&input.key);
    let found = fs::metadata(&path).ok().filter(|found| found.is_file() && found.len() <= SMALL)?;
    if input.range.is_some() {
        return None;
    }
    let content = fs::read(path).ok()?;
    Some(GetObjectOutput {
        content_length: i64::try_from(content.len()).ok(),
        last_modified: found.modified().ok().map(Into::into),
        e_tag: Some(ETag::Strong(hex(&Md5::digest(&content)))),
        body: Some(Body::from(content).into()),
        ..GetObjectOutput::default()
    })
}

/// The objects below a folder, whose keys begin with `parent`. A file that is removed meanwhile is not there.
fn walk(folder: &Path, parent: &str, leap: &Leap, objects: &mut Vec<Object>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let key = format!("{parent}{}", entry.file_name().to_string_lossy());
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() {
            walk(&entry.path(), &format!("{key}/"), leap, objects).or_else(|error| match error.kind() {
                ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            continue;
        }
        objects.push(Object {
            key: Some(key),
            size: i64::try_from(found.len()).ok(),
            last_modified: found.modified().ok().map(|modified| leap.time(modified).into()),
            ..Object::default()
        });
    }
    Ok(())
}
