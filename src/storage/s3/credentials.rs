//! Where the key comes from. The first of these that is there is used:
//!
//! 1. the settings `s3-access-key-id`, `s3-secret-access-key`, `s3-session-token`;
//! 2. the profile of the setting `s3-profile`;
//! 3. the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`;
//! 4. the profile of `AWS_PROFILE`, else `default`, where it has a key;
//! 5. web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN` (a role of a Kubernetes service account);
//! 6. the container's: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, or `AWS_CONTAINER_CREDENTIALS_FULL_URI` with
//!    `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`;
//! 7. the instance's metadata service (version 2), unless `AWS_EC2_METADATA_DISABLED` is `true`.
//!
//! Keys of 5 to 7 expire and are renewed by `object_store` while a backup runs.

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

use super::profile::{self, Profile};
use crate::config::{S3Settings, Secret};

/// The process's environment, or that of a test.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Key, region and endpoint, out of settings, environment and profile files.
pub(super) struct KeyAndPlace {
    source: KeySource,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
}

enum KeySource {
    Key(String, Secret, Option<Secret>),
    /// Names of the library's settings and their values.
    Service(Vec<(Key, String)>),
}

impl KeyAndPlace {
    /// Finds the key, or says where none was found.
    pub(super) fn find(settings: &S3Settings, variable: Environment<'_>) -> Result<Self, String> {
        let files = profile::files(variable);
        let wanted = settings.profile.clone().or_else(|| variable("AWS_PROFILE"));
        let name = wanted.as_deref().unwrap_or("default");
        let profile = match profile::read(&files, name)? {
            Some(profile) => profile,
            None if wanted.is_some() => {
                return Err(format!("there is no profile '{name}' in {}", profile::shown(&files)));
            }
            None => Profile::default(),
        };
        let region = settings.region.clone().or_else(|| variable("AWS_REGION"));
        let region = region.or_else(|| variable("AWS_DEFAULT_REGION")).or_else(|| profile.region.clone());
        let endpoint = settings.endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL_S3"));
        let endpoint = endpoint.or_else(|| variable("AWS_ENDPOINT_URL")).or_else(|| profile.endpoint.clone());
        let source = key(settings, profile.key, variable).or_else(|| service(variable));
        match (source, profile.elsewhere) {
            (Some(KeySource::Service(_)) | None, Some(way)) => Err(format!(
                "profile '{name}' has its key by {way}, which is not supported: put a key into it"
            )),
            (Some(source), _) => Ok(Self { source, region, endpoint }),
            (None, None) => Err(format!(
                "no credentials: neither s3-access-key-id nor the environment nor {} have a key",
                profile::shown(&files)
            )),
        }
    }

    /// Whether a token is exchanged for a key over the Internet.
    pub(super) fn asks_sts(&self) -> bool {
        matches!(&self.source, KeySource::Service(values) if values.iter().any(|(key, _)| *key == Key::RoleArn))
    }

    pub(super) fn apply(self, mut builder: AmazonS3Builder) -> AmazonS3Builder {
        match self.source {
            KeySource::Key(id, secret, token) => {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose());
                if let Some(token) = token {
                    builder = builder.with_token(token.expose());
                }
                builder
            }
            KeySource::Service(values) => {
                values.into_iter().fold(builder, |builder, (key, value)| builder.with_config(key, value))
            }
        }
    }
}

/// A key that stands in settings, environment or profile.
fn key(
    settings: &S3Settings,
    profile: Option<(String, Secret, Option<Secret>)>,
    variable: Environment<'_>,
) -> Option<KeySource> {
    if let (Some(id), Some(secret)) = (&settings.access_key_id, &settings.secret_access_key) {
        return Some(KeySource::Key(id.clone(), secret.clone(), settings.session_token.clone()));
    }
    let of_profile = profile.map(|(id, secret, token)| KeySource::Key(id, secret, token));
    if settings.profile.is_some() && of_profile.is_some() {
        return of_profile;
    }
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        return Some(KeySource::Key(id, secret.into(), variable("AWS_SESSION_TOKEN").map(Secret::from)));
    }
    of_profile
}

/// A service that gives keys to those who run in the right place.
fn service(variable: Environment<'_>) -> Option<KeySource> {
    let named = |names: &[(&str, Key)]| -> Vec<(Key, String)> {
        names.iter().filter_map(|(name, key)| Some((*key, variable(name)?))).collect()
    };
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", Key::WebIdentityTokenFile),
        ("AWS_ROLE_ARN", Key::RoleArn),
        ("AWS_ROLE_SESSION_NAME", Key::RoleSessionName),
        ("AWS_ENDPOINT_URL_STS", Key::StsEndpoint),
    ];
    if named(&web[..2]).len() == 2 {
        return Some(KeySource::Service(named(&web)));
    }
    let relative = named(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", Key::ContainerCredentialsRelativeUri)]);
    if !relative.is_empty() {
        return Some(KeySource::Service(relative));
    }
    let full = named(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Key::ContainerCredentialsFullUri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", Key::ContainerAuthorizationTokenFile),
    ]);
    if full.len() == 2 {
        return Some(KeySource::Service(full));
    }
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    Some(KeySource::Service(named(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", Key::MetadataEndpoint)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(settings: &S3Settings, variables: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match KeyAndPlace::find(settings, &variable) {
            Err(why) => why,
            Ok(KeyAndPlace { source: KeySource::Key(id, ..), .. }) => id,
            Ok(KeyAndPlace { source: KeySource::Service(values), .. }) => {
                values.iter().map(|(key, value)| format!("{}={value} ", key.as_ref())).collect()
            }
        }
    }

    #[test]
    fn the_first_that_is_there_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        let key =
            |name: &str, id: &str| format!("[{name}]\naws_access_key_id={id}\naws_secret_access_key=s\n");
        std::fs::write(&file, key("default", "DEFAULT") + &key("named", "NAMED")).unwrap();
        let file = ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap());
        let env = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn")];
        let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c");
        let nothing = S3Settings::default();
        let profile = S3Settings { profile: Some("named".into()), ..S3Settings::default() };
        let own = S3Settings {
            access_key_id: Some("OWN".into()),
            secret_access_key: Some(Secret::from("s".to_owned())),
            ..profile.clone()
        };
        let all = [file, env[0], env[1], web[0], web[1], container];
        assert_eq!(id(&own, &all), "OWN");
        assert_eq!(id(&profile, &all), "NAMED");
        assert_eq!(id(&nothing, &all), "ENV");
        assert_eq!(id(&nothing, &[file, web[0], web[1]]), "DEFAULT");
        assert_eq!(id(&nothing, &[file, ("AWS_PROFILE", "named")]), "NAMED");
        assert_eq!(id(&nothing, &all[3..]), "aws_web_identity_token_file=/t aws_role_arn=arn ");
        assert_eq!(id(&nothing, &[container]), "aws_container_credentials_relative_uri=/c ");
        assert_eq!(id(&nothing, &[]), "");
        let off = ("AWS_EC2_METADATA_DISABLED", "true");
        assert!(id(&nothing, &[off]).starts_with("no credentials: neither s3-access-key-id"));
        assert!(id(&profile, &[off]).starts_with("there is no profile 'named' in"));
    }
}
