//! The client of one bucket, made out of the settings.

use std::io;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::Certificate;

use super::credentials::{Environment, KeyAndPlace};
use super::http::{CONNECT, Certificates, Connector};
use super::proxy::Proxies;
use super::request::Requests;
use crate::config::{S3Settings, ServerEncryption};

/// The region where none is named, as `object_store` has it.
const REGION: &str = "us-east-1";

/// The client, the way for requests that it does not know, and the line of both; nothing is asked of the server yet.
pub(super) fn client(
    bucket: &str,
    settings: &S3Settings,
    variable: Environment<'_>,
) -> Result<(AmazonS3, Requests, Connector), io::Error> {
    // reqwest takes the provider of the process; mysql's TLS uses the same one. A second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let identity = KeyAndPlace::find(settings, variable).map_err(io::Error::other)?;
    let plain = identity.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let proxies = Proxies::find(settings, variable).map_err(io::Error::other)?;
    let system = settings.ca_file.is_none() && (!plain || identity.asks_sts() || proxies.speak_tls());
    let certificates = Certificates { own: certificates(settings)?, system };
    let no_retry =
        RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, backoff: BackoffConfig::default() };
    let region = identity.region.clone().unwrap_or_else(|| REGION.to_owned());
    let url = bucket_url(bucket, settings, &identity, &region);
    let connector = Connector::new(&url, proxies, certificates).map_err(io::Error::other)?;
    let requests = Requests::new(connector.client(), url, region);
    // By the time to connect the line knows what a client is for.
    let options =
        ClientOptions::new().with_allow_http(plain).with_timeout_disabled().with_connect_timeout(CONNECT);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_http_connector(connector.clone())
        .with_retry(no_retry)
        .with_disable_bulk_delete(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    builder = address(builder, bucket, settings, &identity);
    builder = encryption(builder, settings);
    let store = identity.apply(builder).build().map_err(|error| io::Error::other(error.to_string()))?;
    Ok((store, requests, connector))
}

/// Whether the bucket stands in the path, and not in the host name.
fn in_path(bucket: &str, settings: &S3Settings, identity: &KeyAndPlace) -> bool {
    // A bucket with a dot has no certificate for its own host name at AWS.
    settings.path_style.unwrap_or(identity.endpoint.is_some() || bucket.contains('.'))
}

/// Region and address of the bucket.
fn address(
    mut builder: AmazonS3Builder,
    bucket: &str,
    settings: &S3Settings,
    identity: &KeyAndPlace,
) -> AmazonS3Builder {
    let path_style = in_path(bucket, settings, identity);
    builder = builder.with_virtual_hosted_style_request(!path_style);
    if let Some(region) = &identity.region {
        builder = builder.with_region(region);
    }
    match &identity.endpoint {
        Some(endpoint) if path_style => builder.with_endpoint(endpoint),
        Some(endpoint) => builder.with_endpoint(hosted(endpoint, bucket)),
        None => builder,
    }
}

/// The URL that the builder makes of the same, which it does not tell.
fn bucket_url(bucket: &str, settings: &S3Settings, identity: &KeyAndPlace, region: &str) -> String {
    let endpoint = match &identity.endpoint {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => format!("https://s3.{region}.amazonaws.com"),
    };
    if in_path(bucket, settings, identity) {
        format!("{endpoint}/{bucket}")
    } else {
        hosted(&endpoint, bucket)
    }
}

/// An endpoint with the bucket in its host name.
fn hosted(endpoint: &str, bucket: &str) -> String {
    endpoint.replacen("://", &format!("://{bucket}."), 1)
}

fn encryption(builder: AmazonS3Builder, settings: &S3Settings) -> AmazonS3Builder {
    if let Some(key) = &settings.sse_customer_key {
        return builder.with_ssec_encryption(key.expose());
    }
    let kind = |builder: AmazonS3Builder, name: &str| match "aws_server_side_encryption".parse() {
        Ok(key) => builder.with_config(key, name),
        Err(_) => builder,
    };
    match (settings.sse, &settings.sse_kms_key) {
        (None, _) => builder,
        (Some(ServerEncryption::Aes256), _) => kind(builder, "AES256"),
        (Some(ServerEncryption::Kms), None) => kind(builder, "aws:kms"),
        (Some(ServerEncryption::Kms), Some(key)) => builder.with_sse_kms_encryption(key),
    }
}

/// The authorities of `s3-ca-file`, which take the place of the system's.
fn certificates(settings: &S3Settings) -> Result<Vec<Certificate>, io::Error> {
    let Some(path) = &settings.ca_file else {
        return Ok(Vec::new());
    };
    let fail = |why: String| io::Error::other(format!("s3-ca-file '{}': {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if found.is_empty() => Err(fail("it has no certificate in PEM form".into())),
        Ok(found) => Ok(found),
        Err(error) => Err(fail(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn made(settings: &S3Settings, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let (client, requests, _) =
            client("bucket", settings, &variable).map_err(|error| error.to_string())?;
        let shown = format!("{client:?}");
        // Our own requests go to the same place.
        let own = format!("bucket_endpoint: \"{}\"", requests.url());
        assert!(
            shown.contains(&own) && shown.contains(&format!("region: \"{}\"", requests.region())),
            "{own}"
        );
        Ok(shown)
    }

    fn key() -> S3Settings {
        S3Settings {
            access_key_id: Some("id".into()),
            secret_access_key: Some(Secret::from("hunter2".to_owned())),
            ..S3Settings::default()
        }
    }

    #[test]
    fn the_bucket_stands_where_the_server_expects_it() {
        let at = |settings: S3Settings, variables: &[(&str, &str)]| {
            let shown = made(&settings, variables).unwrap();
            let (_, rest) = shown.split_once("bucket_endpoint: \"").unwrap();
            rest.split_once('"').unwrap().0.to_owned()
        };
        let endpoint = || Some("https://h:9000".to_owned());
        assert_eq!(at(key(), &[]), "https://bucket.s3.us-east-1.amazonaws.com");
        assert_eq!(at(key(), &[("AWS_REGION", "eu-1")]), "https://bucket.s3.eu-1.amazonaws.com");
        assert_eq!(at(S3Settings { endpoint: endpoint(), ..key() }, &[]), "https://h:9000/bucket");
        let hosted = S3Settings { endpoint: endpoint(), path_style: Some(false), ..key() };
        assert_eq!(at(hosted, &[]), "https://bucket.h:9000");
        let in_path = S3Settings { path_style: Some(true), region: Some("eu-2".into()), ..key() };
        assert_eq!(at(in_path, &[]), "https://s3.eu-2.amazonaws.com/bucket");
        assert_eq!(at(key(), &[("AWS_ENDPOINT_URL", "http://e")]), "http://e/bucket");
    }

    #[test]
    fn an_authority_that_is_none_is_refused_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let settings = S3Settings { ca_file: Some(file.clone()), ..key() };
        let shown = file.display().to_string();
        assert!(
            made(&settings, &[]).unwrap_err().starts_with(&format!("s3-ca-file '{shown}': No such file"))
        );
        std::fs::write(&file, "nothing\n").unwrap();
        assert!(made(&settings, &[]).unwrap_err().contains("it has no certificate in PEM form"));
    }
}
