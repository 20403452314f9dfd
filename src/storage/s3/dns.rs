//! Names of S3 servers ([`crate::hosts`]), for the library's own runtime.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::OnceLock;

use hickory_resolver::TokioResolver;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::hosts;

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
    let resolver = hosts::resolver()?;
    Ok(RESOLVER.get_or_init(|| resolver))
}
