//! A repository that is named one folder too deep.
//!
//! Below a repository stand folders of clusters, below those the folders of backups. Who names one of these in place of the
//! repository sees no backup there, and what is stored there makes a repository in another, of which that one knows nothing.

use std::path::Path;

use crate::model::BackupId;
use crate::storage::Storage;

use super::{MANIFEST, STATUS};

/// What was named in place of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooDeep {
    /// As it was named.
    place: String,
    /// What it is.
    what: Part,
    /// The repository, where its name can be told.
    repository: Option<String>,
    /// Folders beside those of backups: of clusters, perhaps, that were stored there by that mistake.
    pub others: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Cluster,
    Backup,
}

impl TooDeep {
    /// Looks whether a storage is a part of a repository. What cannot be looked at is not known to be one.
    pub fn find(storage: &dyn Storage) -> Option<Self> {
        let folders = super::clusters(storage, None).ok()?;
        let (backups, others): (Vec<String>, Vec<String>) =
            folders.into_iter().partition(|name| name.parse::<BackupId>().is_ok());
        let what = if !backups.is_empty() {
            Part::Cluster
        } else if storage.objects("").ok()?.iter().any(|object| [MANIFEST, STATUS].contains(&&*object.name)) {
            Part::Backup
        } else {
            return None;
        };
        let place = storage.location();
        let repository = above(&place, what);
        Some(Self { place, what, repository, others })
    }

    /// What it is, and what to name instead.
    pub fn words(&self) -> String {
        let Self { place, what, .. } = self;
        let of = match what {
            Part::Cluster => "the folder of a cluster in a repository",
            Part::Backup => "the folder of a backup in a repository",
        };
        match &self.repository {
            Some(repository) => {
                format!("'{place}' is {of}, and no repository: name the repository, '{repository}'")
            }
            None => format!("'{place}' is {of}, and no repository: name the repository"),
        }
    }

    /// What lies in it by mistake, and what to do with that, in words that follow; nothing where there is nothing.
    pub fn strays(&self) -> String {
        if self.others.is_empty() {
            return String::new();
        }
        format!(
            "; folders of clusters in it were stored there by that mistake: move them into a repository of their own ({})",
            self.others.join(", ")
        )
    }
}

/// The repository above: what links lead to counts, and not how it is spelt.
fn above(place: &str, what: Part) -> Option<String> {
    let levels = match what {
        Part::Cluster => 1,
        Part::Backup => 2,
    };
    if let Some((scheme, rest)) = place.split_once("://") {
        let parts: Vec<&str> = rest.split('/').collect();
        let kept = parts.len().checked_sub(levels).filter(|kept| *kept > 0)?;
        return Some(format!("{scheme}://{}", parts[..kept].join("/")));
    }
    let real = Path::new(place).canonicalize().ok()?;
    real.ancestors().nth(levels).map(|path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::storage::LocalStorage;

    #[test]
    fn the_repository_is_named_wherever_in_it_somebody_points() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("r");
        let backup = root.join("c/20261120T113452Z_n1");
        fs::create_dir_all(&backup).unwrap();
        fs::create_dir(root.join("lost+found")).unwrap();
        let find = |path: &Path| TooDeep::find(&LocalStorage::new(path));
        for right in [&root, &folder.path().join("none"), &backup] {
            assert_eq!(find(right), None, "{right:?}");
        }
        let cluster = root.join("c");
        let found = find(&cluster).unwrap();
        let name = format!("name the repository, '{}'", root.display());
        assert!(
            found.words().ends_with(&format!(
                "c' is the folder of a cluster in a repository, and no repository: {name}"
            ))
        );
        assert_eq!(found.strays(), "");
        fs::write(backup.join(MANIFEST), "{}").unwrap();
        let found = find(&backup).unwrap();
        assert!(found.words().contains("the folder of a backup") && found.words().ends_with(&name));
        // A link to it is no other place.
        let link = folder.path().join("link");
        symlink(&cluster, &link).unwrap();
        assert!(find(&link).unwrap().words().ends_with(&name));
        // What an earlier mistake has made is told.
        fs::create_dir(cluster.join("c")).unwrap();
        assert!(find(&cluster).unwrap().strays().ends_with("a repository of their own (c)"));
    }

    #[test]
    fn a_bucket_is_a_repository_itself_or_has_none_above() {
        for (place, what, wanted) in [
            ("s3://bucket/a/b", Part::Cluster, Some("s3://bucket/a")),
            ("s3://bucket/c", Part::Cluster, Some("s3://bucket")),
            ("s3://bucket/c/id", Part::Backup, Some("s3://bucket")),
            ("s3://bucket", Part::Cluster, None),
            ("s3://bucket/id", Part::Backup, None),
        ] {
            assert_eq!(above(place, what).as_deref(), wanted, "{place}");
        }
    }
}
