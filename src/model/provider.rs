//! `wsrep_provider_options`, the settings of Galera.

/// `gcache.page_size` where it is not set.
pub const DEFAULT_PAGE: u64 = 128 << 20;
/// What must be free beside another page file: the server writes its logs there.
pub const PAGE_RESERVE: u64 = 16 << 20;

/// One of the provider's options (`name = value;`), also as `show variables` prints them, with blanks around.
pub fn provider_option<'a>(options: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = options.rsplit(';').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// A size as Galera writes it: `128M`, `1G`, `1073741824`.
pub fn provider_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << unit)
}

/// Whether a donor takes part in flow control (`gcs.sync_donor`; Galera's words for yes are in `gu_str2bool`).
pub fn syncs_donor(options: &str) -> bool {
    let value = provider_option(options, "gcs.sync_donor").unwrap_or_default();
    ["yes", "on", "true", "1", "y", "t"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

/// The variable of all options.
pub const PROVIDER_OPTIONS: &str = "wsrep_provider_options";
/// A variable that every server with the plugin `wsrep_provider` has (MDEV-22570, loaded by default in Debian's 11.8): there each
/// option of the provider is a variable of its own.
pub const SYNC_DONOR: &str = "wsrep_provider_gcs_sync_donor";
/// What the names of those variables begin with.
pub const PLUGIN_PREFIX: &str = "wsrep_provider_";

/// The server's own variables of TLS, which the provider uses where `wsrep_ssl_mode` says so (MariaDB's manual: 10.6 and 11.4 of the
/// Enterprise Server), and the option of the provider that each stands for.
const SERVER_TLS: [(&str, &str); 4] = [
    ("ssl_ca", "socket.ssl_ca"),
    ("ssl_cert", "socket.ssl_cert"),
    ("ssl_cipher", "socket.ssl_cipher"),
    ("ssl_key", "socket.ssl_key"),
];
/// Which TLS the provider uses: `PROVIDER`, `SERVER` or `SERVER_X509`.
const SSL_MODE: &str = "wsrep_ssl_mode";

/// The variables beside [`PROVIDER_OPTIONS`] that say something of the provider's options.
pub const TLS_VARIABLES: [&str; 5] = ["ssl_ca", "ssl_cert", "ssl_cipher", "ssl_key", SSL_MODE];

/// The provider's options as they hold, in the form of `wsrep_provider_options`: what that says, then what was set as variables of the
/// plugin, then the TLS of the server where the provider uses that. Of two words the later one holds.
///
/// `set` are variables of the plugin that do not have their default. `wsrep_provider_options` does not show what was set so (seen on
/// 11.8.9); a default beside an option that says something else is no word against it. `variable` gives the server's other variables.
pub fn effective_options<'a>(
    told: &str,
    set: impl IntoIterator<Item = (&'a str, &'a str)>,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> String {
    let mut options = vec![told.trim().trim_end_matches(';').to_owned()];
    for (name, value) in set {
        options.extend(option_of_plugin(name).map(|option| format!("{option} = {value}")));
    }
    let is_servers = variable(SSL_MODE).is_some_and(|mode| mode.to_ascii_uppercase().starts_with("SERVER"));
    let of_server = |name: &str| variable(name).filter(|value| !value.is_empty());
    if is_servers && of_server("ssl_cert").is_some() {
        options.push("socket.ssl = YES".into());
        let files = SERVER_TLS.iter().filter_map(|(name, option)| Some((option, of_server(name)?)));
        options.extend(files.map(|(option, value)| format!("{option} = {value}")));
    }
    options.retain(|option| !option.is_empty());
    options.join("; ")
}

/// The option that a variable of the plugin stands for: `wsrep_provider_gcs_sync_donor` is `gcs.sync_donor`. Of the options
/// without a group before a dot (`base_dir`, `base_host`, `base_port`, `debug`) the first three have an underscore.
fn option_of_plugin(variable: &str) -> Option<String> {
    let name = variable.replace('-', "_").to_ascii_lowercase();
    let name = name.strip_prefix(PLUGIN_PREFIX).filter(|rest| *rest != "options")?;
    match name.split_once('_') {
        Some((group, rest)) if group != "base" => Some(format!("{group}.{rest}")),
        _ => Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_provider_are_found_by_their_whole_name() {
        let options = "base_port=4567; gcache.size = 128M;socket.ssl=yes;gcache.size_x=1;gcache.size=1G;";
        assert_eq!(provider_option(options, "gcache.size"), Some("1G"));
        assert_eq!(provider_option(options, "socket.ssl"), Some("yes"));
        assert_eq!(provider_option(options, "size"), None);
        assert!(syncs_donor("gcs.sync_donor = YES; gmcast.x = 1") && syncs_donor("gcs.sync_donor=1"));
        assert!(!syncs_donor("gcs.sync_donor = no;") && !syncs_donor("gcs.max_throttle = 1"));
    }

    #[test]
    fn what_was_set_by_the_plugin_is_an_option_of_the_provider() {
        let set = [
            (SYNC_DONOR, "ON"),
            ("wsrep_provider_gcache_page_size", "16M"),
            ("wsrep-provider-base-port", "4000"),
            ("wsrep_provider_options", "no option of its own"),
        ];
        let options = effective_options("gcs.sync_donor = no; gcache.size = 1G; ", set, |_| None);
        assert_eq!(
            options,
            "gcs.sync_donor = no; gcache.size = 1G; gcs.sync_donor = ON; gcache.page_size = 16M; base_port = 4000"
        );
        assert!(syncs_donor(&options));
        let untouched = effective_options("gcs.sync_donor = yes; ", [], |_| None);
        assert!(syncs_donor(&untouched), "a default says nothing");
        assert_eq!(effective_options("", [], |_| None), "");
    }

    #[test]
    fn the_tls_of_the_server_is_that_of_the_provider_where_it_says_so() {
        let options = |mode: &'static str, cert: &'static str| {
            effective_options("socket.ssl = NO; ", [], move |name| match name {
                "wsrep_ssl_mode" => Some(mode),
                "ssl_cert" => Some(cert),
                "ssl_key" => Some("/k.pem"),
                "ssl_ca" | "ssl_cipher" => Some(""),
                _ => None,
            })
        };
        let by_server =
            "socket.ssl = NO; socket.ssl = YES; socket.ssl_cert = /c.pem; socket.ssl_key = /k.pem";
        assert_eq!(options("SERVER_X509", "/c.pem"), by_server);
        assert_eq!(options("server", "/c.pem"), by_server);
        assert_eq!(options("PROVIDER", "/c.pem"), "socket.ssl = NO");
        assert_eq!(options("SERVER", ""), "socket.ssl = NO");
    }
}
