//! A repository in S3-compatible storage.
//!
//! Objects have the same names as files have in a directory, behind the prefix. What an object promises holds here by
//! the storage's own rules: it appears whole when its PUT, or the completion of its multipart upload, is answered, and
//! is durable then. An unfinished upload is invisible.
//!
//! **Crashes.** Whatever fails or is dropped aborts its upload. A process that is killed, or a machine that dies, cannot:
//! parts that nobody sees stay and cost money. A creation of an upload whose answer is lost leaves the same.
//! [`Storage::unfinished`] finds them ([`uploads`]), so that `prune` can abort them; a lifecycle rule of the bucket
//! (`AbortIncompleteMultipartUpload`) does it where nobody prunes.
//!
//! **Folders** do not exist. [`Storage::claim`] makes one by an object named `.claim`, with a condition that lets only one
//! of two donors succeed (`If-None-Match: *`), and [`Storage::create`] asks for it. What it holds is random, so that a
//! donor whose answer was lost knows its own claim again. A server that does not know the condition is taken to have
//! accepted it, and the claim is read back: of two donors of the same node name in the same second and within the same
//! round trip, the later one wins, unless it comes after the other has read its own. Hidden names (a dot before them) are
//! the storage's own and are not listed.
//!
//! **Keys that may only put.** Where the bucket keeps what it has (object lock, versions), a donor needs no more: whoever
//! has its key can neither read nor destroy backups. What is refused then (the look whether a folder is taken, the
//! claim read back, its look-up before each object) is done without: the condition of the claim decides.
//!
//! **Time.** Each operation ends, with its retries, when nothing has moved for 2/5 of `stall-timeout` ([`retry`]), so that
//! waiting for the last parts and completing the upload, which are one operation to the caller, end before it as well. While bytes move it
//! may last longer, and whoever watches is told so ([`Storage::pulse`]).
//!
//! **Threads.** Requests run in a small runtime of their own, whose threads stay inside this folder; each call here blocks
//! until its request is answered.

mod answer;
mod below;
mod bucket;
mod client;
mod credentials;
mod cure;
mod dns;
mod fault;
mod http;
mod key_rights;
mod parts;
mod profile;
mod progress;
mod proxy;
mod reader;
mod request;
mod retry;
mod uploads;
mod versions;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt};

use self::bucket::Bucket;
use self::fault::{Fault, FaultKind};
pub use self::key_rights::KeyRights;
use self::parts::Parts;
use self::reader::S3Reader;
use self::retry::RetryLimits;
use self::writer::S3Writer;
use super::{
    FolderList, ObjectInfo, ObjectReader, ObjectWriter, Pulse, Storage, StorageError, Unfinished, Versions,
    at_once,
};
use crate::config::{RepositoryUrl, S3Settings};

/// Threads of the runtime: one request may digest and encrypt while another one does.
const THREADS: usize = 2;
/// Small requests at once: a line with a round trip of 20 ms takes some 1,500 a second then.
const REQUESTS: usize = 32;
/// The object that makes a folder.
const CLAIM: &str = ".claim";

/// A prefix of a bucket.
pub struct S3Storage {
    bucket: Arc<Bucket>,
}

impl S3Storage {
    /// The storage below `prefix` of a bucket. Nothing is asked of it yet. Operations end within `stall_timeout`;
    /// `variable` is the environment, in which a key may stand.
    pub fn new(
        bucket: &str,
        prefix: &str,
        settings: &S3Settings,
        stall_timeout: Duration,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, StorageError> {
        let location = RepositoryUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() }.to_string();
        let fail = |cause| StorageError::new("use", &location, cause);
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (store, requests, connector) = client::client(bucket, settings, &variable).map_err(fail)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("s3")
            .enable_all()
            .build()
            .map_err(fail)?;
        let bucket = Bucket {
            store,
            requests,
            connector,
            reads_nothing: AtomicBool::new(false),
            lists_no_uploads: AtomicBool::new(false),
            runtime: Some(runtime),
            limits: RetryLimits::within(stall_timeout),
            max_parts: settings.max_parts,
            location,
            prefix: prefix.to_owned(),
        };
        Ok(Self { bucket: Arc::new(bucket) })
    }

    /// Everything directly in a folder.
    fn list(&self, folder: &str) -> Result<object_store::ListResult, StorageError> {
        let bucket = &self.bucket;
        let prefix = bucket.key(folder);
        let prefix = (!prefix.as_ref().is_empty()).then_some(prefix);
        bucket.run("list", folder, bucket.limits, || bucket.store.list_with_delimiter(prefix.as_ref()))
    }

    /// Whether a folder has been claimed: by its mark, or by anything that was put into it.
    fn is_taken(&self, folder: &str) -> Result<bool, StorageError> {
        let found = self.list(folder)?;
        Ok(!found.objects.is_empty() || !found.common_prefixes.is_empty())
    }
}

impl Storage for S3Storage {
    fn location(&self) -> String {
        self.bucket.location.clone()
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.list("").map(|_| ())
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        match self.is_taken(folder) {
            Ok(true) => return Ok(false),
            Ok(false) => {}
            // The condition of the PUT decides as well.
            Err(error) if error.is_denied() => self.bucket.cannot_read(&error),
            Err(error) => return Err(error),
        }
        let bucket = &self.bucket;
        let name = format!("{folder}/{CLAIM}");
        let token = token();
        let is_put = match bucket.wait(bucket.claim(&bucket.key(&name), &token)) {
            Ok(()) => true,
            Err(fault) if fault.kind == FaultKind::Condition => false,
            Err(fault) => return Err(bucket.failed("create", folder, fault)),
        };
        match self.read_small(&name, 1024) {
            Ok(found) => Ok(found == token.as_bytes()),
            // What was refused may be our own, put by a request whose answer was lost: that folder stays empty.
            Err(error) if error.is_denied() => {
                bucket.cannot_read(&error);
                Ok(is_put)
            }
            Err(error) => Err(error),
        }
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let found = self.list(folder)?;
        let mut names: Vec<String> =
            found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        Ok(names)
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let place = self.bucket.key(folder);
        let mut objects: Vec<ObjectInfo> =
            self.list(folder)?.objects.iter().filter_map(|object| below::shown(&place, object)).collect();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    fn objects_of(&self, folder: &str, names: &[String]) -> Result<Vec<FolderList>, StorageError> {
        let listed =
            if names.len() > REQUESTS { below::objects_of(&self.bucket, folder, names) } else { None };
        Ok(listed.unwrap_or_else(|| at_once(self, names, |name| self.objects(&format!("{folder}/{name}")))))
    }

    fn at_once(&self) -> usize {
        REQUESTS
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        Ok(Box::new(S3Reader::open(Arc::clone(&self.bucket), name)?))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        let bucket = &self.bucket;
        let key = bucket.key(name);
        let found = bucket.run("look at", name, bucket.limits, || bucket.store.head(&key))?;
        Ok(Some(found.size))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.writer(name, None)
    }

    fn create_large(&self, name: &str, at_most: u64) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.writer(name, Some(at_most))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let bucket = &self.bucket;
        let key = bucket.key(name);
        match bucket.run("remove", name, bucket.limits, || bucket.store.delete(&key)) {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        let bucket = &self.bucket;
        let claim = format!("{folder}/{CLAIM}");
        let found = self.list(folder)?;
        let is_claim = |object: &object_store::ObjectMeta| object.location == bucket.key(&claim);
        if !found.common_prefixes.is_empty() || !found.objects.iter().all(is_claim) {
            let cause = io::Error::from(io::ErrorKind::DirectoryNotEmpty);
            return Err(StorageError::new("remove the folder", bucket.place(folder), cause));
        }
        self.remove(&claim)
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        let mut found = uploads::below(&self.bucket, folder)?;
        found.retain(|upload| !upload.name.contains('/'));
        Ok(found)
    }

    fn unfinished_below(&self, folder: &str) -> Result<Option<Vec<(String, Unfinished)>>, StorageError> {
        let in_its_folder = |found: Unfinished| {
            let path =
                if folder.is_empty() { found.name.clone() } else { format!("{folder}/{}", found.name) };
            let (of, name) = path.rsplit_once('/').unwrap_or(("", &path));
            (of.to_owned(), Unfinished { name: name.to_owned(), ..found })
        };
        let found = uploads::below(&self.bucket, folder)?.into_iter().map(in_its_folder);
        let mut found: Vec<(String, Unfinished)> = found.collect();
        found.sort_by(|a, b| (&a.0, &a.1.name).cmp(&(&b.0, &b.1.name)));
        Ok(Some(found))
    }

    fn discard(&self, folder: &str, unfinished: &Unfinished) -> Result<(), StorageError> {
        let name = format!("{folder}/{}", unfinished.name);
        match &unfinished.upload {
            Some(upload) => uploads::abort(&self.bucket, &name, upload),
            // The name may be that of an object.
            None => Ok(()),
        }
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        let objects = self.list(folder)?.objects;
        let times = objects.iter().map(|object| object.last_modified.timestamp_millis());
        // A time that cannot be told is the latest there is: nothing is removed for it.
        Ok(times.max().map(|time| Timestamp::from_millisecond(time).unwrap_or(Timestamp::MAX)))
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }

    fn keeps_versions(&self) -> bool {
        self.bucket.connector.server.keeps_versions()
    }

    fn old_versions(&self) -> Result<Option<Versions>, StorageError> {
        versions::below(&self.bucket).map(Some)
    }

    fn pulse(&self) -> Option<Pulse> {
        Some(self.bucket.connector.pulse.clone())
    }
}

impl S3Storage {
    fn writer(&self, name: &str, at_most: Option<u64>) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let bucket = &self.bucket;
        let cap = bucket.max_parts;
        let Some(parts) = Parts::plan(at_most, cap) else {
            let cause = format!(
                "it may get {} GiB, and {cap} parts of 5 GiB hold no more than {} GiB (s3-max-parts)",
                at_most.unwrap_or(u64::MAX) >> 30,
                parts::largest_object(cap) >> 30
            );
            return Err(bucket.failed("create", name, Fault::permanent(cause)));
        };
        let reads = !bucket.reads_nothing.load(Ordering::Relaxed);
        if let Some((folder, _)) = name.rsplit_once('/').filter(|_| reads) {
            let claim = bucket.key(&format!("{folder}/{CLAIM}"));
            match bucket.run("create", name, bucket.limits, || bucket.store.head(&claim)) {
                Err(error) if error.is_denied() => bucket.cannot_read(&error),
                outcome => outcome.map(drop)?,
            }
        }
        Ok(Box::new(S3Writer::new(Arc::clone(bucket), name, parts)))
    }
}

/// Something that no other run has written.
fn token() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new();
    format!("{:016x}{:016x} {}\n", random.hash_one(1), random.hash_one(2), std::process::id())
}
