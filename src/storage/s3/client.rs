//! The client of one bucket, made out of the settings.

use std::io;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use super::credentials::{Environment, Identity};
use super::dns::Names;
use crate::config::{S3Settings, ServerEncryption};

/// A server that does not take a connection within this time is asked again.
const CONNECT: Duration = Duration::from_secs(10);

/// The client; nothing is asked of the server yet.
pub(super) fn client(
    bucket: &str,
    settings: &S3Settings,
    variable: Environment<'_>,
) -> Result<AmazonS3, io::Error> {
    // reqwest takes the provider of the process; mysql's TLS uses the same one. A second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let identity = Identity::find(settings, variable).map_err(io::Error::other)?;
    let plain = identity.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let system_trust = settings.ca_file.is_none() && (!plain || identity.asks_sts());
    let mut options = ClientOptions::new()
        .with_allow_http(plain)
        // Each attempt has a limit of its own, which knows how much it moves.
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_no_system_certificates(!system_trust)
        .with_dns_resolver(std::sync::Arc::new(Names));
    for certificate in certificates(settings)? {
        options = options.with_root_certificate(certificate);
    }
    let no_retry =
        RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, backoff: BackoffConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_retry(no_retry)
        .with_disable_bulk_delete(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    builder = address(builder, bucket, settings, &identity);
    builder = encryption(builder, settings);
    identity.apply(builder).build().map_err(|error| io::Error::other(error.to_string()))
}

/// Region, and whether the bucket stands in the path or in the host name.
fn address(
    mut builder: AmazonS3Builder,
    bucket: &str,
    settings: &S3Settings,
    identity: &Identity,
) -> AmazonS3Builder {
    // A bucket with a dot has no certificate for its own host name at AWS.
    let path_style = settings.path_style.unwrap_or(identity.endpoint.is_some() || bucket.contains('.'));
    builder = builder.with_virtual_hosted_style_request(!path_style);
    if let Some(region) = &identity.region {
        builder = builder.with_region(region);
    }
    match &identity.endpoint {
        Some(endpoint) if path_style => builder.with_endpoint(endpoint),
        Some(endpoint) => builder.with_endpoint(endpoint.replacen("://", &format!("://{bucket}."), 1)),
        None => builder,
    }
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
        let client = client("bucket", settings, &variable).map_err(|error| error.to_string())?;
        Ok(format!("{client:?}"))
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
