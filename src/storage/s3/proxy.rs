//! The proxy on the way to a bucket: that of `s3-proxy`, else that of the environment, as curl reads it.
//!
//! `https_proxy` or `HTTPS_PROXY` for an `https://` endpoint, `http_proxy` for an `http://` one (in small letters only: a CGI
//! program has a client's header `Proxy` in the other), `all_proxy` or `ALL_PROXY` for both. `no_proxy` or `NO_PROXY` names
//! what is reached without, whoever has named the proxy. A service of the machine itself (link-local: the instance's
//! metadata) never has one between. <https://curl.se/docs/manpage.html#ENVIRONMENT>

use std::net::IpAddr;

use reqwest::Url;

use super::credentials::Environment;
use crate::config::{S3Proxy, S3Settings};

/// The port of a proxy in the environment that names none; curl's.
const PORT: u16 = 1080;

/// Which way leads through which proxy.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    except: String,
}

impl Proxies {
    /// What settings and environment say; an error names what cannot be used.
    pub(super) fn find(settings: &S3Settings, variable: Environment<'_>) -> Result<Self, String> {
        let except = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
        match &settings.proxy {
            Some(S3Proxy::No) => return Ok(Self::default()),
            Some(S3Proxy::Through(secret)) => {
                let url = url("s3-proxy", secret.expose())?;
                return Ok(Self { http: Some(url.clone()), https: Some(url), except });
            }
            None => {}
        }
        let named = |names: &[&str]| -> Result<Option<Url>, String> {
            let found = names.iter().find_map(|name| Some((*name, variable(name)?)));
            found.map(|(name, text)| url(name, &text)).transpose()
        };
        Ok(Self {
            http: named(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            https: named(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            except,
        })
    }

    /// Whether one of them is reached by TLS.
    pub(super) fn speak_tls(&self) -> bool {
        [&self.http, &self.https].into_iter().flatten().any(|proxy| proxy.scheme() == "https")
    }

    /// The proxy on the way to a URL.
    pub(super) fn of(&self, target: &Url) -> Option<&Url> {
        let proxy = if target.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = target.host_str()?;
        (!is_link_local(host) && !is_excepted(&self.except, host)).then_some(proxy)
    }
}

/// A proxy's address for people: without name and password.
pub(super) fn shown(proxy: &Url) -> String {
    format!("{}://{}", proxy.scheme(), host_and_port(proxy))
}

/// Host and port of a URL.
pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn url(name: &str, text: &str) -> Result<Url, String> {
    let wrong = |why: &str| {
        format!("{name} {why}: http://[user:password@]host:port is a proxy, and s3-proxy = none does without")
    };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let scheme = with_scheme.split("://").next().unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err(wrong(&format!("names a {scheme}:// proxy, which is not supported")));
    }
    let mut url = Url::parse(&with_scheme).map_err(|error| wrong(&format!("is no address ({error})")))?;
    // A port that is the scheme's own is forgotten by the parser, so that it is looked for in the text.
    let address = with_scheme.trim_end_matches('/').rsplit(['@', '/']).next().unwrap_or_default();
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !has_port {
        url.set_port(Some(PORT)).map_err(|()| wrong("has no host"))?;
    }
    Ok(url)
}

/// 169.254.0.0/16, and the IPv6 address of the metadata service.
fn is_link_local(host: &str) -> bool {
    match unbracketed(host).parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.segments()[0] == 0xfe80 || address.segments()[..2] == [0xfd00, 0xec2]
        }
        Err(_) => false,
    }
}

/// Whether `no_proxy` names a host, as curl's `lib/noproxy.c` decides: `*` alone names all; a name names itself and what
/// is below it, a dot before or behind it does not matter; an address names itself, or a network with `/bits`.
fn is_excepted(list: &str, host: &str) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let host = unbracketed(host.trim_end_matches('.'));
    let address: Option<IpAddr> = host.parse().ok();
    let mut entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.any(|entry| address.map_or_else(|| names(entry, host), |address| holds(entry, address)))
}

/// Whether a host has this name, or lies below it.
fn names(entry: &str, host: &str) -> bool {
    let name = entry.strip_prefix('.').unwrap_or(entry);
    let name = name.strip_suffix('.').unwrap_or(name);
    let at = host.len().checked_sub(name.len()).filter(|_| !name.is_empty());
    at.and_then(|at| Some((host.get(..at)?, host.get(at..)?))).is_some_and(|(front, tail)| {
        tail.eq_ignore_ascii_case(name) && (front.is_empty() || front.ends_with('.'))
    })
}

/// Whether an address is this one, or lies in this network.
fn holds(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = entry.split_once('/').map_or((entry, None), |(front, bits)| (front, Some(bits)));
    let Ok(network) = unbracketed(network).parse::<IpAddr>() else { return false };
    let (here, there, width): (u128, u128, u32) = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.into(), b.into(), 128),
        _ => return false,
    };
    match bits.map_or(Ok(width), str::parse::<u32>) {
        Ok(0) => true,
        Ok(bits) if bits <= width => (here ^ there) >> (width - bits) == 0,
        _ => false,
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn no_proxy_is_what_curl_makes_of_it() {
        for (list, host, expected) in [
            ("*", "h.example", true),
            ("*,x", "h.example", false),
            ("", "h.example", false),
            ("example.com", "example.com", true),
            ("example.com", "s3.Example.Com", true),
            ("example.com", "s3.example.com.", true),
            (".example.com", "example.com", true),
            ("example.com.", "s3.example.com", true),
            ("example.com", "notexample.com", false),
            ("s3.example.com", "example.com", false),
            ("a b,\tc.d", "x.c.d", true),
            ("localhost,127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.10", false),
            ("0.0.1", "127.0.0.1", false),
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.9.8.7", false),
            ("10.0.0.0/99", "10.0.0.0", false),
            ("::1", "[::1]", true),
            ("fd00::/8", "[fd01::2]", true),
        ] {
            assert_eq!(is_excepted(list, host), expected, "{list} {host}");
        }
    }

    #[test]
    fn the_setting_comes_before_the_environment_and_no_proxy_before_both() {
        let variables = |name: &str| {
            let known = [
                ("https_proxy", "secure.example"),
                ("HTTP_PROXY", "http://cgi.example:1"),
                ("ALL_PROXY", "http://user:hunter2@all.example:80/"),
                ("no_proxy", "inside.example"),
            ];
            known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let way = |proxy: Option<S3Proxy>, target: &str| {
            let proxies = Proxies::find(&S3Settings { proxy, ..S3Settings::default() }, &variables).unwrap();
            proxies.of(&target.parse().unwrap()).map(shown)
        };
        let through = || Some(S3Proxy::Through(Secret::from("https://own.example:8443".to_owned())));
        assert_eq!(way(None, "https://s3.example/b").as_deref(), Some("http://secure.example:1080"));
        assert_eq!(way(None, "http://s3.example/b").as_deref(), Some("http://all.example:80"));
        assert_eq!(way(through(), "http://s3.example/b").as_deref(), Some("https://own.example:8443"));
        assert_eq!(way(through(), "https://x.inside.example/b"), None);
        assert_eq!(way(Some(S3Proxy::No), "https://s3.example/b"), None);
        assert_eq!(way(None, "http://169.254.169.254/latest"), None);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_without_its_password() {
        let variable = |name: &str| (name == "all_proxy").then(|| "socks5://u:hunter2@h:1".to_owned());
        let error = Proxies::find(&S3Settings::default(), &variable).unwrap_err();
        assert!(
            error.starts_with("all_proxy names a socks5:// proxy") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
