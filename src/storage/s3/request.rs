//! Requests that `object_store` has no method for: signed and sent as it does it, answered in XML.

use http::{HeaderMap, Method};
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody, HttpResponse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::fault::Fault;

/// What a signature wants encoded (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in the path of a URL.
const IN_PATH: &AsciiSet = &STRICT.remove(b'/');

/// Where a bucket is, and how it is reached.
pub(super) struct Requests {
    client: HttpClient,
    /// Of the bucket, without a slash at its end.
    url: String,
    region: String,
}

impl Requests {
    /// By the same line as the store's.
    pub(super) fn new(client: HttpClient, url: String, region: String) -> Self {
        Self { client, url, region }
    }

    #[cfg(test)]
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    #[cfg(test)]
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Asks once for a document about an object, or about the bucket (`""`), with the store's key. That its outermost
    /// element is the expected one was seen where it came in.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        store: &AmazonS3,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Fault> {
        let response = self.send(store, Method::GET, key, query).await?;
        let body = response.into_body().bytes().await?;
        quick_xml::de::from_str(&String::from_utf8_lossy(&body))
            .map_err(|error| Fault::permanent(format!("an answer that makes no sense: {error}")))
    }

    /// What is known of an object, as headers.
    pub(super) async fn head(&self, store: &AmazonS3, key: &str) -> Result<HeaderMap, Fault> {
        Ok(self.send(store, Method::HEAD, key, &[]).await?.into_parts().0.headers)
    }

    /// Removes an object, or one version of it for good.
    pub(super) async fn delete(
        &self,
        store: &AmazonS3,
        key: &str,
        version: Option<&str>,
    ) -> Result<(), Fault> {
        let query: Vec<_> = version.iter().map(|version| ("versionId", *version)).collect();
        self.send(store, Method::DELETE, key, &query).await.map(drop)
    }

    async fn send(
        &self,
        store: &AmazonS3,
        method: Method,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<HttpResponse, Fault> {
        let wrong = |what: &str, error: String| Fault::permanent(format!("{what}: {error}"));
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method;
        let address = self.address(key, query);
        *request.uri_mut() = address.parse().map_err(|error| wrong(&address, format!("{error}")))?;
        let credential = store.credentials().get_credential().await.map_err(Fault::of_credentials)?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None)?;
        Ok(self.client.execute(request).await?)
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
}

#[cfg(test)]
mod tests {
    use object_store::client::{HttpError, HttpErrorKind, HttpService};

    use super::*;

    /// Answers nothing.
    #[derive(Debug)]
    struct Nobody;

    #[async_trait::async_trait]
    impl HttpService for Nobody {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            Err(HttpError::new(HttpErrorKind::Unknown, Fault::permanent("nobody")))
        }
    }

    #[test]
    fn names_are_encoded_as_a_signature_wants_them() {
        let client = HttpClient::new(Nobody);
        let requests = Requests::new(client, "https://h/bucket".into(), "r".into());
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
