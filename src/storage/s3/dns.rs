//! Names of hosts, without the system's NSS.
//!
//! The binary is static. glibc's `getaddrinfo` has `files` and `dns` built in since 2.34, but where `nsswitch.conf` names
//! another service (`mdns4_minimal`, `resolve`, `myhostname` are common) it loads that library, and with it the
//! system's own glibc, into a static process, which is safe only if both have the same version. Here names are
//! looked up by a resolver in Rust instead: in `/etc/hosts`, then by the servers of `/etc/resolv.conf`. Without that
//! file it asks the machine itself, as glibc does (resolv.conf(5)), and never somebody on the Internet.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Made at the first look-up, inside the runtime.
static RESOLVER: OnceLock<TokioResolver> = OnceLock::new();

/// The resolver of this process.
#[derive(Debug)]
pub(super) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = resolver()?.lookup_ip(name.as_str()).await?;
            // The port is known to who asks.
            let found: Vec<SocketAddr> = found.iter().map(|address| SocketAddr::new(address, 0)).collect();
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

fn resolver() -> Result<&'static TokioResolver, Box<dyn Error + Send + Sync>> {
    if let Some(resolver) = RESOLVER.get() {
        return Ok(resolver);
    }
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        log::warn!("cannot use /etc/resolv.conf ({error}): names are asked of this machine itself");
        let own = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let config = ResolverConfig::from_parts(None, vec![], vec![own]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    let resolver = builder.build()?;
    Ok(RESOLVER.get_or_init(|| resolver))
}
