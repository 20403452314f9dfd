//! What a person can do about an answer of an S3 server that is no success.

/// The bucket is elsewhere.
pub(super) const OTHER_REGION: &str = "set s3-region to the region of the bucket";

/// What to do about an answer of this status with this code.
pub(super) fn cure(status: Option<u16>, code: &str) -> Option<&'static str> {
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
            OTHER_REGION
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
