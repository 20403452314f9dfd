//! The call of garbd: program, address, group, options and donors.

use std::path::PathBuf;

use super::AskError;
use super::donor_choice::Refusal;
use super::garbd::{GarbdCommand, listen_address};
use super::request::RequestId;
use super::visitor::visitor_name;
use crate::cluster::{ClusterAddress, Coordinates, Survey, address_for_guests, shared_options, speaks_tls};
use crate::model::HostPort;

/// What flags say.
#[derive(Debug, Clone, Default)]
pub struct GarbdCallArgs {
    /// `--address`.
    pub address: Option<String>,
    /// `--cluster`: the group's name.
    pub group: Option<String>,
    /// `--provider-options`, behind those of the server.
    pub provider_options: Option<String>,
    /// `--garbd`.
    pub garbd: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<HostPort>,
}

/// Everything that one call of garbd needs.
#[derive(Debug, Clone)]
pub struct GarbdCall {
    program: PathBuf,
    address: ClusterAddress,
    group: String,
    options: String,
    tls: bool,
    listen: Option<HostPort>,
    donors: Vec<String>,
}

impl GarbdCall {
    /// By flags, by the members that have answered, and by the option files of this machine's server, in this order.
    pub fn new(args: &GarbdCallArgs, survey: &Survey, files: Coordinates) -> Result<Self, AskError> {
        let answered = survey.reports.first().map(Coordinates::from_report).unwrap_or_default();
        check_group(args, survey)?;
        let flags = Coordinates {
            group: args.group.clone(),
            address: args.address.clone(),
            ..Coordinates::default()
        };
        let known = flags.or(answered).or(files);
        let group = known.group.clone().ok_or_else(|| {
            AskError::Failed(
                "the name of the cluster is not known: run this on a node, or give --cluster NAME (wsrep_cluster_name)"
                    .into(),
            )
        })?;
        let address = address_for_guests(&known, survey).map_err(|why| {
            AskError::Failed(format!("the address of the cluster (wsrep_cluster_address): {why}"))
        })?;
        if address.members.is_empty() {
            return Err(AskError::Failed(
                "the address of the cluster is not known: run this on a node, or give --address gcomm://HOST:PORT,…"
                    .into(),
            ));
        }
        let shared = shared_options(known.provider_options.as_deref().unwrap_or_default());
        let options: Vec<String> =
            shared.into_iter().chain(["pc.weight=0".into()]).chain(args.provider_options.clone()).collect();
        let options = options.join(";");
        Ok(Self {
            program: args.garbd.clone().unwrap_or_else(|| "garbd".into()),
            address,
            group,
            tls: speaks_tls(&options),
            options,
            listen: args.listen.clone(),
            donors: Vec::new(),
        })
    }

    /// Asks these, in this order of preference; Galera chooses where there are none.
    #[must_use]
    pub fn for_donors(self, donors: Vec<String>) -> Self {
        Self { donors, ..self }
    }

    /// Whether that member is one of them.
    pub(super) fn asks_for(&self, donor: &str) -> bool {
        self.donors.is_empty() || self.donors.iter().any(|wanted| wanted == donor)
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn listen_is_fixed(&self) -> bool {
        self.listen.as_ref().is_some_and(|listen| listen.port.is_some())
    }

    /// One visit: a new name and a free port each time.
    pub(super) fn call(&self, request: &RequestId) -> Result<GarbdCommand, AskError> {
        Ok(GarbdCommand {
            program: self.program.clone(),
            address: self.address.clone(),
            group: self.group.clone(),
            name: visitor_name(&self.donors),
            donors: self.donors.join(","),
            request: request.to_string(),
            options: self.options.clone(),
            tls: self.tls,
            listen: listen_address(self.listen.as_ref(), self.address.members.first())?,
        })
    }
}

/// A name that the members do not have would make garbd wait for ever.
fn check_group(args: &GarbdCallArgs, survey: &Survey) -> Result<(), AskError> {
    match (&args.group, survey.reports.first()) {
        (Some(wanted), Some(report)) if args.address.is_none() && wanted != report.group() => {
            Err(AskError::Refused(Refusal::OtherGroup {
                wanted: wanted.clone(),
                found: report.group().to_owned(),
            }))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::NodeReport;
    use crate::sql::Endpoint;

    fn files(address: &str, options: &str) -> Coordinates {
        Coordinates {
            group: Some("lab".into()),
            address: Some(address.into()),
            provider_options: Some(options.into()),
            ..Coordinates::default()
        }
    }

    fn arguments(args: &GarbdCallArgs, survey: &Survey, files: Coordinates) -> Result<String, String> {
        let invitation = GarbdCall::new(args, survey, files).map_err(|error| error.to_string())?;
        let request = "req-1".parse().unwrap();
        let call =
            invitation.for_donors(vec!["n2".into()]).call(&request).map_err(|error| error.to_string())?;
        Ok(call.arguments().join(" "))
    }

    #[test]
    fn a_node_knows_everything_by_its_option_files() {
        let files = files(
            "gcomm://127.0.0.1:1,127.0.0.1:2?pc.wait_prim=no",
            "base_port=1;gcache.size=1G;evs.suspect_timeout=PT9S;socket.ssl_cert=/c;socket.ssl_key=/k;socket.ssl_ca=/a",
        );
        let text = arguments(&GarbdCallArgs::default(), &Survey::default(), files).unwrap();
        assert!(
            text.starts_with("--address=gcomm://127.0.0.1:1,127.0.0.1:2 --group=lab --name=backup-"),
            "{text}"
        );
        assert!(text.contains("--options=gmcast.listen_addr=ssl://127.0.0.1:"), "{text}");
        assert!(
            text.ends_with(
                ";evs.suspect_timeout=PT9S;socket.ssl_ca=/a;socket.ssl_cert=/c;socket.ssl_key=/k;pc.weight=0 --donor=n2"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_running_server_knows_better_and_flags_best() {
        let endpoint = Endpoint::Tcp("127.0.0.1:3306".parse().unwrap());
        let options = "base_host = 127.0.0.1; base_port = 4444; socket.ssl = NO; evs.send_window = 4; ";
        let variables = [
            ("wsrep_cluster_name", "prod"),
            ("wsrep_cluster_address", "gcomm://"),
            ("wsrep_provider_options", options),
        ];
        let survey = || Survey {
            reports: vec![NodeReport::of(endpoint.clone(), &variables, &[])],
            ..Survey::default()
        };
        let text = arguments(&GarbdCallArgs::default(), &survey(), files("gcomm://b", "")).unwrap();
        assert!(text.starts_with("--address=gcomm://127.0.0.1:4444 --group=prod "), "{text}");
        assert!(text.contains(";pc.weight=0 "), "{text}");
        let flags = GarbdCallArgs {
            address: Some("127.0.0.1:5555".into()),
            group: Some("other".into()),
            provider_options: Some("pc.weight=1".into()),
            ..GarbdCallArgs::default()
        };
        let text = arguments(&flags, &survey(), files("gcomm://b", "")).unwrap();
        assert!(text.starts_with("--address=gcomm://127.0.0.1:5555 --group=other "), "{text}");
        assert!(text.contains(";pc.weight=0;pc.weight=1 "), "{text}");
        let wrong = GarbdCallArgs { group: Some("other".into()), ..GarbdCallArgs::default() };
        let error = arguments(&wrong, &survey(), Coordinates::default()).unwrap_err();
        assert!(error.contains("'prod'") && error.contains("'other'"), "{error}");
    }

    #[test]
    fn whoever_was_not_named_was_not_asked_for() {
        let invitation =
            GarbdCall::new(&GarbdCallArgs::default(), &Survey::default(), files("gcomm://b", "")).unwrap();
        assert!(invitation.asks_for("n10"), "Galera chooses");
        let invitation = invitation.for_donors(vec!["n2".into(), "n1".into()]);
        assert!(invitation.asks_for("n1") && !invitation.asks_for("n10"));
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        let of = |files| arguments(&GarbdCallArgs::default(), &Survey::default(), files).unwrap_err();
        assert!(of(Coordinates::default()).contains("--cluster"));
        assert!(of(files("gcomm://", "")).contains("--address"));
        assert!(of(files("dummy://x", "")).contains("wsrep_cluster_address"));
    }
}
