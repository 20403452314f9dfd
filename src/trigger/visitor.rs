//! The name of a garbd in the group.

use crate::model::random_word;

/// What it begins with; a word follows.
pub(super) const VISITOR: &str = "backup-";
/// Tries to find a word by which it is taken for none of the donors.
const TRIES: usize = 100;

/// A name for one visit. One that begins with the name of a donor could be taken for that ([`taken_for`](crate::cluster::taken_for)); a donor whose name
/// each would begin with is refused before.
pub(super) fn visitor_name(donors: &[String]) -> String {
    let name = || format!("{VISITOR}{}", random_word());
    let is_donors = |name: &String| donors.iter().any(|donor| name.starts_with(donor.as_str()));
    (0..TRIES).map(|_| name()).find(|name| !is_donors(name)).unwrap_or_else(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_is_taken_for_no_donor() {
        let donors = ["backup-1", "backup-a", "n1"].map(str::to_owned);
        let names: Vec<String> = (0..200).map(|_| visitor_name(&donors)).collect();
        let taken = names.iter().find(|name| donors.iter().any(|donor| name.starts_with(donor.as_str())));
        assert_eq!(taken, None);
        assert!(visitor_name(&["back".to_owned()]).starts_with(VISITOR));
    }
}
