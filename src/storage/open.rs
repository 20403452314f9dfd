//! Which storage a repository is.

use std::sync::Arc;

use super::local::LocalStorage;
use super::s3::S3Storage;
use super::{Storage, StorageError};
use crate::config::{RepositoryUrl, Settings};

/// The repository that the settings name. It is not looked at yet.
pub fn open(settings: &Settings) -> Result<Arc<dyn Storage>, StorageError> {
    open_as(settings, &|name| std::env::var(name).ok())
}

/// The same with the environment of another process, in which keys may stand.
pub fn open_as(
    settings: &Settings,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Storage>, StorageError> {
    Ok(match &settings.repository {
        RepositoryUrl::Directory(root) => Arc::new(LocalStorage::new(root)),
        RepositoryUrl::S3 { bucket, prefix } => {
            Arc::new(S3Storage::new(bucket, prefix, &settings.s3, settings.stall_timeout, variable)?)
        }
    })
}
