//! How requests reach the server, and what is made of answers before `object_store` sees them.
//!
//! All requests go through one [`Connector`]: those to the bucket, and those to a service that gives keys. What the bucket
//! answers is looked at here: what is no success becomes a [`Fault`] with all that was said (status, code, region), and what
//! says success must be S3's ([`super::answer`]).
//!
//! **Checksums.** Each `PUT` of an object or a part has its `Content-MD5`. A bucket with object lock and default retention
//! takes nothing without a checksum, and this is the one that every vendor knows: a header `x-amz-checksum-…` is refused by some.
//! It is not there for integrity: the SHA-256 of the body is signed and compared in any case.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
//!
//! **Services that give keys.** One to which no connection comes about is not there, and that is told at once. But when the bucket
//! has answered, there was a key, and so there was the service: it is started anew, or its name is not found for a moment. The library
//! asks it for the next key five minutes before this one ends, and does not take the one at hand where it gets none; so it is asked
//! again, for as long as any operation is tried, while a backup of hours waits.
//!
//! **Redirections** are not followed: a signature is for one host, and a page to log in is no answer.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body::Body;
use md5::{Digest, Md5};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use reqwest::{Certificate, Proxy, Url, redirect};

use super::answer::{self, ExpectedAnswer};
use super::dns::Names;
use super::fault::{ErrorAnswer, Fault, deepest};
use super::progress::{Metered, pieces};
use super::proxy::{self, Proxies};
use crate::storage::Pulse;

/// A server that does not take a connection within this time is asked again.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// The same for the metadata service of an instance, which is there at once or not at all.
const CONNECT_METADATA: Duration = Duration::from_secs(1);
/// More than any page of a list has.
const LARGEST_DOCUMENT: usize = 16 << 20;
/// More than any error says.
const LARGEST_ERROR: usize = 64 << 10;
/// How long a server that has answered before may refuse connections: it is started anew.
const RESTART: Duration = Duration::from_secs(30);
/// The same for one that has never answered: nothing listens there.
const NOBODY: Duration = Duration::from_secs(4);

/// What the answers of the server have shown of it.
#[derive(Debug, Default)]
pub(super) struct ServerTraits {
    /// It has answered.
    answers: AtomicBool,
    /// What is overwritten or removed stays there as an old version.
    keeps_versions: AtomicBool,
}

impl ServerTraits {
    /// Whether it has said so, with an answer to something that was stored.
    pub(super) fn keeps_versions(&self) -> bool {
        self.keeps_versions.load(Ordering::Relaxed)
    }
}

/// Sends the requests to S3, through the proxy where one is set.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    client: reqwest::Client,
    proxies: Arc<Proxies>,
    /// Of the bucket, without a slash at its end: what lies elsewhere is no S3.
    bucket: Arc<str>,
    pub(super) server: Arc<ServerTraits>,
    /// Beats while the parts of archives move.
    pub(super) pulse: Pulse,
    certificates: Arc<Certificates>,
}

/// Whom to trust.
#[derive(Debug)]
pub(super) struct Certificates {
    /// The authorities of `s3-ca-file`.
    pub(super) own: Vec<Certificate>,
    /// And those of the system.
    pub(super) system: bool,
}

impl Connector {
    /// Nothing is asked yet.
    pub(super) fn new(bucket: &str, proxies: Proxies, certificates: Certificates) -> Result<Self, String> {
        let (proxies, certificates) = (Arc::new(proxies), Arc::new(certificates));
        let client = client(&proxies, &certificates, CONNECT)?;
        let (server, pulse) = (Arc::default(), Pulse::default());
        Ok(Self { client, proxies, bucket: bucket.into(), server, pulse, certificates })
    }

    /// The same for requests of our own.
    pub(super) fn client(&self) -> HttpClient {
        HttpClient::new(self.clone())
    }

    fn is_of_bucket(&self, url: &str) -> bool {
        url.strip_prefix(&*self.bucket).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    }

    /// Sends a request, to the bucket (`ours`) or to a service that gives keys, and gives what came back.
    async fn send(
        &self,
        request: HttpRequest,
        ours: bool,
        part: bool,
    ) -> Result<reqwest::Response, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| {
            failed(HttpErrorKind::Unknown, Fault::permanent(format!("'{}': {error}", parts.uri)))
        })?;
        let mut request = reqwest::Request::new(parts.method, url.clone());
        *request.headers_mut() = parts.headers;
        let pulse = part.then(|| self.pulse.clone());
        *request.body_mut() = Some(reqwest::Body::wrap(Metered::sent(body, pulse)));
        self.client.execute(request).await.map_err(|error| self.no_answer(&url, ours, error))
    }

    /// The error of a request without an answer.
    fn no_answer(&self, url: &Url, ours: bool, error: reqwest::Error) -> HttpError {
        let proxy = self.proxies.of(url);
        let way =
            proxy.map_or_else(String::new, |proxy| format!(" through the proxy {}", proxy::shown(proxy)));
        let place = format!("{}{way}", proxy::host_and_port(url));
        if !error.is_connect() {
            let kind = if error.is_timeout() { HttpErrorKind::Timeout } else { HttpErrorKind::Unknown };
            return failed(kind, Fault::transport(&error.without_url(), &place).maybe_done());
        }
        let error = error.without_url();
        let answers = self.server.answers.load(Ordering::Relaxed);
        let mut fault = Fault::no_connection(&error, &place, proxy.is_some());
        if !ours {
            fault = fault.of_key_service(answers);
        } else if is_refused(&error) {
            fault = fault.within(if answers { RESTART } else { NOBODY });
        }
        failed(HttpErrorKind::Connect, fault)
    }

    /// Looks at an answer of the bucket.
    async fn judge(
        &self,
        method: &Method,
        uri: &Uri,
        part: bool,
        response: reqwest::Response,
    ) -> Result<HttpResponse, HttpError> {
        self.server.answers.store(true, Ordering::Relaxed);
        // By TLS it is the server's own word.
        let url = Url::parse(&uri.to_string()).ok().filter(|url| url.scheme() == "http");
        let proxy = url.as_ref().and_then(|url| self.proxies.of(url)).map(proxy::shown);
        let response: http::Response<reqwest::Body> = response.into();
        let (parts, body) = response.into_parts();
        let status = parts.status;
        if !status.is_success() {
            let text = whole(body, LARGEST_ERROR).await.unwrap_or_default();
            let answer = ErrorAnswer {
                status: status.as_u16(),
                body: &String::from_utf8_lossy(&text),
                region: header(&parts.headers, "x-amz-bucket-region"),
                location: header(&parts.headers, "location"),
                proxy: proxy.as_deref(),
            };
            return Err(failed(HttpErrorKind::Unknown, answer.fault()));
        }
        let expected = answer::expected(method, uri);
        expected.check_head(status, &parts.headers).map_err(|fault| failed(HttpErrorKind::Unknown, fault))?;
        if expected == ExpectedAnswer::Stored {
            let version = header(&parts.headers, "x-amz-version-id");
            let keeps = version.is_some_and(|version| !version.is_empty() && version != "null");
            self.server.keeps_versions.fetch_or(keeps, Ordering::Relaxed);
        }
        let pulse = part.then(|| self.pulse.clone());
        let received = Metered::received(body, pulse);
        if !expected.needs_body() {
            let body = HttpResponseBody::new(Translated(received));
            return Ok(HttpResponse::from_parts(parts, body));
        }
        let body = whole(received, LARGEST_DOCUMENT).await?;
        expected.check_body(status, &body).map_err(|fault| failed(HttpErrorKind::Unknown, fault))?;
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let ours = self.is_of_bucket(&uri.to_string());
        let part = ours && uri.query().is_some_and(|query| query.contains("uploadId="));
        if ours && method == Method::PUT {
            add_checksum(&mut request);
        }
        let response = self.send(request, ours, part).await?;
        if ours {
            return self.judge(&method, &uri, part, response).await;
        }
        let response: http::Response<reqwest::Body> = response.into();
        let (parts, body) = response.into_parts();
        let body = HttpResponseBody::new(Translated(Metered::received(body, None)));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // The only word by which a client for the metadata service is told apart.
        let is_metadata = options.get_config_value(&ClientConfigKey::ConnectTimeout).as_deref() == Some("1s");
        if !is_metadata {
            return Ok(self.client());
        }
        let client = client(&self.proxies, &self.certificates, CONNECT_METADATA)
            .map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        Ok(HttpClient::new(Self { client, ..self.clone() }))
    }
}

fn client(
    proxies: &Arc<Proxies>,
    trust: &Certificates,
    connect: Duration,
) -> Result<reqwest::Client, String> {
    let proxies = Arc::clone(proxies);
    let builder = reqwest::Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        // Each attempt has a limit of its own, which knows whether anything moves.
        .connect_timeout(connect)
        .redirect(redirect::Policy::none())
        .http1_only()
        .dns_resolver(Arc::new(Names))
        // Not even where it says no: the environment is not asked a second time.
        .proxy(Proxy::custom(move |url| proxies.of(url).cloned()));
    let own = trust.own.iter().cloned();
    let builder = if trust.system { builder.tls_certs_merge(own) } else { builder.tls_certs_only(own) };
    builder.build().map_err(|error| deepest(&error))
}

fn add_checksum(request: &mut HttpRequest) {
    let mut digest = Md5::new();
    pieces(request.body()).for_each(|piece| digest.update(&piece));
    if let Ok(value) = HeaderValue::from_str(&BASE64_STANDARD.encode(digest.finalize())) {
        request.headers_mut().insert("content-md5", value);
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A body that is small enough to be held.
async fn whole<B>(body: B, limit: usize) -> Result<Vec<u8>, HttpError>
where
    B: Body<Data = Bytes, Error = reqwest::Error> + Send + Sync + Unpin + 'static,
{
    let mut pieces = HttpResponseBody::new(Translated(body)).bytes_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        if bytes.len() + piece.len() > limit {
            let fault = Fault::permanent(format!("an answer of more than {limit} bytes"));
            return Err(failed(HttpErrorKind::Decode, fault));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A body whose errors are ours.
struct Translated<B>(B);

impl<B: Body<Data = Bytes, Error = reqwest::Error> + Unpin> Body for Translated<B> {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, HttpError>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(context).map_err(|error| {
            let fault = Fault::transient(deepest(&error.without_url())).maybe_done();
            failed(HttpErrorKind::Interrupted, fault)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

fn failed(kind: HttpErrorKind, fault: Fault) -> HttpError {
    HttpError::new(kind, fault)
}

/// Nothing listens there, or there is no way to it.
fn is_refused(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(ConnectionRefused | HostUnreachable | NetworkUnreachable)) {
            return true;
        }
        next = error.source();
    }
    false
}
