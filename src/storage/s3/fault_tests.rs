use object_store::client::HttpErrorKind;

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
        (coded(503, "SlowDown"), FaultKind::Transient),
        (coded(200, "InternalError"), FaultKind::Transient),
        (coded(400, "RequestTimeout"), FaultKind::Transient),
        (fault(429, ""), FaultKind::Transient),
        (fault(500, "<html>"), FaultKind::Transient),
        (coded(409, "OperationAborted"), FaultKind::Transient),
        (coded(404, "NoSuchKey"), FaultKind::NotFound),
        (fault(404, ""), FaultKind::NotFound),
        (coded(404, "NoSuchBucket"), FaultKind::Permanent),
        (coded(412, "PreconditionFailed"), FaultKind::Condition),
        (coded(501, "NotImplemented"), FaultKind::Permanent),
        (coded(403, "AccessDenied"), FaultKind::Permanent),
        (coded(400, "InvalidPart"), FaultKind::Permanent),
        (coded(507, "XMinioStorageFull"), FaultKind::Permanent),
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
    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-1</Region>";
    assert!(fault(400, body).to_string().ends_with("; set s3-region = eu-1, where the bucket is"));
    let moved = ErrorAnswer { status: 301, body: "", region: Some("eu-2"), location: None, proxy: None };
    assert!(moved.fault().to_string().ends_with("; set s3-region = eu-2, where the bucket is"));
    let portal = ErrorAnswer { region: None, status: 302, location: Some("http://portal/login?x"), ..moved };
    let text = portal.fault().to_string();
    assert!(text.starts_with("HTTP status 302 to http://portal/login: check s3-endpoint"), "{text}");
    let proxy = ErrorAnswer { status: 407, proxy: Some("http://p:1"), location: None, ..portal };
    assert!(proxy.fault().to_string().contains("the proxy http://p:1 wants a name"));
}

#[test]
fn whether_it_may_have_been_done_is_known() {
    let of = |status, body| ErrorAnswer { status, body, region: None, location: None, proxy: None }.fault();
    assert!(of(500, "").maybe_done && of(503, "").maybe_done);
    assert!(!of(403, "").maybe_done && !of(507, "").maybe_done && !of(412, "").maybe_done);
}

#[test]
fn a_full_storage_and_a_missing_object_are_known_as_such() {
    assert_eq!(coded(507, "x").into_io().kind(), io::ErrorKind::StorageFull);
    assert_eq!(coded(403, "QuotaExceeded").into_io().kind(), io::ErrorKind::StorageFull);
    assert_eq!(coded(404, "NoSuchKey").into_io().kind(), io::ErrorKind::NotFound);
    assert_eq!(coded(404, "NoSuchBucket").into_io().kind(), io::ErrorKind::Other);
}

#[test]
fn a_service_that_gives_keys_is_waited_for_once_it_has_given_one() {
    let refused = Fault::permanent("no records found; check s3-endpoint (h:1)");
    for (has_given, kind, words) in [
        (false, FaultKind::Permanent, "; set s3-access-key-id and"),
        (true, FaultKind::Transient, "; see that it runs"),
    ] {
        let http = HttpError::new(HttpErrorKind::Connect, refused.clone().of_key_service(has_given));
        let error = object_store::Error::Generic { store: "S3", source: Box::new(http) };
        let fault = Fault::of_credentials(error);
        let text = fault.to_string();
        assert_eq!(fault.kind, kind, "{text}");
        assert!(
            text.starts_with("no credentials: the service that gives keys: no records found; "),
            "{text}"
        );
        assert!(text.contains(words), "{text}");
    }
}
