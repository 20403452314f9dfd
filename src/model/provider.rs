//! `wsrep_provider_options`, the settings of Galera.

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
}
