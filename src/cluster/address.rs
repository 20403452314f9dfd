//! `gcomm://…`, the address of a group.

use std::fmt;
use std::str::FromStr;

use crate::model::HostPort;

/// The port of group communication where none is named (`base_port` of Galera).
pub const GROUP_PORT: u16 = 4567;

/// The members named in `wsrep_cluster_address` or garbd's `--address`, each with its port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterAddress {
    /// Group addresses; none in the `gcomm://` of a node that starts a cluster.
    pub members: Vec<HostPort>,
    /// Provider options behind the `?`, as they stand there (`a=b&c=d`).
    pub options: Option<String>,
}

impl FromStr for ClusterAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some(("gcomm", rest)) => rest,
            Some(_) => return Err(format!("'{text}' is no gcomm:// address")),
            None => text,
        };
        let (list, options) = match rest.split_once('?') {
            Some((list, options)) => (list, Some(options.to_owned())),
            None => (rest, None),
        };
        let members = list
            .trim_end_matches('/')
            .split(',')
            .map(str::trim)
            .filter(|member| !member.is_empty())
            .map(|member| member.parse::<HostPort>().map(|address| address.or_port(GROUP_PORT)))
            .collect::<Result<_, _>>()?;
        Ok(Self { members, options })
    }
}

impl fmt::Display for ClusterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<String> = self.members.iter().map(ToString::to_string).collect();
        write!(f, "gcomm://{}", members.join(","))?;
        self.options.as_ref().map_or(Ok(()), |options| write!(f, "?{options}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_addresses_are_read_and_shown() {
        let shown = |text: &str| text.parse::<ClusterAddress>().map(|address| address.to_string());
        assert_eq!(shown("gcomm://"), Ok("gcomm://".into()));
        assert_eq!(shown("gcomm://a, b:1,[::1]:2"), Ok("gcomm://a:4567,b:1,[::1]:2".into()));
        assert_eq!(shown("a,b"), Ok("gcomm://a:4567,b:4567".into()));
        assert_eq!(shown("gcomm://a/?pc.wait_prim=no"), Ok("gcomm://a:4567?pc.wait_prim=no".into()));
        assert!(shown("dummy://").unwrap_err().contains("no gcomm://"));
        assert!(shown("gcomm://a:b").unwrap_err().contains("'a:b'"));
    }
}
