//! Users, roles and grants of a dump, for a server that has some already.
//!
//! `mariadb-dump --system=users` writes `CREATE USER` for each account, which fails where there is one of that name, and makes roles by
//! a role of its own that it grants to whoever loads the dump. Neither is sent as it stands: an account that the server has stays as
//! it is (or is replaced, where that was asked for), and roles get an administrator by name, since every node of a cluster carries the
//! statement out by itself and knows nobody's session.

use std::collections::BTreeSet;

use super::sections::{quoted, uncommented};

/// The account that the server itself needs.
const OF_THE_SERVER: (&str, &str) = ("mariadb.sys", "localhost");
/// The role by which a dump makes roles.
const IMPORT_ROLE: &str = "mariadb_dump_import_role";

/// User and host; a role has no host.
pub(super) type Grantee = (String, String);

/// What becomes of the accounts of a dump.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Those that the server has.
    pub(super) existing: BTreeSet<Grantee>,
    /// The one that this program has logged in as.
    pub(super) own: Grantee,
    /// Whether those that are there are replaced.
    pub(super) replace: bool,
    /// Those of the dump that stay as they are.
    pub(super) kept: BTreeSet<Grantee>,
    /// Those that were made or replaced.
    pub(super) made: BTreeSet<Grantee>,
}

impl Accounts {
    /// The statement as it is sent; none where it is not.
    pub(super) fn rewrite(&mut self, statement: &str) -> Option<String> {
        let code = uncommented(statement);
        if statement.starts_with("/*!8") || code.starts_with("SET ROLE ") || !names_an_account(code) {
            return None;
        }
        if let Some(rest) = strip_any(code, &["CREATE USER ", "CREATE OR REPLACE USER "]) {
            let (account, _) = account(rest)?;
            let is_there = self.existing.contains(&account);
            if is_there && !self.may_replace(&account) {
                self.kept.insert(account);
                return None;
            }
            self.made.insert(account);
            return Some(format!("CREATE OR REPLACE USER {}", rest.trim_start_matches("IF NOT EXISTS ")));
        }
        if let Some(rest) = strip_any(code, &["CREATE ROLE ", "CREATE OR REPLACE ROLE "]) {
            let (role, _) = account(rest)?;
            if self.existing.contains(&role) {
                return None;
            }
            self.made.insert(role.clone());
            return Some(format!("CREATE ROLE {} WITH ADMIN {};", literal(&role), literal(&self.own)));
        }
        // A role that is given: to whoever is there.
        if code.starts_with("GRANT `") || code.starts_with("GRANT '") {
            return Some(as_it_stands(statement));
        }
        let target = ["GRANT ", "REVOKE "].iter().any(|word| code.starts_with(word));
        let split = |word: &str| code.rsplit_once(word).map(|(_, rest)| rest);
        let whose = match code {
            _ if target => after_target(code),
            _ if code.starts_with("SET DEFAULT ROLE ") => split(" FOR "),
            _ => code.strip_prefix("ALTER USER "),
        };
        let (account, _) = account(whose?)?;
        let is_left = self.existing.contains(&account) && !self.may_replace(&account);
        (!is_left).then(|| as_it_stands(statement))
    }

    fn may_replace(&self, account: &Grantee) -> bool {
        let (user, host) = account;
        self.replace && *account != self.own && (user.as_str(), host.as_str()) != OF_THE_SERVER
    }
}

/// Statements of the role that a dump makes for itself, and of the session, name none.
fn names_an_account(code: &str) -> bool {
    let is_session = ["SELECT ", "EXECUTE ", "DROP ROLE "].iter().any(|word| code.starts_with(word));
    let of_import = [format!("GRANT {IMPORT_ROLE}"), format!("CREATE ROLE IF NOT EXISTS {IMPORT_ROLE}")];
    !is_session && !of_import.iter().any(|word| code.starts_with(word.as_str()))
}

fn strip_any<'a>(code: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| code.strip_prefix(word))
}

/// A statement for some versions only, which this server may be or not: as it stands.
fn as_it_stands(statement: &str) -> String {
    statement.to_owned()
}

/// Behind the ` TO ` or ` FROM ` that stands in no name: names stand in quotes.
fn after_target(code: &str) -> Option<&str> {
    let is_outside = |at: usize| {
        let before = &code[..at];
        before.matches('`').count().is_multiple_of(2) && before.matches('\'').count().is_multiple_of(2)
    };
    let words = [" TO `", " TO '", " FROM `", " FROM '"];
    let found = words.iter().flat_map(|word| code.match_indices(word).map(|(at, _)| (at, word.len() - 1)));
    found.filter(|(at, _)| is_outside(*at)).min().map(|(at, length)| &code[at + length..])
}

/// `` `u`@`h` ``, `'u'@'h'`, or a role in quotes.
fn account(text: &str) -> Option<(Grantee, &str)> {
    let text = text.trim_start();
    let text = text.strip_prefix("IF NOT EXISTS ").unwrap_or(text);
    let quote = text.chars().next().filter(|c| ['`', '\''].contains(c))?;
    let (user, rest) = quoted(text, quote)?;
    match rest.strip_prefix('@') {
        Some(host) => {
            let quote = host.chars().next().filter(|c| ['`', '\''].contains(c))?;
            let (host, rest) = quoted(host, quote)?;
            Some(((user, host), rest))
        }
        None => Some(((user, String::new()), rest)),
    }
}

/// An account as a statement names it.
fn literal((user, host): &Grantee) -> String {
    let name = |text: &str| format!("`{}`", text.replace('`', "``"));
    if host.is_empty() { name(user) } else { format!("{}@{}", name(user), name(host)) }
}

/// An account as people write it.
pub(super) fn shown((user, host): &Grantee) -> String {
    if host.is_empty() { format!("role {user}") } else { format!("{user}@{host}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(replace: bool) -> Accounts {
        let of = |user: &str, host: &str| (user.to_owned(), host.to_owned());
        Accounts {
            existing: [of("root", "localhost"), of("old", "%"), of("mariadb.sys", "localhost"), of("r1", "")]
                .into(),
            own: of("root", "localhost"),
            replace,
            ..Accounts::default()
        }
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let both = |statement: &str| {
            let sent = |replace| accounts(replace).rewrite(statement);
            (sent(false), sent(true))
        };
        let new = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
        let replaced = |text: &str| (None, Some(text.to_owned()));
        for (statement, wanted) in [
            (
                "CREATE USER `u`@`%` IDENTIFIED BY PASSWORD '*7';",
                new("CREATE OR REPLACE USER `u`@`%` IDENTIFIED BY PASSWORD '*7';"),
            ),
            ("CREATE USER `old`@`%`;", replaced("CREATE OR REPLACE USER `old`@`%`;")),
            ("CREATE USER `old`@`localhost`;", new("CREATE OR REPLACE USER `old`@`localhost`;")),
            ("CREATE USER `root`@`localhost`;", (None, None)),
            ("CREATE USER `mariadb.sys`@`localhost` ACCOUNT LOCK PASSWORD EXPIRE;", (None, None)),
            ("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION;", (None, None)),
            (
                "GRANT SELECT ON `a TO ``b`.`t` TO `old`@`%`;",
                replaced("GRANT SELECT ON `a TO ``b`.`t` TO `old`@`%`;"),
            ),
            ("GRANT SELECT ON `d`.* TO `u`@`%`;", new("GRANT SELECT ON `d`.* TO `u`@`%`;")),
            ("GRANT PROXY ON ``@`%` TO `root`@`localhost` WITH GRANT OPTION;", (None, None)),
            ("/*!80001 CREATE ROLE 'r' */;", (None, None)),
            (
                "/*M!100005 CREATE ROLE 'r' WITH ADMIN mariadb_dump_import_role */;",
                new("CREATE ROLE `r` WITH ADMIN `root`@`localhost`;"),
            ),
            ("/*M!100005 CREATE ROLE 'r1' WITH ADMIN mariadb_dump_import_role */;", (None, None)),
            ("GRANT `r` TO `u`@`%`;", new("GRANT `r` TO `u`@`%`;")),
            (
                "/*M!100005 SET DEFAULT ROLE 'r' FOR 'old'@'%' */;",
                replaced("/*M!100005 SET DEFAULT ROLE 'r' FOR 'old'@'%' */;"),
            ),
            ("CREATE ROLE IF NOT EXISTS mariadb_dump_import_role;", (None, None)),
            ("GRANT mariadb_dump_import_role TO CURRENT_USER();", (None, None)),
            ("SET ROLE mariadb_dump_import_role;", (None, None)),
            ("SELECT COALESCE(CURRENT_ROLE(),'NONE') into @current_role;", (None, None)),
            ("/*M!100203 EXECUTE IMMEDIATE CONCAT('SET ROLE ', @current_role) */;", (None, None)),
            ("DROP ROLE mariadb_dump_import_role;", (None, None)),
        ] {
            assert_eq!(both(statement), wanted, "{statement}");
        }
    }

    #[test]
    fn those_that_stay_are_known() {
        let mut accounts = accounts(false);
        accounts.rewrite("CREATE USER `old`@`%`;");
        accounts.rewrite("CREATE USER `u`@`%`;");
        assert_eq!(accounts.kept.iter().map(shown).collect::<Vec<_>>(), ["old@%"]);
        assert_eq!(accounts.made.iter().map(shown).collect::<Vec<_>>(), ["u@%"]);
    }
}
