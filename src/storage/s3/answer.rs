//! Whether an answer is one of S3.
//!
//! A captive portal, a web console at another port, or a proxy's own page answers 200 too, and with it an empty list or a
//! stored object would be made of nothing. So each answer must be what the question asks for: the outermost element of
//! a document is the expected one, what is stored has its `ETag`, and a page for people is none of them.

use http::{HeaderMap, Method, StatusCode, Uri};

use super::fault::Fault;

/// The form that an answer with a status of success must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedAnswer {
    /// A document whose outermost element begins with this name.
    Document(&'static str),
    /// The tag of what was stored.
    Stored,
    /// Nothing at all.
    Nothing,
    /// An object, or what is known of it.
    Object,
}

/// What is expected of an answer. The key is not empty where an object is asked about.
pub(super) fn expected(method: &Method, uri: &Uri) -> ExpectedAnswer {
    let query = uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match *method {
        Method::GET if has("list-type") => ExpectedAnswer::Document("ListBucketResult"),
        Method::GET if has("uploads") => ExpectedAnswer::Document("ListMultipartUploadsResult"),
        Method::GET if has("versions") => ExpectedAnswer::Document("ListVersionsResult"),
        Method::GET if has("uploadId") => ExpectedAnswer::Document("ListParts"),
        Method::POST if has("uploads") => ExpectedAnswer::Document("InitiateMultipartUploadResult"),
        Method::POST if has("uploadId") => ExpectedAnswer::Document("CompleteMultipartUploadResult"),
        Method::PUT => ExpectedAnswer::Stored,
        Method::DELETE => ExpectedAnswer::Nothing,
        _ => ExpectedAnswer::Object,
    }
}

impl ExpectedAnswer {
    /// Whether the body has to be read to know.
    pub(super) fn needs_body(self) -> bool {
        matches!(self, Self::Document(_) | Self::Nothing)
    }

    /// Looks at status and headers of an answer that says success.
    pub(super) fn check_head(self, status: StatusCode, headers: &HeaderMap) -> Result<(), Fault> {
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let kind = value("content-type").unwrap_or_default().to_ascii_lowercase();
        // Some frameworks call an empty answer a page.
        let is_empty = status == StatusCode::NO_CONTENT || value("content-length") == Some("0");
        if !is_empty && (kind.starts_with("text/html") || kind.starts_with("application/xhtml")) {
            return Err(no_s3("is a web page"));
        }
        match self {
            Self::Stored if value("etag").is_none() => Err(no_s3("has no ETag")),
            Self::Object if value("etag").is_none() && value("last-modified").is_none() => {
                Err(no_s3("has neither an ETag nor a time"))
            }
            _ => Ok(()),
        }
    }

    /// Looks at the whole body of one.
    pub(super) fn check_body(self, status: StatusCode, body: &[u8]) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(body);
        match self {
            Self::Document(wanted) => match root(&text) {
                Some(found) if found.starts_with(wanted) => Ok(()),
                // S3 begins to answer before it knows how it ends.
                Some("Error") => Err(Fault::answered(status.as_u16(), &text).maybe_done()),
                Some(found) => Err(no_s3(&format!("is a document '{}', not '{wanted}'", cut(found)))),
                None => Err(no_s3(&format!("is no document '{wanted}'"))),
            },
            Self::Nothing if status != StatusCode::NO_CONTENT && !text.trim().is_empty() => match root(&text)
            {
                Some("Error") => Err(Fault::answered(status.as_u16(), &text)),
                _ => Err(no_s3("has a body where there is none in S3")),
            },
            _ => Ok(()),
        }
    }
}

/// The answer is not from S3, so whether the request was carried out is not known.
fn no_s3(what: &str) -> Fault {
    Fault::permanent(format!(
        "the answer {what}: this is no S3 server; check s3-endpoint (a web console has another port), and what stands \
         between (a proxy, the login page of a network)"
    ))
    .maybe_done()
}

/// The name of the outermost element of an XML document.
fn root(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix("<?") {
            rest = behind.split_once("?>")?.1.trim_start();
        } else if let Some(behind) = rest.strip_prefix("<!--") {
            rest = behind.split_once("-->")?.1.trim_start();
        } else {
            break;
        }
    }
    let name = rest.strip_prefix('<')?;
    let end = name.find(|c: char| c.is_whitespace() || c == '>' || c == '/')?;
    let name = &name[..end];
    (!name.is_empty() && !name.starts_with('!')).then_some(name)
}

fn cut(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, uri: &str) -> ExpectedAnswer {
        expected(&method.parse().unwrap(), &uri.parse().unwrap())
    }

    #[test]
    fn the_outermost_element_decides() {
        for (text, expected) in [
            (
                "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"></ListBucketResult>",
                Some("ListBucketResult"),
            ),
            ("\u{feff}<!-- x --> <a/>", Some("a")),
            ("<!DOCTYPE html><html><ListBucketResult>", None),
            ("<html><ListBucketResult/></html>", Some("html")),
            ("", None),
            ("{}", None),
            ("ListBucketResult", None),
        ] {
            assert_eq!(root(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_of_s3_is_refused() {
        let list = of("GET", "http://h/b?list-type=2&prefix=x");
        assert_eq!(list, ExpectedAnswer::Document("ListBucketResult"));
        let ok = StatusCode::OK;
        assert!(list.check_body(ok, b"<ListBucketResult/>").is_ok());
        for body in [&b"<html/>"[..], b"", b"{}", b"<ListAllMyBucketsResult/>"] {
            assert!(list.check_body(ok, body).unwrap_err().to_string().contains("no S3 server"));
        }
        let busy = list.check_body(ok, b"<Error><Code>SlowDown</Code></Error>").unwrap_err();
        assert!(busy.to_string().contains("SlowDown"));
        let delete = of("DELETE", "http://h/b/k");
        assert!(delete.check_body(ok, b" ").is_ok() && delete.check_body(ok, b"<html>").is_err());
        let mut headers = HeaderMap::new();
        let put = of("PUT", "http://h/b/k?partNumber=1&uploadId=2");
        let get = of("GET", "http://h/b/k");
        assert!(put.check_head(ok, &headers).is_err() && get.check_head(ok, &headers).is_err());
        headers.insert("etag", "\"x\"".parse().unwrap());
        assert!(put.check_head(ok, &headers).is_ok() && get.check_head(ok, &headers).is_ok());
        headers.insert("content-type", "text/HTML; charset=utf-8".parse().unwrap());
        assert!(put.check_head(ok, &headers).is_err() && get.check_head(ok, &headers).is_err());
        headers.insert("content-length", "0".parse().unwrap());
        assert!(put.check_head(ok, &headers).is_ok());
    }
}
