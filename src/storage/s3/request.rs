//! Requests that `object_store` has no method for: signed and sent as it does it, answered in XML.

use std::sync::OnceLock;

use futures_util::TryStreamExt;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::fault::Fault;

/// What a signature wants encoded (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in the path of a URL.
const IN_PATH: &AsciiSet = &STRICT.remove(b'/');
/// More than any page of a list has.
const LARGEST_ANSWER: usize = 16 << 20;

/// Where a bucket is, and how it is reached.
pub(super) struct Requests {
    options: ClientOptions,
    /// Made at the first request: few runs need it.
    client: OnceLock<HttpClient>,
    /// Of the bucket, without a slash at its end.
    url: String,
    region: String,
}

impl Requests {
    /// With the same options as the client of the store.
    pub(super) fn new(options: ClientOptions, url: String, region: String) -> Self {
        Self { options, client: OnceLock::new(), url, region }
    }

    #[cfg(test)]
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    #[cfg(test)]
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Asks once for a document about an object, or about the bucket (`""`), with the store's key. `root` is how the
    /// name of its outermost element begins: a server that does not know the question may answer another one.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        store: &AmazonS3,
        key: &str,
        query: &[(&str, &str)],
        root: &str,
    ) -> Result<T, Fault> {
        let wrong = |what: &str, error: String| Fault::permanent(format!("{what}: {error}"));
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let address = self.address(key, query);
        *request.uri_mut() = address.parse().map_err(|error| wrong(&address, format!("{error}")))?;
        let credential = store.credentials().get_credential().await.map_err(Fault::of_credentials)?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None)?;
        let response = self.client()?.execute(request).await?;
        let status = response.status();
        let mut body = Vec::new();
        let mut pieces = response.into_body().bytes_stream();
        while let Some(piece) = pieces.try_next().await? {
            if body.len() + piece.len() > LARGEST_ANSWER {
                return Err(Fault::permanent(format!("an answer of more than {LARGEST_ANSWER} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(Fault::answered(status.as_u16(), &text));
        }
        if !text.contains(root) {
            return Err(Fault::permanent(format!("the answer is no {root}")));
        }
        quick_xml::de::from_str(&text)
            .map_err(|error| wrong("an answer that makes no sense", error.to_string()))
    }

    fn address(&self, key: &str, query: &[(&str, &str)]) -> String {
        let mut address = self.url.clone();
        if !key.is_empty() {
            address.push('/');
            address.extend(utf8_percent_encode(key, IN_PATH));
        }
        for (number, (name, value)) in query.iter().enumerate() {
            address.push(if number == 0 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            address.extend(utf8_percent_encode(value, STRICT));
        }
        address
    }

    fn client(&self) -> Result<&HttpClient, Fault> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = ReqwestConnector::default().connect(&self.options)?;
        Ok(self.client.get_or_init(|| client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_a_signature_wants_them() {
        let requests = Requests::new(ClientOptions::new(), "https://h/bucket".into(), "r".into());
        assert_eq!(
            requests.address("", &[("uploads", ""), ("prefix", "a+b=c@d/~x y/")]),
            "https://h/bucket?uploads=&prefix=a%2Bb%3Dc%40d%2F~x%20y%2F"
        );
        assert_eq!(
            requests.address("a+b/c@d", &[("uploadId", "i/1")]),
            "https://h/bucket/a%2Bb/c%40d?uploadId=i%2F1"
        );
    }
}
