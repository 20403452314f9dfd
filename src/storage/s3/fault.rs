//! What S3 said, as far as it matters: whether to ask again, and what a person can do about it.
//!
//! `object_store` hands on the status and the body of an answer only inside its message (0.14: `RetryError` is private),
//! so they are read from there; the tests against real servers see that this works.

use std::error::Error;
use std::fmt;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is no such object, or no such upload.
    NotFound,
    /// A condition of the request does not hold: the object is there, or is another one.
    Condition,
    /// Asking again may help.
    Transient,
    /// Asking again does not help.
    Permanent,
}

/// A request that failed.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// The HTTP status, where there was an answer.
    pub(super) status: Option<u16>,
    /// The code in its body, such as `NoSuchBucket`.
    pub(super) code: Option<String>,
    text: String,
}

impl Fault {
    pub(super) fn transient(text: impl Into<String>) -> Self {
        Self { kind: Kind::Transient, status: None, code: None, text: text.into() }
    }

    pub(super) fn permanent(text: impl Into<String>) -> Self {
        Self { kind: Kind::Permanent, status: None, code: None, text: text.into() }
    }

    /// An answer of the server that is no success, with its body.
    pub(super) fn answered(status: u16, body: &str) -> Self {
        Self::of_body(Some(status), body)
    }

    fn of_body(status: Option<u16>, body: &str) -> Self {
        let code = between(body, "<Code>", "</Code>").map(str::to_owned);
        let mut fault = answer(status, code, between(body, "<Message>", "</Message>"));
        if let Some(region) = between(body, "<Region>", "</Region>") {
            fault.text.push_str(&format!(" (the bucket is in {region})"));
        }
        fault
    }

    /// The same with more words behind it.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.text.push_str(more);
        self
    }

    /// The same where a service was asked for the key, and not the storage for an object.
    pub(super) fn of_credentials(error: object_store::Error) -> Self {
        let nobody = sources(&error)
            .filter_map(|cause| cause.downcast_ref::<HttpError>())
            .any(|http| http.kind() == HttpErrorKind::Connect);
        let Self { kind, status, text, .. } = Self::from(error);
        let text = text.split("; ").next().unwrap_or_default();
        let kind = if nobody || kind != Kind::Transient { Kind::Permanent } else { Kind::Transient };
        let text = format!(
            "no credentials: the service that gives keys: {text}; set s3-access-key-id and s3-secret-access-key, or see \
             that a key comes from elsewhere"
        );
        Self { kind, status, code: None, text }
    }

    /// The system error that callers of a storage look for.
    pub(super) fn into_io(self) -> io::Error {
        let full = ["QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"];
        let is = |codes: &[&str]| self.code.as_deref().is_some_and(|code| codes.contains(&code));
        let kind = match (self.kind, self.status) {
            (Kind::NotFound, _) => io::ErrorKind::NotFound,
            (_, Some(507)) => io::ErrorKind::StorageFull,
            _ if is(&full) => io::ErrorKind::StorageFull,
            (_, Some(401 | 403)) => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Fault {}

impl From<object_store::Error> for Fault {
    fn from(error: object_store::Error) -> Self {
        if let Some(http) = sources(&error).find_map(|cause| cause.downcast_ref::<HttpError>()) {
            return transport(http);
        }
        let text = sources(&error).map(ToString::to_string).max_by_key(String::len).unwrap_or_default();
        let status = between(&text, "status code: ", " ").and_then(|digits| digits.parse().ok());
        if text.contains("redirect without LOCATION") {
            return answer(Some(301), None, None);
        }
        if status.is_none() && !text.contains("<Code>") {
            return unanswered(&error, &text);
        }
        Self::of_body(status, &text)
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        transport(&error)
    }
}

/// An error that is no answer of the server: no credentials, or an answer that makes no sense.
fn unanswered(error: &object_store::Error, text: &str) -> Fault {
    match error {
        object_store::Error::NotFound { .. } => {
            Fault { kind: Kind::NotFound, ..Fault::permanent("it is not there") }
        }
        object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. } => {
            Fault { kind: Kind::Condition, ..Fault::permanent("it is there, or is another one") }
        }
        _ => Fault::permanent(text.to_owned()),
    }
}

/// An answer that is no success.
fn answer(status: Option<u16>, code: Option<String>, message: Option<&str>) -> Fault {
    let name = code.as_deref().unwrap_or_default();
    let kind = match (status, name) {
        (_, "NoSuchBucket") => Kind::Permanent,
        (Some(404), _) | (_, "NoSuchKey" | "NoSuchUpload") => Kind::NotFound,
        (_, "OperationAborted" | "ConditionalRequestConflict") => Kind::Transient,
        (Some(412 | 304 | 409 | 416), _) => Kind::Condition,
        (_, name) if TRANSIENT.contains(&name) => Kind::Transient,
        (Some(501 | 505 | 507), _) => Kind::Permanent,
        (Some(408 | 429 | 500..), _) => Kind::Transient,
        _ => Kind::Permanent,
    };
    let mut text = match (status, name) {
        (Some(status), "") => format!("HTTP status {status}"),
        (Some(status), name) => format!("HTTP status {status} {name}"),
        (None, name) => name.to_owned(),
    };
    if let Some(message) = message {
        text.push_str(&format!(": {}", message.trim_end_matches('.')));
    }
    if let Some(cure) = cure(status, name) {
        text.push_str(&format!("; {cure}"));
    }
    Fault { kind, status, code, text }
}

/// Codes that ask for patience whatever their status is (a slow upload is a `RequestTimeout` with status 400).
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const TRANSIENT: [&str; 12] = [
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "RequestTimeoutException",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequests",
    "IncompleteBody",
    "BadDigest",
    "XAmzContentSHA256Mismatch",
];

/// What to do about it.
fn cure(status: Option<u16>, code: &str) -> Option<&'static str> {
    Some(match (status, code) {
        (_, "NoSuchBucket") => "make the bucket, or correct the setting 'repository'",
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") | (Some(401), _) => {
            "check s3-access-key-id and s3-secret-access-key, or where else the key comes from"
        }
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
            "the session token is not valid (any more): renew the credentials"
        }
        (_, "RequestTimeTooSkewed") => {
            "the clock of this machine and that of the server differ by more than 15 minutes: set it right"
        }
        (Some(301 | 307), _)
        | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            "set s3-region to the region of the bucket"
        }
        (_, name) if name.starts_with("KMS") => "check s3-sse-kms-key and the right to use it",
        (_, "EntityTooLarge") => "the server takes no object of this size",
        (Some(403), _) => {
            "the key must be allowed to list the bucket and its unfinished uploads, and to get, put and delete objects \
             and abort uploads in it"
        }
        _ => return None,
    })
}

/// A request without an answer.
fn transport(error: &HttpError) -> Fault {
    let deepest = sources(error).last().map(ToString::to_string).unwrap_or_default();
    let all: String = sources(error).map(|cause| format!("{cause}; ")).collect();
    if all.contains("invalid peer certificate") {
        return Fault::permanent(format!(
            "the server's certificate is not trusted ({deepest}); name the authority that signed it with s3-ca-file, \
             and the host as the certificate does in s3-endpoint"
        ));
    }
    if all.contains("InvalidContentType") {
        return Fault::permanent("the server does not speak TLS; is its s3-endpoint http://?".to_owned());
    }
    if all.contains("no records found") {
        return Fault::permanent(format!("{deepest}; check s3-endpoint and /etc/resolv.conf"));
    }
    Fault::transient(deepest)
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}

fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(behind).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, body: &str) -> Fault {
        let source = format!(
            "Error performing PUT http://h/b in 3ms - Server returned non-2xx status code: {status} Reason: {body}"
        );
        object_store::Error::Generic { store: "S3", source: source.into() }.into()
    }

    fn coded(status: u16, code: &str) -> Fault {
        fault(status, &format!("<?xml?><Error><Code>{code}</Code><Message>Why.</Message></Error>"))
    }

    #[test]
    fn what_is_worth_asking_again() {
        for (fault, kind) in [
            (coded(503, "SlowDown"), Kind::Transient),
            (coded(200, "InternalError"), Kind::Transient),
            (coded(400, "RequestTimeout"), Kind::Transient),
            (fault(429, ""), Kind::Transient),
            (fault(500, "<html>"), Kind::Transient),
            (coded(409, "OperationAborted"), Kind::Transient),
            (coded(404, "NoSuchKey"), Kind::NotFound),
            (fault(404, ""), Kind::NotFound),
            (coded(404, "NoSuchBucket"), Kind::Permanent),
            (coded(412, "PreconditionFailed"), Kind::Condition),
            (coded(501, "NotImplemented"), Kind::Permanent),
            (coded(403, "AccessDenied"), Kind::Permanent),
            (coded(400, "InvalidPart"), Kind::Permanent),
            (coded(507, "XMinioStorageFull"), Kind::Permanent),
        ] {
            assert_eq!(fault.kind, kind, "{fault}");
        }
    }

    #[test]
    fn well_known_faults_say_what_to_do() {
        for (code, status, words) in [
            ("NoSuchBucket", 404, "make the bucket"),
            ("SignatureDoesNotMatch", 403, "s3-secret-access-key"),
            ("AccessDenied", 403, "the key must be allowed"),
            ("ExpiredToken", 400, "renew the credentials"),
            ("RequestTimeTooSkewed", 403, "clock"),
            ("PermanentRedirect", 301, "s3-region"),
            ("KMS.NotFoundException", 400, "s3-sse-kms-key"),
        ] {
            let text = coded(status, code).to_string();
            assert!(
                text.starts_with(&format!("HTTP status {status} {code}: Why; ")) && text.contains(words),
                "{text}"
            );
        }
        let body =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-1</Region>";
        assert!(fault(400, body).to_string().ends_with("of the bucket (the bucket is in eu-1)"));
    }

    #[test]
    fn a_full_storage_and_a_missing_object_are_known_as_such() {
        assert_eq!(coded(507, "x").into_io().kind(), io::ErrorKind::StorageFull);
        assert_eq!(coded(403, "QuotaExceeded").into_io().kind(), io::ErrorKind::StorageFull);
        assert_eq!(coded(404, "NoSuchKey").into_io().kind(), io::ErrorKind::NotFound);
        assert_eq!(coded(404, "NoSuchBucket").into_io().kind(), io::ErrorKind::Other);
    }
}
