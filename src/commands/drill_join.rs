//! How `drill --join` asks the members, and where its server is reached by them.

use clap::Args;

use super::ist_forecast::{access, later};
use super::{CommandError, Context, usage};
use crate::catalog::BackupReader;
use crate::config::{Flag, ServerOptions, SettingsOverrides, flag, parse_duration};
use crate::drill::{JoinRequest, held_back};
use crate::model::{Content, HostPort};
use crate::priority::KeptPriority;

const MEMBERS: Flag = flag("members", "drill");

/// The arguments of a drill whose server joins its cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Joining the cluster")]
pub(super) struct JoinArgs {
    /// In the end let the server join its cluster, which must be by IST, and leave it: a member without weight, clients and flow control
    #[arg(long)]
    join: bool,
    #[arg(long, value_name = MEMBERS.value, help = MEMBERS.help, requires = "join")]
    members: Option<String>,
    /// Where the members reach it, HOST or HOST:PORT [default: the address from which they are reached, a free port]
    #[arg(long, value_name = "HOST:PORT", requires = "join")]
    listen: Option<String>,
    /// Where its donor reaches it [default: the host of --listen, a free port]
    #[arg(long, value_name = "HOST:PORT", requires = "join")]
    ist_listen: Option<String>,
    /// The member that gives the write sets, by wsrep_node_name [default: the one whose gcache reaches back furthest]
    #[arg(long, value_name = "NAME", requires = "join")]
    donor: Option<String>,
    /// Leave the cluster again where it is not Synced within this time [default: 10m]
    #[arg(long, value_name = "DURATION", requires = "join")]
    join_timeout: Option<String>,
    /// Provider options for it, behind those it shares with the members (socket.ssl, evs.suspect_timeout, ...)
    #[arg(long, value_name = "NAME=VALUE;...", requires = "join")]
    provider_options: Option<String>,
}

impl JoinArgs {
    /// The settings that have flags here.
    pub(super) fn set(&self, flags: &mut SettingsOverrides) {
        flags.set(MEMBERS, self.members.as_deref());
    }

    /// How the server of that backup is to join, where it is to join. `server` are the options of the server of this machine.
    pub(super) fn request(
        &self,
        context: &Context,
        server: &ServerOptions,
        source: &BackupReader,
    ) -> Result<Option<JoinRequest>, CommandError> {
        if !self.join {
            return Ok(None);
        }
        let manifest = source.manifest();
        if manifest.content == Content::Sql
            && let Some(why) = Content::Sql.refuses("'drill --join'", &manifest.id)
        {
            return Err(CommandError::Refused(why));
        }
        if manifest.gtid.is_none() {
            return Err(CommandError::Refused(format!(
                "backup '{}' is of the server '{}', which was no Galera node: it has no position in a cluster, and 'drill --join' is not \
                 possible",
                manifest.id, manifest.node
            )));
        }
        if let Some(why) = held_back() {
            return Err(CommandError::Failed(format!(
                "no server joins the cluster (--join): this program has a low priority, and so would the server, which every commit of the cluster \
                 waits for: {why}"
            )));
        }
        let priority = KeptPriority::keep()
            .map_err(|error| CommandError::Failed(format!("cannot start a thread: {error}")))?;
        let place = |flag: &str, text: Option<&str>| {
            text.map(|text| usage(flag, text.parse::<HostPort>())).transpose()
        };
        let listen = place("--listen", self.listen.as_deref())?;
        let ist_listen = place("--ist-listen", self.ist_listen.as_deref())?;
        let later = later(context.storage.as_ref(), source);
        let timeout = self.join_timeout.as_deref();
        let timeout = timeout.map(|text| usage("--join-timeout", parse_duration(text))).transpose()?;
        let request = JoinRequest::new(access(&context.settings, server), server, later, priority);
        Ok(Some(JoinRequest {
            listen,
            ist_listen,
            donor: self.donor.clone(),
            provider_options: self.provider_options.clone(),
            timeout: timeout.unwrap_or(request.timeout),
            ..request
        }))
    }
}
