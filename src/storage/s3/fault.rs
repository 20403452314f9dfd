//! Why a request to S3 has failed: whether to ask again, and what a person can do about it.
//!
//! Faults are made where answers come in ([`super::http`]) and travel through `object_store` as the cause of its errors. What
//! it says itself is read from its messages (0.14: `RetryError` is private); the tests against real servers see that this
//! works.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use object_store::client::HttpError;

use super::cure::{OTHER_REGION, cure};

/// What a failed request means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
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
    pub(super) kind: FaultKind,
    /// The HTTP status, where there was an answer.
    pub(super) status: Option<u16>,
    /// The code in its body, such as `NoSuchBucket`.
    pub(super) code: Option<String>,
    /// What was asked for may have been done all the same, or be done later.
    pub(super) maybe_done: bool,
    /// Asking again for longer than this is of no use.
    pub(super) within: Option<Duration>,
    text: String,
}

/// An answer of the bucket that is no success.
pub(super) struct ErrorAnswer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a str,
    /// Where the bucket is, where the server says that in a header.
    pub(super) region: Option<&'a str>,
    /// Where a redirection leads.
    pub(super) location: Option<&'a str>,
    /// Through which it came.
    pub(super) proxy: Option<&'a str>,
}

impl ErrorAnswer<'_> {
    /// What it means.
    pub(super) fn fault(&self) -> Fault {
        let mut fault = Fault::of_body(Some(self.status), self.body, self.region);
        if let (300..=399, Some(location)) = (self.status, self.location)
            && fault.code.is_none()
            && self.region.is_none()
        {
            let place: String = location.split('?').next().unwrap_or_default().chars().take(200).collect();
            fault.text = format!(
                "HTTP status {} to {place}: check s3-endpoint, and what stands between (a proxy, the login page of a network)",
                self.status
            );
        }
        if let (Some(proxy), None) = (self.proxy, &fault.code) {
            fault.text.push_str(&format!(" (through the proxy {proxy}, which may have said it)"));
        }
        if self.status == 407 {
            fault.text = format!(
                "HTTP status 407: the proxy {} wants a name and a password: s3-proxy = http://user:password@host:port",
                self.proxy.unwrap_or("on the way")
            );
        }
        if fault.kind == FaultKind::Transient && (500..600).contains(&self.status) {
            fault.maybe_done()
        } else {
            fault
        }
    }
}

impl Fault {
    pub(super) fn transient(text: impl Into<String>) -> Self {
        Self::new(FaultKind::Transient, text.into())
    }

    pub(super) fn permanent(text: impl Into<String>) -> Self {
        Self::new(FaultKind::Permanent, text.into())
    }

    fn new(kind: FaultKind, text: String) -> Self {
        Self { kind, status: None, code: None, maybe_done: false, within: None, text }
    }

    /// The same where the request may have been carried out all the same.
    pub(super) fn maybe_done(self) -> Self {
        self.or_maybe_done(true)
    }

    /// The same if that is so.
    pub(super) fn or_maybe_done(self, maybe_done: bool) -> Self {
        Self { maybe_done, ..self }
    }

    /// The same where asking again for longer is of no use.
    pub(super) fn within(self, time: Duration) -> Self {
        Self { within: Some(time), ..self }
    }

    /// An answer of the server that is no success, with its body.
    pub(super) fn answered(status: u16, body: &str) -> Self {
        Self::of_body(Some(status), body, None)
    }

    fn of_body(status: Option<u16>, body: &str, region: Option<&str>) -> Self {
        let code = between(body, "<Code>", "</Code>").map(str::to_owned);
        let region = between(body, "<Region>", "</Region>").or(region);
        answer(status, code, between(body, "<Message>", "</Message>"), region)
    }

    /// A request that was sent and not answered. `place` is host and port, and the way there.
    pub(super) fn transport(error: &(dyn Error + 'static), place: &str) -> Self {
        let deepest = sources(error).last().map(ToString::to_string).unwrap_or_default();
        Self::transient(format!("{deepest} ({place})"))
    }

    /// A connection that does not come about.
    pub(super) fn no_connection(error: &(dyn Error + 'static), place: &str, by_proxy: bool) -> Self {
        let deepest = sources(error).last().map(ToString::to_string).unwrap_or_default();
        let all: String = sources(error).map(|cause| format!("{cause}; ")).collect();
        if all.contains("invalid peer certificate") {
            return Self::permanent(format!(
                "the server's certificate is not trusted ({deepest}); name the authority that signed it with s3-ca-file, \
                 and the host as the certificate does in s3-endpoint ({place})"
            ));
        }
        if all.contains("InvalidContentType") {
            return Self::permanent(format!(
                "the server does not speak TLS ({place}); is its s3-endpoint http://?"
            ));
        }
        if all.contains("no records found") {
            let setting = if by_proxy { "s3-proxy" } else { "s3-endpoint" };
            return Self::permanent(format!("{deepest}; check {setting} and /etc/resolv.conf ({place})"));
        }
        if all.contains("proxy auth") {
            return Self::permanent(format!(
                "cannot connect to {place}: it wants a name and a password: s3-proxy = http://user:password@host:port"
            ));
        }
        Self::transient(format!("cannot connect to {place}: {deepest}"))
    }

    /// The same of a connection to a service that gives keys; whether it has given one before.
    pub(super) fn of_key_service(self, has_given: bool) -> Self {
        let kind = if has_given { FaultKind::Transient } else { FaultKind::Permanent };
        Self { kind, ..self }
    }

    /// The same with more words behind it.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.text.push_str(more);
        self
    }

    /// The same where a service was asked for the key, and not the storage for an object.
    pub(super) fn of_credentials(error: object_store::Error) -> Self {
        let fault = Self::from(error);
        let text = fault.text.split("; ").next().unwrap_or_default();
        let Self { kind, status, .. } = fault;
        let (kind, cure) = match kind {
            FaultKind::Transient => (kind, "see that it runs, and what its log says"),
            _ => (
                FaultKind::Permanent,
                "set s3-access-key-id and s3-secret-access-key, or see that a key comes from elsewhere",
            ),
        };
        let text = format!("no credentials: the service that gives keys: {text}; {cure}");
        Self { status, ..Self::new(kind, text) }
    }

    /// The system error that callers of a storage look for.
    pub(super) fn into_io(self) -> io::Error {
        let full = ["QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"];
        let is = |codes: &[&str]| self.code.as_deref().is_some_and(|code| codes.contains(&code));
        let kind = match (self.kind, self.status) {
            (FaultKind::NotFound, _) => io::ErrorKind::NotFound,
            (_, Some(507)) => io::ErrorKind::StorageFull,
            _ if is(&full) => io::ErrorKind::StorageFull,
            // A key that is known, and may not do it.
            (_, Some(403)) if is(&["AccessDenied"]) || self.code.is_none() => io::ErrorKind::PermissionDenied,
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
            return said(http);
        }
        let text = sources(&error).map(ToString::to_string).max_by_key(String::len).unwrap_or_default();
        let status = between(&text, "status code: ", " ").and_then(|digits| digits.parse().ok());
        if text.contains("redirect without LOCATION") {
            return answer(Some(301), None, None, None);
        }
        if status.is_none() && !text.contains("<Code>") {
            return unanswered(&error, &text);
        }
        Self::of_body(status, &text, None)
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        said(&error)
    }
}

/// An error that is no answer of the server: no credentials, or an answer that makes no sense.
fn unanswered(error: &object_store::Error, text: &str) -> Fault {
    match error {
        object_store::Error::NotFound { .. } => {
            Fault { kind: FaultKind::NotFound, ..Fault::permanent("it is not there") }
        }
        object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. } => {
            Fault { kind: FaultKind::Condition, ..Fault::permanent("it is there, or is another one") }
        }
        _ => Fault::permanent(text.to_owned()),
    }
}

/// An answer that is no success.
fn answer(status: Option<u16>, code: Option<String>, message: Option<&str>, region: Option<&str>) -> Fault {
    let name = code.as_deref().unwrap_or_default();
    let kind = match (status, name) {
        (_, "NoSuchBucket") => FaultKind::Permanent,
        (Some(404), _) | (_, "NoSuchKey" | "NoSuchUpload") => FaultKind::NotFound,
        (_, "OperationAborted" | "ConditionalRequestConflict") => FaultKind::Transient,
        (Some(412 | 304 | 409 | 416), _) => FaultKind::Condition,
        (_, name) if TRANSIENT.contains(&name) => FaultKind::Transient,
        (Some(501 | 505 | 507), _) => FaultKind::Permanent,
        (Some(408 | 429 | 500..), _) => FaultKind::Transient,
        _ => FaultKind::Permanent,
    };
    let mut text = match (status, name) {
        (Some(status), "") => format!("HTTP status {status}"),
        (Some(status), name) => format!("HTTP status {status} {name}"),
        (None, name) => name.to_owned(),
    };
    if let Some(message) = message {
        text.push_str(&format!(": {}", message.trim_end_matches('.')));
    }
    match (region, cure(status, name)) {
        (Some(region), Some(OTHER_REGION)) => {
            text.push_str(&format!("; set s3-region = {region}, where the bucket is"));
        }
        (_, Some(cure)) => text.push_str(&format!("; {cure}")),
        _ => {}
    }
    Fault { status, code, ..Fault::new(kind, text) }
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

/// What became of a request on its way.
fn said(error: &HttpError) -> Fault {
    let known = sources(error).find_map(|cause| cause.downcast_ref::<Fault>());
    known.cloned().unwrap_or_else(|| Fault::transient(deepest(error)).maybe_done())
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

/// What lies below all other words.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
