//! Whether the donor program could store into its bucket: tried with one object, by the key and the line that it will have.

use std::time::Duration;

use super::finding::Finding;
use super::repository::{RepositoryState, RepositoryView};
use crate::config::{RepositoryUrl, Settings};
use crate::storage::{KeyRights, S3Storage};

const TOPIC: &str = "repository";
/// A check is no backup: a bucket that fails is given up after 2/5 of this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries it as the donor program, with the variables of the server.
pub(super) fn look(settings: &Settings, variable: &dyn Fn(&str) -> Option<String>) -> RepositoryView {
    let RepositoryUrl::S3 { bucket, prefix } = &settings.repository else { return RepositoryView::default() };
    let patience = settings.stall_timeout.min(PATIENCE);
    let tried = S3Storage::new(bucket, prefix, &settings.s3, patience, variable)
        .and_then(|storage| storage.try_object());
    let state =
        tried.map_or_else(|error| RepositoryState::Unreachable(error.to_string()), RepositoryState::Tried);
    RepositoryView { state, ..RepositoryView::default() }
}

/// What is to be told.
pub(super) fn judge(url: &RepositoryUrl, place: &RepositoryView, user: &str) -> Vec<Finding> {
    match &place.state {
        RepositoryState::Tried(trial) => vec![of_trial(url, trial, user)],
        RepositoryState::Unreachable(why) => {
            let text = format!("the donor would have no repository: {why}");
            let cure =
                "correct what it says in [wsrep_sst_backup], as the server's user will read it".to_owned();
            vec![Finding::error(TOPIC, text, cure)]
        }
        _ => Vec::new(),
    }
}

/// What one object has shown.
fn of_trial(url: &RepositoryUrl, trial: &KeyRights, user: &str) -> Finding {
    if let Err(why) = &trial.put {
        let text = format!("'{user}' cannot store in {url}: {why}");
        let cure = "let the key put objects there (s3:PutObject on the prefix), or name another one in [wsrep_sst_backup]";
        return Finding::error(TOPIC, text, cure);
    }
    let kept = match (&trial.locked, trial.versioned) {
        (Some(lock), _) => format!("; what is stored is locked {lock}"),
        (None, true) => "; what is overwritten or removed stays as an old version, until a lifecycle rule \
                         (NoncurrentVersionExpiration) removes it"
            .into(),
        (None, false) => String::new(),
    };
    let cannot = cannot(trial);
    let text = format!("an object was stored in {url} by '{user}'{cannot}{kept}");
    // A thief of this key cannot destroy a backup: that is as it should be.
    if cannot.is_empty() || trial.versioned || trial.locked.is_some() {
        return Finding::ok(TOPIC, text);
    }
    let cure = if trial.listed.is_err() || trial.read.is_err() {
        "a key that may only put is enough for a donor where the bucket keeps what it has (object lock, versions); here it \
         can still overwrite backups: switch versions on, or allow s3:ListBucket, s3:GetObject, s3:DeleteObject"
    } else {
        "allow s3:DeleteObject, or let a lifecycle rule remove what failed backups leave"
    };
    Finding::warning(TOPIC, text, cure.to_owned())
}

/// What the key cannot do, and what that means.
fn cannot(trial: &KeyRights) -> String {
    // A locked object stays; a donor that removes one there only hides it.
    let removed = if trial.locked.is_some() { &Ok(()) } else { &trial.removed };
    let all = [(&trial.listed, "list the bucket"), (&trial.read, "read it back"), (removed, "remove it")];
    let refused: Vec<(&str, &String)> =
        all.iter().filter_map(|(outcome, what)| Some((*what, outcome.as_ref().err()?))).collect();
    let Some((_, why)) = refused.first() else { return String::new() };
    let whats: Vec<&str> = refused.iter().map(|(what, _)| *what).collect();
    let mut text = format!(", who cannot {} ({why})", whats.join(", nor "));
    if trial.listed.is_err() || trial.read.is_err() {
        text.push_str(
            ": with this key backup, list, verify, restore, copy, prune and the metrics of all backups do not work, give them \
             another one",
        );
    }
    if removed.is_err() {
        text.push_str("; what a failed backup leaves stays until 'prune' with another key, or a lifecycle rule, removes it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::config::{OptionFiles, SettingsOverrides};

    #[test]
    fn a_bucket_is_looked_at_with_the_servers_own_variables() {
        let flags = SettingsOverrides::of([
            ("repository", "s3://bucket/p"),
            ("s3-endpoint", "http://127.0.0.1:1"),
            ("stall-timeout", "1s"),
        ]);
        let settings = Settings::resolve(&OptionFiles::default(), std::iter::empty(), &flags).unwrap();
        let off = |name: &str| (name == "AWS_EC2_METADATA_DISABLED").then(|| "true".to_owned());
        let key =
            |name: &str| (name.ends_with("_KEY_ID") || name.ends_with("_ACCESS_KEY")).then(|| "x".to_owned());
        for (place, words) in
            [(look(&settings, &off), "no credentials"), (look(&settings, &key), "cannot list")]
        {
            let [finding] = &judge(&settings.repository, &place, "mysql")[..] else { panic!("{place:?}") };
            assert!(finding.level == Level::Error && finding.text.contains(words), "{finding:?}");
        }
    }

    #[test]
    fn what_one_object_has_shown_is_told() {
        let url = RepositoryUrl::S3 { bucket: "b".into(), prefix: "p".into() };
        let no = || Err("HTTP status 403".to_owned());
        let all = KeyRights {
            listed: Ok(()),
            put: Ok(()),
            read: Ok(()),
            removed: Ok(()),
            versioned: false,
            locked: None,
        };
        let lock = || Some("until 2027 (GOVERNANCE)".to_owned());
        let write_only = KeyRights { listed: no(), read: no(), removed: no(), ..all.clone() };
        for (trial, level, words) in [
            (all.clone(), Level::Ok, "stored in s3://b/p by 'mysql'"),
            (KeyRights { versioned: true, ..all.clone() }, Level::Ok, "stays as an old version"),
            (
                KeyRights { put: no(), ..all.clone() },
                Level::Error,
                "cannot store in s3://b/p: HTTP status 403",
            ),
            (
                KeyRights { removed: no(), versioned: true, locked: lock(), ..all.clone() },
                Level::Ok,
                "locked until 2027 (GOVERNANCE)",
            ),
            (KeyRights { removed: no(), ..all }, Level::Warning, "cannot remove it"),
            (
                KeyRights { versioned: true, ..write_only.clone() },
                Level::Ok,
                "cannot list the bucket, nor read it back, nor remove it (HTTP status 403): with this key backup, list,",
            ),
            (write_only, Level::Warning, "nor read it back"),
        ] {
            let place = RepositoryView { state: RepositoryState::Tried(trial), ..RepositoryView::default() };
            let [finding] = &judge(&url, &place, "mysql")[..] else { panic!("{place:?}") };
            assert!(finding.level == level && finding.text.contains(words), "{finding:?}");
        }
    }
}
