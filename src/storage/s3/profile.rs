//! Profile files, as the AWS tools write them: `~/.aws/credentials` and `~/.aws/config`.
//!
//! Of their contents keys, region and endpoint are used. Keys that another program or a sign-in has to produce first
//! (`credential_process`, `source_profile`, SSO) are named and not followed.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Secret;

/// One profile out of both files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    /// Name, key, and session token.
    pub(super) key: Option<(String, Secret, Option<Secret>)>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// A way to credentials that is not followed here.
    pub(super) elsewhere: Option<&'static str>,
}

/// Names of settings that stand for keys that have to be fetched.
const ELSEWHERE: [&str; 5] =
    ["credential_process", "source_profile", "credential_source", "sso_session", "sso_start_url"];

/// Where the files are.
pub(super) fn files(variable: &dyn Fn(&str) -> Option<String>) -> [Option<PathBuf>; 2] {
    let home = variable("HOME").map(PathBuf::from);
    let place = |name: &str, file: &str| {
        variable(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".aws").join(file)))
    };
    [place("AWS_CONFIG_FILE", "config"), place("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
}

/// The profile `name`; none if no file has it. A file that is not there is no error; one that cannot be read is.
pub(super) fn read(files: &[Option<PathBuf>; 2], name: &str) -> Result<Option<Profile>, String> {
    let mut values = HashMap::new();
    let mut found = false;
    // What the credentials file says counts more.
    for (path, in_config) in files.iter().zip([true, false]) {
        let Some(path) = path else { continue };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if absent(&error) => continue,
            Err(error) => return Err(format!("cannot read '{}': {error}", path.display())),
        };
        found |= section(&text, name, in_config, &mut values);
    }
    if !found {
        return Ok(None);
    }
    let mut take = |name: &str| values.remove(name).filter(|value| !value.is_empty());
    let key = match (take("aws_access_key_id"), take("aws_secret_access_key").map(Secret::from)) {
        (Some(id), Some(secret)) => Some((id, secret, take("aws_session_token").map(Secret::from))),
        (None, None) => None,
        _ => {
            return Err(format!(
                "profile '{name}' has one of aws_access_key_id and aws_secret_access_key only"
            ));
        }
    };
    let endpoint = take("endpoint_url_s3").or_else(|| take("endpoint_url"));
    let region = take("region");
    let elsewhere = ELSEWHERE.into_iter().find(|name| values.contains_key(*name));
    Ok(Some(Profile { key, region, endpoint, elsewhere }))
}

/// A home directory that cannot be entered (mysqld's sandbox) has no files for us.
fn absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Reads `[name]`, in the config file `[profile name]`; whether it is there. Indented lines belong to a nested setting.
fn section(text: &str, name: &str, in_config: bool, values: &mut HashMap<String, String>) -> bool {
    let (mut inside, mut found) = (false, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(head) =
            trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(head, _)| head)
        {
            let mut words = head.split_whitespace();
            inside = match (words.next(), words.next()) {
                (Some("profile"), Some(own)) if in_config => own == name,
                (Some(own), None) => own == name && (!in_config || name == "default"),
                _ => false,
            };
            found |= inside;
        } else if inside
            && !line.starts_with([' ', '\t'])
            && let Some((key, value)) = trimmed.split_once('=')
        {
            let value = value.split(" #").next().unwrap_or_default();
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

/// Whether any of the files is there, to say so when no credentials are found.
pub(super) fn shown(files: &[Option<PathBuf>; 2]) -> String {
    let names: Vec<String> =
        files.iter().flatten().map(|path: &PathBuf| Path::display(path).to_string()).collect();
    if names.is_empty() { "no profile files (HOME is not set)".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# c\n[default]\nregion = eu-1\n[profile b]\nregion=eu-2 # near\nendpoint_url = https://h\n\
                          s3 =\n  region = nested\n[profile sso]\nsso_session = x\n[b]\nregion = not this\n";
    const CREDENTIALS: &str = "[b]\naws_access_key_id = ID\naws_secret_access_key = a=b/c+\n\
                               [half]\naws_access_key_id = ID\n[default]\nAWS_ACCESS_KEY_ID=D\n\
                               aws_secret_access_key=S\naws_session_token=T\n";

    #[test]
    fn profiles_are_put_together_from_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let variable = |name: &str| (name == "HOME").then(|| home.clone());
        let files = files(&variable);
        assert_eq!(read(&files, "b"), Ok(None));
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/config"), CONFIG).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        let secret = |text: &str| Secret::from(text.to_owned());
        let b = read(&files, "b").unwrap().unwrap();
        assert_eq!(b.key, Some(("ID".into(), secret("a=b/c+"), None)));
        assert_eq!((b.region.as_deref(), b.endpoint.as_deref()), (Some("eu-2"), Some("https://h")));
        let default = read(&files, "default").unwrap().unwrap();
        assert_eq!(default.key, Some(("D".into(), secret("S"), Some(secret("T")))));
        assert_eq!(default.region.as_deref(), Some("eu-1"));
        assert_eq!(read(&files, "sso").unwrap().unwrap().elsewhere, Some("sso_session"));
        assert!(read(&files, "half").unwrap_err().contains("one of"));
        assert_eq!(read(&files, "c"), Ok(None));
    }

    #[test]
    fn the_variables_name_other_files() {
        let variable = |name: &str| name.starts_with("AWS_").then(|| format!("/x/{name}"));
        let [config, credentials] = files(&variable);
        assert_eq!(config, Some("/x/AWS_CONFIG_FILE".into()));
        assert_eq!(credentials, Some("/x/AWS_SHARED_CREDENTIALS_FILE".into()));
        assert_eq!(files(&|_| None), [None, None]);
        assert!(shown(&files(&|_| None)).contains("HOME is not set"));
    }
}
