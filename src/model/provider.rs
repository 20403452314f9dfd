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
/// That of the plugin `wsrep_provider` (MDEV-22570, loaded by default in Debian's 11.8).
pub const SYNC_DONOR: &str = "wsrep_provider_gcs_sync_donor";

/// The options with what the plugin's variable says of `gcs.sync_donor`. Where that is on it was set in an option file or at run
/// time, which `wsrep_provider_options` does not show (seen on 11.8.9): on is on, whichever of the two says it.
pub fn with_sync_donor(options: &str, by_plugin: &str) -> String {
    let told = format!("{options}; gcs.sync_donor = {by_plugin}");
    if syncs_donor(&told) { told } else { options.to_owned() }
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
        let by_plugin = |value| with_sync_donor("gcs.sync_donor = no; gcache.size = 1G; ", value);
        assert!(syncs_donor(&by_plugin("ON")) && !syncs_donor(&by_plugin("OFF")));
        assert!(syncs_donor(&with_sync_donor("gcs.sync_donor = yes", "OFF")));
        assert_eq!(provider_option(&by_plugin("ON"), "gcache.size"), Some("1G"));
        assert!(!syncs_donor("gcs.sync_donor = no;") && !syncs_donor("gcs.max_throttle = 1"));
    }
}
