//! What it means when a dump does not go well.

/// Definitions that are not what they were.
pub(super) fn changed(what: &str) -> String {
    format!(
        "the definition of {what} was changed (by DDL, perhaps on another node) while the dump was made: a snapshot covers no definitions, so that \
         the dump would be of two moments"
    )
}

/// Whether the program's last words are those of a dump that DDL has ruined: then another try may go well.
pub(super) fn of_ddl(words: &str) -> Option<&'static str> {
    let says = |code: &str| {
        [format!("Error {code}"), format!("({code})"), format!("error {code}")]
            .iter()
            .any(|form| words.contains(form.as_str()))
    };
    if says("1412") {
        return Some(
            "a table was changed by DDL, perhaps on another node, before its rows were read (error 1412): the snapshot does not reach behind that",
        );
    }
    if says("1213") {
        return Some(
            "a table was in the way of DDL of the cluster when it was read, and DDL goes first (error 1213)",
        );
    }
    says("1146").then_some("a table was dropped, or renamed, before it was read (error 1146)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_ddl_are_told_from_others() {
        let said = "mariadb-dump: Error 1412: Table definition has changed, please retry transaction when dumping table `t` at row: 0";
        assert!(of_ddl(said).unwrap().contains("1412"));
        let said = "mariadb-dump: Couldn't execute 'show create table `t`': Deadlock found when trying to get lock; try restarting transaction (1213)";
        assert!(of_ddl(said).unwrap().contains("DDL goes first"));
        let said = "mariadb-dump: Got error: 1045: \"Access denied for user 'x'@'localhost'\" when trying to connect";
        assert_eq!(of_ddl(said), None);
    }
}
