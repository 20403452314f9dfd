//! The settings of S3-compatible storage, `s3-…`.

use std::path::PathBuf;
use std::str::FromStr;

use super::ValueError;
use super::repository::RepositoryUrl;
use super::secret::Secret;

/// Most parts of one upload unless told otherwise: what AWS takes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MAX_PARTS: u64 = 10_000;

/// How a bucket is reached. Each field is the setting of that name with `s3-` before it, `-` for `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// The server, `https://host[:port]`; AWS without it.
    pub endpoint: Option<String>,
    /// The region; else that of the environment or the profile, else `us-east-1`.
    pub region: Option<String>,
    /// The key's name; else see [`crate::storage`].
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<Secret>,
    /// Goes with a key that is valid for some time only.
    pub session_token: Option<Secret>,
    /// The section of the profile files; else that of the environment, else `default`.
    pub profile: Option<String>,
    /// Authorities that are trusted in place of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Encryption by the server with a key of its own.
    pub sse: Option<ServerEncryption>,
    /// The name of that key in the vendor's key store; with `aws:kms` only.
    pub sse_kms_key: Option<String>,
    /// The key that the server encrypts with and forgets: 32 bytes in base64.
    pub sse_customer_key: Option<Secret>,
    /// Most parts that the server takes for one upload, 10 to 10,000.
    pub max_parts: u64,
    /// Whether the bucket stands in the path of a URL; else in its host name. Without it: where an endpoint is set.
    pub path_style: Option<bool>,
    /// The proxy on the way; without it what the environment says.
    pub proxy: Option<S3Proxy>,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            profile: None,
            ca_file: None,
            sse: None,
            sse_kms_key: None,
            sse_customer_key: None,
            max_parts: MAX_PARTS,
            path_style: None,
            proxy: None,
        }
    }
}

impl S3Settings {
    /// What does not go together, as the setting that is to blame and what is wrong with it.
    pub(in crate::config) fn contradiction(&self) -> Option<(&'static str, String)> {
        let missing = |name| format!("needs {name} beside it");
        if self.access_key_id.is_some() && self.secret_access_key.is_none() {
            return Some(("s3-access-key-id", missing("s3-secret-access-key")));
        }
        if self.secret_access_key.is_some() && self.access_key_id.is_none() {
            return Some(("s3-secret-access-key", missing("s3-access-key-id")));
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return Some(("s3-session-token", missing("s3-access-key-id")));
        }
        if self.sse_kms_key.is_some() && self.sse != Some(ServerEncryption::Kms) {
            return Some(("s3-sse-kms-key", "needs s3-sse = aws:kms".into()));
        }
        if self.sse_customer_key.is_some() && self.sse.is_some() {
            return Some(("s3-sse-customer-key", "cannot be used together with s3-sse".into()));
        }
        None
    }

    /// What a person should know about these settings for that repository.
    pub(in crate::config) fn warning(&self, repository: &RepositoryUrl) -> Option<String> {
        let plain = self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let s3 = matches!(repository, RepositoryUrl::S3 { .. });
        (s3 && plain && self.sse_customer_key.is_some()).then(|| {
            "s3-sse-customer-key is sent to an http:// endpoint, readable for everybody between".into()
        })
    }
}

/// What `s3-proxy` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Proxy {
    /// None, whatever the environment says.
    No,
    /// This one, `http[s]://[user:password@]host:port`; it may hold a password, so it is not shown.
    Through(Secret),
}

/// Encryption by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerEncryption {
    /// SSE-S3, `aes256`.
    Aes256,
    /// SSE-KMS, `aws:kms`.
    Kms,
}

impl FromStr for ServerEncryption {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "aes256" | "AES256" => Ok(Self::Aes256),
            "aws:kms" => Ok(Self::Kms),
            _ => Err(ValueError::new(format!("'{text}' is not one of aes256, aws:kms"))),
        }
    }
}

/// `http[s]://host[:port]`, without a slash at its end.
pub(in crate::config) fn endpoint(text: &str) -> Result<String, ValueError> {
    let wrong =
        |why: &str| Err(ValueError::new(format!("'{text}' {why}: https://host or https://host:port")));
    let Some((scheme, host)) = text.split_once("://") else {
        return wrong("has no https:// or http:// before it");
    };
    let host = host.trim_end_matches('/');
    if !matches!(scheme, "https" | "http") {
        return wrong("begins neither with https:// nor with http://");
    }
    let in_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_empty() || !host.chars().all(in_host) {
        return wrong("has something beside a host and a port");
    }
    Ok(format!("{scheme}://{host}"))
}

/// `none`, or `http[s]://[user:password@]host:port`, which is never shown: it may hold a password.
pub(in crate::config) fn proxy(text: &str) -> Result<S3Proxy, ValueError> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(S3Proxy::No);
    }
    let wrong = |why: &str| Err(ValueError::new(format!("{why}: http://[user:password@]host:port, or none")));
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong("has no http:// or https:// before it");
    };
    if !matches!(scheme, "http" | "https") {
        return wrong("is neither a http:// nor a https:// proxy (SOCKS is not supported)");
    }
    let rest = rest.trim_end_matches('/');
    let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
    let port = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match port {
        Some((host, _))
            if !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c)) =>
        {
            Ok(S3Proxy::Through(Secret::from(format!("{scheme}://{rest}"))))
        }
        _ => wrong("has no host and port"),
    }
}

/// 32 bytes in base64, which are 43 characters and a `=`. The text is never shown.
pub(in crate::config) fn customer_key(text: &str) -> Result<Secret, ValueError> {
    let digit = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    let is_key = text.len() == 44 && text.strip_suffix('=').is_some_and(|rest| rest.chars().all(digit));
    if !is_key {
        return Err(ValueError::new(
            "is not a key: 32 bytes in base64, such as 'openssl rand -base64 32' prints",
        ));
    }
    Ok(Secret::from(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_a_scheme_a_host_and_a_port() {
        let of = |text: &str| endpoint(text).map_err(|error| error.to_string());
        assert_eq!(of("https://s3.example.com/").unwrap(), "https://s3.example.com");
        assert_eq!(of("http://[::1]:9000").unwrap(), "http://[::1]:9000");
        for text in ["s3.example.com", "ftp://x", "https://", "https://user:key@host", "https://host/path?x"]
        {
            assert!(of(text).unwrap_err().contains("https://host:port"), "{text}");
        }
    }

    #[test]
    fn a_proxy_is_a_scheme_a_host_and_a_port_and_is_not_shown() {
        assert_eq!(proxy("None").unwrap(), S3Proxy::No);
        let of = |text: &str| match proxy(text) {
            Ok(S3Proxy::Through(secret)) => secret.expose().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("http://u:p@h:3128/"), "http://u:p@h:3128");
        assert_eq!(of("https://[::1]:8080"), "https://[::1]:8080");
        for text in ["h:3128", "socks5://h:1080", "http://hunter2@h", "http://u:hunter2@:1", "http://h/x:1"] {
            let error = proxy(text).unwrap_err().to_string();
            assert!(error.contains("host:port") && !error.contains("hunter2"), "{error}");
        }
        assert!(!format!("{:?}", proxy("http://u:hunter2@h:1").unwrap()).contains("hunter2"));
    }

    #[test]
    fn a_customer_key_has_32_bytes_and_is_not_shown() {
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        assert_eq!(customer_key(key).unwrap().expose(), key);
        for text in ["", "c2hvcnQ=", &key[1..], &format!("{key}="), &key.replace('M', "*")] {
            let error = customer_key(text).unwrap_err().to_string();
            assert!(error.contains("32 bytes") && (text.is_empty() || !error.contains(text)), "{error}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let blame = |settings: &S3Settings| settings.contradiction().map(|(name, _)| name);
        let key = || Some(Secret::from("k".to_owned()));
        let id = || Some("id".to_owned());
        let base = S3Settings::default;
        for (settings, name) in [
            (base(), None),
            (S3Settings { access_key_id: id(), ..base() }, Some("s3-access-key-id")),
            (S3Settings { secret_access_key: key(), ..base() }, Some("s3-secret-access-key")),
            (S3Settings { session_token: key(), ..base() }, Some("s3-session-token")),
            (S3Settings { sse_kms_key: id(), ..base() }, Some("s3-sse-kms-key")),
            (
                S3Settings { sse: Some(ServerEncryption::Kms), sse_customer_key: key(), ..base() },
                Some("s3-sse-customer-key"),
            ),
            (
                S3Settings { access_key_id: id(), secret_access_key: key(), session_token: key(), ..base() },
                None,
            ),
            (S3Settings { sse: Some(ServerEncryption::Kms), sse_kms_key: id(), ..base() }, None),
        ] {
            assert_eq!(blame(&settings), name, "{settings:?}");
        }
    }
}
