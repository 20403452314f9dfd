//! Network addresses as mysqld and Galera write them.

use std::fmt;
use std::str::FromStr;

/// A host, and a port where one is named: `db1`, `10.0.0.1:3307`, `[::1]:3307`, `fe80::1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
}

impl HostPort {
    /// The same with this port where none is named.
    #[must_use]
    pub fn or_port(self, port: u16) -> Self {
        Self { port: self.port.or(Some(port)), ..self }
    }
}

/// Host and port, still as text.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    Some(match text.split_once(':') {
        // Two colons and no brackets: an IPv6 address alone.
        Some((_, rest)) if rest.contains(':') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not HOST, HOST:PORT or [IPV6]:PORT");
        let (host, port) = split(text.trim()).ok_or_else(wrong)?;
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
            None => None,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (_, None) => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        let shown = |text: &str| text.parse::<HostPort>().map(|address| address.to_string()).ok();
        for text in ["db1", "10.0.0.1:3307", "[::1]:3307", "fe80::1"] {
            assert_eq!(shown(text).as_deref(), Some(text));
        }
        assert_eq!(shown(" [::1] ").as_deref(), Some("::1"));
        for wrong in
            ["", ":3306", "db1:", "db1:x", "db1:0", "db1:70000", "[::1", "a b", "[::1]x", "/run/s.sock"]
        {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
        let port = |text: &str| text.parse::<HostPort>().unwrap().or_port(4567).to_string();
        assert_eq!(
            (port("a"), port("a:1"), port("::1")),
            ("a:4567".into(), "a:1".into(), "[::1]:4567".into())
        );
    }
}
