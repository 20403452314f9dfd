//! Where backups go: a directory, or a bucket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ValueError, absolute_path};

/// Where backups go unless told otherwise.
pub(in crate::config) const DEFAULT: &str = "/var/backups/wsrep_sst_backup";

/// Where backups are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepositoryUrl {
    /// A directory, by its absolute path.
    Directory(PathBuf),
    /// S3-compatible storage.
    S3 {
        /// The bucket, which must be there.
        bucket: String,
        /// What every key begins with, without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl Default for RepositoryUrl {
    fn default() -> Self {
        Self::Directory(DEFAULT.into())
    }
}

impl RepositoryUrl {
    /// A directory that is not there; a bucket is looked for by asking it.
    pub fn is_missing_here(&self) -> bool {
        matches!(self, Self::Directory(path) if !path.is_dir())
    }
}

/// The text of a repository that was named on the command line: there a relative path counts from the working directory, as
/// with every program. In option files and in the environment, which are read in many directories, it is refused.
pub fn named_here(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || text.starts_with('/') || text.contains("://") {
        return Ok(text.to_owned());
    }
    if text.split('/').next().is_some_and(|first| first.contains(':')) {
        let problem = format!(
            "'{text}' is neither a URL such as s3://bucket/prefix nor clearly a path: './{text}' is the directory of that name here"
        );
        return Err(ValueError::new(problem));
    }
    let absolute = std::path::absolute(text).map_err(|error| {
        ValueError::new(format!("'{text}' counts from the working directory, which is not known: {error}"))
    })?;
    absolute.into_os_string().into_string().map_err(|path| {
        let path = path.display();
        ValueError::new(format!("'{text}' lies in the working directory, '{path}', whose name is not UTF-8"))
    })
}

impl FromStr for RepositoryUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "s3" => s3(text, rest),
                _ => Err(ValueError::new(format!(
                    "'{text}': this version stores into directories and s3://, not into {scheme}://"
                ))),
            };
        }
        absolute_path(text).map(Self::Directory)
    }
}

/// Bucket names are checked for what can stand in a URL; each vendor has rules of its own beside.
fn s3(text: &str, rest: &str) -> Result<RepositoryUrl, ValueError> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_matches('/');
    let in_bucket = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(in_bucket) || bucket.starts_with('.') {
        return Err(ValueError::new(format!(
            "'{text}': '{bucket}' is not the name of a bucket (3 to 63 letters, digits, '-', '.', '_')"
        )));
    }
    let in_prefix = |c: char| c.is_ascii_alphanumeric() || "-._=+@".contains(c);
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(in_prefix);
    if !prefix.is_empty() && !prefix.split('/').all(is_name) {
        return Err(ValueError::new(format!(
            "'{text}': the prefix '{prefix}' has a part that is empty, '.' or '..', or has characters other than \
             letters, digits, '-', '.', '_', '=', '+', '@'"
        )));
    }
    Ok(RepositoryUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<RepositoryUrl, String> {
        text.parse().map_err(|error: ValueError| error.to_string())
    }

    #[test]
    fn directories_are_absolute() {
        assert_eq!(of("/x y/z"), Ok(RepositoryUrl::Directory("/x y/z".into())));
        assert!(of("backups").unwrap_err().contains("not an absolute path"));
    }

    #[test]
    fn on_the_command_line_a_path_may_be_relative() {
        let here = std::env::current_dir().unwrap();
        let named = |text: &str| named_here(text).map_err(|error| error.to_string());
        for (text, wanted) in [("backups", "backups"), ("./a/b", "a/b"), ("../x", "../x"), ("./s3:x", "s3:x")]
        {
            assert_eq!(named(text).as_deref(), here.join(wanted).to_str().ok_or(&String::new()), "{text}");
        }
        assert_eq!(named(".").as_deref(), here.to_str().ok_or(&String::new()));
        for text in ["/a/../b", "s3://bucket/x", "gs://bucket", ""] {
            assert_eq!(named(text).as_deref(), Ok(text));
        }
        for text in ["s3:/bucket", "s3:bucket", "host:path"] {
            assert!(named(text).unwrap_err().contains("neither a URL"), "{text}");
        }
    }

    #[test]
    fn a_bucket_with_and_without_prefix() {
        for (text, bucket, prefix, shown) in [
            ("s3://b-1.c", "b-1.c", "", "s3://b-1.c"),
            ("s3://bucket/", "bucket", "", "s3://bucket"),
            ("s3://bucket/a/b_c=1/", "bucket", "a/b_c=1", "s3://bucket/a/b_c=1"),
        ] {
            let url = of(text).unwrap();
            assert_eq!(url, RepositoryUrl::S3 { bucket: bucket.into(), prefix: prefix.into() });
            assert_eq!(url.to_string(), shown);
        }
        for text in ["s3://", "s3://b", "s3:///x", "s3://a b c", "s3://user:key@host/x", "s3://buc?ket"] {
            assert!(of(text).unwrap_err().contains("not the name of a bucket"), "{text}");
        }
        for text in ["s3://bucket/a//b", "s3://bucket/../b", "s3://bucket/a?b", "s3://bucket/ä"] {
            assert!(of(text).unwrap_err().contains("the prefix"), "{text}");
        }
    }

    #[test]
    fn other_places_are_refused_by_name() {
        for text in ["az://container/x", "gs://bucket/x", "file:///x", "S3://bucket"] {
            let error = of(text).unwrap_err();
            assert!(error.contains("into directories and s3://, not into"), "{error}");
        }
    }
}
