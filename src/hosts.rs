//! Names of hosts, without the system's NSS.
//!
//! The binary is static. glibc's `getaddrinfo` has `files` and `dns` built in since 2.34, but where `nsswitch.conf` names
//! another service (`mdns4_minimal`, `resolve`, `myhostname` are common) it loads that library, and with it the
//! system's own glibc, into a static process, which is safe only if both have the same version. Here names are
//! looked up by a resolver in Rust instead: in `/etc/hosts`, then by the servers of `/etc/resolv.conf`. Without that
//! file it asks the machine itself, as glibc does (resolv.conf(5)), and never a server on the Internet.
//!
//! Everything that takes a host's name goes through here; `clippy.toml` refuses the functions of the standard library that
//! ask the system. One library asks it all the same: [`asks_only_builtin`] says when that is safe.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// A resolver by the files of this machine; to be made and used inside one runtime.
pub(crate) fn resolver() -> Result<TokioResolver, NetError> {
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        log::warn!("cannot use /etc/resolv.conf ({error}): names are asked of this machine itself");
        let own = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let config = ResolverConfig::from_parts(None, vec![], vec![own]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}

/// The addresses of a host, which may be one itself; never none. An error names the host.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |why: String| io::Error::other(format!("cannot find the address of '{host}': {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(async { resolver()?.lookup_ip(host).await });
    let found = found.map_err(|error| failed(error.to_string()))?;
    let addresses: Vec<SocketAddr> = found.iter().map(|address| SocketAddr::new(address, port)).collect();
    if addresses.is_empty() { Err(failed("it has none".into())) } else { Ok(addresses) }
}

/// The address of this machine that a connection to `peer` would have. A UDP socket that is connected sends nothing.
#[expect(clippy::disallowed_methods, reason = "addresses, no names")]
pub fn source_address(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr =
        if peer.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

/// A port that is free now at one of these addresses of this machine: theirs, or any where theirs is 0.
#[expect(clippy::disallowed_methods, reason = "addresses, no names")]
pub fn free_port(addresses: &[SocketAddr]) -> io::Result<u16> {
    Ok(TcpListener::bind(addresses)?.local_addr()?.port())
}

/// Whether somebody takes a connection to this host and port, at one of its addresses, within `limit` for each. An error names the
/// host where its name is not known, and otherwise says what became of the last connection.
pub fn try_connection(host: &str, port: u16, limit: Duration) -> io::Result<()> {
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in resolve(host, port)? {
        outcome = TcpStream::connect_timeout(&address, limit).map(drop);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Whether glibc would look up a name that [`resolve`] finds without loading a library: whatever `nsswitch.conf` asks
/// before it has asked both `files` and `dns` is built in.
pub fn asks_only_builtin() -> bool {
    fs::read_to_string("/etc/nsswitch.conf").map_or(true, |text| is_builtin(&text))
}

fn is_builtin(nsswitch: &str) -> bool {
    let hosts = nsswitch.lines().find_map(|line| line.trim_start().strip_prefix("hosts:"));
    // glibc's own default, where the file has no such line, is built in.
    let Some(hosts) = hosts else { return true };
    let hosts = hosts.split('#').next().unwrap_or_default();
    let services: Vec<&str> =
        hosts.split_whitespace().filter(|word| !word.starts_with('[') && !word.ends_with(']')).collect();
    let is_ours = |word: &&str| matches!(*word, "files" | "dns");
    let until = services.iter().rposition(&is_ours).map_or(services.len(), |last| last + 1);
    services.iter().take(until).all(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own_and_this_machine_is_in_the_hosts_file() {
        assert_eq!(resolve("10.1.2.3", 7).unwrap(), ["10.1.2.3:7".parse().unwrap()]);
        assert_eq!(resolve("::1", 7).unwrap(), ["[::1]:7".parse().unwrap()]);
        let local = resolve("localhost", 3306).unwrap();
        assert!(
            local.iter().all(|address| address.ip().is_loopback() && address.port() == 3306),
            "{local:?}"
        );
        let error = resolve("nowhere.invalid", 1).unwrap_err().to_string();
        assert!(error.starts_with("cannot find the address of 'nowhere.invalid': "), "{error}");
    }

    #[test]
    fn a_service_that_glibc_has_to_load_counts_where_it_comes_before_dns() {
        for (line, builtin) in [
            ("hosts: files dns", true),
            ("hosts:  files dns myhostname # and more", true),
            ("hosts: files", true),
            ("passwd: files systemd", true),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns", false),
            ("hosts: files resolve [!UNAVAIL = return] dns", false),
            ("hosts: resolve", false),
        ] {
            assert_eq!(is_builtin(&format!("# c\ngroup: files systemd\n{line}\n")), builtin, "{line}");
        }
    }
}
