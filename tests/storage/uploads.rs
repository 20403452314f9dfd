//! `s3s-fs` with what it lacks: the list of uploads that were begun, in small pages and as old as a test wants them, and a
//! list of objects, and small ones, that take no time of their own.
#![allow(unreachable_pub, dead_code, reason = "every test binary uses another part")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;

use super::objects::{self, Leap};

/// Uploads on a page, unless fewer are asked for.
const PAGE: usize = 2;

/// Bucket, key and id.
type Upload = (String, String, String);

/// Uploads that are neither complete nor aborted, and when they were begun.
#[derive(Clone, Debug, Default)]
pub struct Begun(Arc<Mutex<BTreeMap<Upload, SystemTime>>>);

impl Begun {
    /// Their keys.
    pub fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().map(|(_, key, _)| key.clone()).collect()
    }

    /// Makes those of a key look older.
    pub fn grow_old(&self, key: &str, age: Duration) {
        let mut uploads = self.0.lock().unwrap();
        for ((_, _, _), begun) in uploads.iter_mut().filter(|((_, known, _), _)| known == key) {
            *begun -= age;
        }
    }

    fn has(&self, bucket: &str, key: &str, id: &str) -> bool {
        let known = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.0.lock().unwrap().contains_key(&known)
    }

    fn end(&self, bucket: String, key: String, id: String) {
        self.0.lock().unwrap().remove(&(bucket, key, id));
    }
}

/// The file system behind a server.
pub struct Listing {
    pub inner: FileSystem,
    pub begun: Begun,
    /// Where it keeps the buckets.
    pub folder: PathBuf,
    pub leap: Leap,
    /// Whether small objects have no attributes.
    pub is_plain: bool,
}

/// Hands these operations on as they are.
macro_rules! delegate {
    ($($name:ident($input:ty) -> $output:ty;)*) => {
        #[async_trait::async_trait]
        impl S3 for Listing {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.inner.$name(request).await
            })*

            async fn create_multipart_upload(
                &self,
                request: S3Request<CreateMultipartUploadInput>,
            ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
                let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
                let response = self.inner.create_multipart_upload(request).await?;
                let id = response.output.upload_id.clone().unwrap();
                self.begun.0.lock().unwrap().insert((bucket, key, id), SystemTime::now());
                Ok(response)
            }

            async fn complete_multipart_upload(
                &self,
                request: S3Request<CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
                let input = &request.input;
                let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
                let response = self.inner.complete_multipart_upload(request).await?;
                self.begun.end(bucket, key, id);
                Ok(response)
            }

            async fn abort_multipart_upload(
                &self,
                request: S3Request<AbortMultipartUploadInput>,
            ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
                let input = &request.input;
                let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
                // The file system itself says AccessDenied of one that is gone.
                if !self.begun.has(&bucket, &key, &id) {
                    return Err(s3s::s3_error!(NoSuchUpload));
                }
                let response = self.inner.abort_multipart_upload(request).await?;
                self.begun.end(bucket, key, id);
                Ok(response)
            }

            async fn list_multipart_uploads(
                &self,
                request: S3Request<ListMultipartUploadsInput>,
            ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
                Ok(S3Response::new(page(&self.begun, request.input)))
            }

            async fn get_object(
                &self,
                request: S3Request<GetObjectInput>,
            ) -> S3Result<S3Response<GetObjectOutput>> {
                let bucket = self.folder.join(&request.input.bucket);
                match objects::small(&bucket, &request.input).filter(|_| self.is_plain) {
                    Some(output) => Ok(S3Response::new(output)),
                    None => self.inner.get_object(request).await,
                }
            }

            async fn list_objects_v2(
                &self,
                request: S3Request<ListObjectsV2Input>,
            ) -> S3Result<S3Response<ListObjectsV2Output>> {
                let bucket = self.folder.join(&request.input.bucket);
                objects::list(&bucket, &self.leap, request.input).map(S3Response::new)
            }
        }
    };
}

delegate! {
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    head_bucket(HeadBucketInput) -> HeadBucketOutput;
    head_object(HeadObjectInput) -> HeadObjectOutput;
    list_parts(ListPartsInput) -> ListPartsOutput;
    put_object(PutObjectInput) -> PutObjectOutput;
    upload_part(UploadPartInput) -> UploadPartOutput;
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>: sorted by key; behind the markers.
fn page(begun: &Begun, input: ListMultipartUploadsInput) -> ListMultipartUploadsOutput {
    let prefix = input.prefix.clone().unwrap_or_default();
    let behind =
        input.key_marker.clone().map(|key| (key, input.upload_id_marker.clone().unwrap_or_default()));
    let uploads = begun.0.lock().unwrap();
    let mut wanted = uploads.iter().filter(|((bucket, key, id), _)| {
        let after = behind.as_ref().is_none_or(|(marker, last)| (key, id) > (marker, last));
        *bucket == input.bucket && key.starts_with(&prefix) && after
    });
    let page: Vec<_> = wanted.by_ref().take(PAGE).collect();
    let is_truncated = wanted.next().is_some();
    let last = page.last().filter(|_| is_truncated).map(|((_, key, id), _)| (key.clone(), id.clone()));
    ListMultipartUploadsOutput {
        bucket: Some(input.bucket.clone()),
        prefix: input.prefix,
        is_truncated: Some(is_truncated),
        next_key_marker: last.as_ref().map(|(key, _)| key.clone()),
        next_upload_id_marker: last.map(|(_, id)| id),
        uploads: Some(page.into_iter().map(shown).collect()),
        ..ListMultipartUploadsOutput::default()
    }
}

fn shown(((_, key, id), begun): (&Upload, &SystemTime)) -> MultipartUpload {
    MultipartUpload {
        key: Some(key.clone()),
        upload_id: Some(id.clone()),
        initiated: Some((*begun).into()),
        ..MultipartUpload::default()
    }
}
