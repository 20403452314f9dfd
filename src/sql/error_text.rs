//! Why there is no answer, in plain words: neither the driver's nor Rust's names for it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mysql::{DriverError, Error};

/// The server's or the system's own words; `limit` is the session's for one answer.
pub(super) fn plain(error: Error, limit: Duration) -> String {
    match error {
        Error::MySqlError(error) => format!("{} (error {})", error.message, error.code),
        Error::DriverError(error) => driver(&error, limit),
        Error::TlsError(error) => format!("TLS: {error}"),
        Error::UrlError(_) => "the address of the server cannot be used".into(),
        Error::FromValueError(_) | Error::FromRowError(_) => {
            "the server's answer has a form that is not expected".into()
        }
        other => match cause(&other) {
            Some(cause) => system(cause, limit),
            None => "the server does not keep to the protocol of MariaDB".into(),
        },
    }
}

/// Whether the server has let the time pass without an answer.
pub(super) fn is_silence(error: &Error) -> bool {
    cause(error).is_some_and(|cause| is_late(cause.kind()))
}

/// The system's error, where the connection has failed.
fn cause(error: &Error) -> Option<&io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = match error {
        Error::IoError(error) => Some(error),
        Error::CodecError(error) => Some(error),
        _ => None,
    };
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What a socket with a time limit says when that is over differs by system.
fn is_late(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn system(error: &io::Error, limit: Duration) -> String {
    match error.kind() {
        kind if is_late(kind) => late(limit),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
            "the server has closed the connection".into()
        }
        _ => error.to_string(),
    }
}

fn late(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs().max(1))
}

fn driver(error: &DriverError, limit: Duration) -> String {
    match error {
        // The address stands beside it already.
        DriverError::CouldNotConnect(Some((_, why, kind))) => {
            if is_late(*kind) {
                late(limit)
            } else {
                why.clone()
            }
        }
        DriverError::CouldNotConnect(None) => "no address is known".into(),
        DriverError::ConnectTimeout | DriverError::Timeout => late(limit),
        DriverError::TlsNotSupported => "the server speaks no TLS".into(),
        DriverError::UnknownAuthPlugin(name) => {
            format!("the account logs in by '{name}', which this program does not know")
        }
        DriverError::OldMysqlPasswordDisabled | DriverError::CleartextPluginDisabled => {
            "the account logs in in a way that shows its password, which this program does not do".into()
        }
        DriverError::UnsupportedProtocol(_)
        | DriverError::Protocol41NotSet
        | DriverError::PacketOutOfSync
        | DriverError::UnexpectedPacket
        | DriverError::SetupError => "who answers there does not speak the protocol of MariaDB".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use mysql::MySqlError;

    use super::*;

    #[test]
    fn no_message_has_the_name_of_a_type() {
        let limit = Duration::from_secs(5);
        let io = |kind: ErrorKind| Error::IoError(kind.into());
        let connect = |kind: ErrorKind| {
            let place = Some(("/s".to_owned(), "No such file or directory (os error 2)".to_owned(), kind));
            Error::DriverError(DriverError::CouldNotConnect(place))
        };
        let refused = MySqlError { state: "28000".into(), message: "Access denied".into(), code: 1045 };
        for (error, wanted) in [
            (io(ErrorKind::WouldBlock), "no answer within 5 s"),
            (io(ErrorKind::TimedOut), "no answer within 5 s"),
            (io(ErrorKind::BrokenPipe), "the server has closed the connection"),
            (Error::CodecError(io::Error::from(ErrorKind::WouldBlock).into()), "no answer within 5 s"),
            (
                Error::CodecError(io::Error::from(ErrorKind::UnexpectedEof).into()),
                "the server has closed the connection",
            ),
            (Error::MySqlError(refused), "Access denied (error 1045)"),
            (connect(ErrorKind::NotFound), "No such file or directory (os error 2)"),
            (connect(ErrorKind::TimedOut), "no answer within 5 s"),
            (Error::DriverError(DriverError::ConnectTimeout), "no answer within 5 s"),
            (
                Error::DriverError(DriverError::SetupError),
                "who answers there does not speak the protocol of MariaDB",
            ),
            (
                Error::FromValueError(mysql::Value::NULL),
                "the server's answer has a form that is not expected",
            ),
        ] {
            assert_eq!(plain(error, limit), wanted);
        }
        assert!(is_silence(&Error::CodecError(io::Error::from(ErrorKind::WouldBlock).into())));
        assert!(!is_silence(&io(ErrorKind::BrokenPipe)));
    }
}
