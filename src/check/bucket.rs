//! Whether the donor program reaches its bucket: listed, with the key and the line that it will have.

use std::time::Duration;

use super::finding::Finding;
use super::repository::{Place, State};
use crate::config::{RepositoryUrl, Settings};
use crate::storage;

const TOPIC: &str = "repository";
/// A check is no backup: a bucket that fails is given up after 2/5 of this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lists it as the donor program, with the variables of the server.
pub(super) fn look(settings: &Settings, variable: &dyn Fn(&str) -> Option<String>) -> Place {
    let settings = Settings { stall_timeout: settings.stall_timeout.min(PATIENCE), ..settings.clone() };
    let listed = storage::open_as(&settings, variable).and_then(|storage| storage.probe());
    let state = listed.map_or_else(|error| State::Unreachable(error.to_string()), |()| State::Reachable);
    Place { state, ..Place::default() }
}

/// What is to be told.
pub(super) fn judge(url: &RepositoryUrl, place: &Place, user: &str) -> Vec<Finding> {
    match &place.state {
        State::Reachable => {
            let text =
                format!("{url} can be listed by '{user}'; whether objects can be put there is not tried");
            vec![Finding::ok(TOPIC, text)]
        }
        State::Unreachable(why) => {
            let text = format!("the donor would have no repository: {why}");
            let cure =
                "correct what it says in [wsrep_sst_backup], as the server's user will read it".to_owned();
            vec![Finding::error(TOPIC, text, cure)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::config::{OptionFiles, SettingsOverrides};

    #[test]
    fn a_bucket_is_looked_at_with_the_servers_own_variables() {
        let endpoint = "http://127.0.0.1:1".to_owned();
        let flags = SettingsOverrides {
            repository: Some("s3://bucket/p".into()),
            s3_endpoint: Some(endpoint),
            stall_timeout: Some("1s".into()),
            ..SettingsOverrides::default()
        };
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
        let place = Place { state: State::Reachable, ..Place::default() };
        assert_eq!(judge(&settings.repository, &place, "mysql")[0].level, Level::Ok);
    }
}
