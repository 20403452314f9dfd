//! The S3 server that `scripts/storages --run` has started for the tests, else one that they start themselves.

use std::env::var;

use wsrep_sst_backup::config::{S3Settings, Secret};
use wsrep_sst_backup::storage::S3Storage;

use crate::server::{self, FileServer, Moto};

/// A server as people run it, with an empty bucket.
pub(crate) struct RealServer {
    pub(crate) settings: S3Settings,
    _own: Option<Own>,
}

/// One that runs for as long as a test.
enum Own {
    Moto(Moto),
    /// s3s-fs without what other tests add to it.
    Files(FileServer),
}

impl Own {
    fn start() -> Self {
        match var("WSREP_TEST_STORAGE").as_deref() {
            Ok("s3s-fs") => Self::Files(FileServer::that_lists_no_uploads()),
            _ => Self::Moto(Moto::start(None)),
        }
    }

    fn endpoint(&self) -> String {
        match self {
            Self::Moto(moto) => moto.endpoint.clone(),
            Self::Files(files) => files.endpoint(),
        }
    }
}

impl RealServer {
    /// Finds it, or starts moto, or s3s-fs where `WSREP_TEST_STORAGE` says so.
    pub(crate) fn start() -> Self {
        let told = |name: &str| var(format!("WSREP_TEST_S3_{name}")).ok();
        let Some(endpoint) = told("ENDPOINT") else {
            let own = Own::start();
            return Self { settings: server::settings(&own.endpoint()), _own: Some(own) };
        };
        let key = |name: &str| told(name).unwrap_or_else(|| panic!("no WSREP_TEST_S3_{name}"));
        let plain = S3Settings {
            access_key_id: Some(key("ACCESS_KEY_ID")),
            secret_access_key: Some(Secret::from(key("SECRET_ACCESS_KEY"))),
            ..server::settings(&endpoint)
        };
        let max_parts = told("MAX_PARTS").map_or(plain.max_parts, |parts| parts.parse().expect("a number"));
        Self { settings: S3Settings { max_parts, ..plain }, _own: None }
    }

    /// A storage below a prefix of the bucket.
    pub(crate) fn storage(&self, prefix: &str) -> S3Storage {
        server::storage(prefix, &self.settings)
    }

    /// Its settings as lines of a donor's option file.
    pub(crate) fn lines(&self) -> String {
        let S3Settings { access_key_id: Some(id), secret_access_key: Some(secret), max_parts, .. } =
            &self.settings
        else {
            panic!("a server of tests has keys");
        };
        format!("s3-access-key-id={id}\ns3-secret-access-key={}\ns3-max-parts={max_parts}", secret.expose())
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> &str {
        self.settings.endpoint.as_deref().expect("a server of tests has an address")
    }
}
