//! The groups of the option files that a server reads.

/// The groups that a server of this version reads, without suffixes. `version` is what `@@version` says, such as
/// `10.11.19-MariaDB-log`; without it the groups of all versions of MariaDB.
///
/// From `mariadbd --help --verbose` of MariaDB 10.11 ("The following groups are read"); `mariadbd` groups came with
/// 10.4; MySQL and its derivatives know the first three only.
pub fn server_groups(version: Option<&str>) -> Vec<String> {
    let number = version.and_then(major_minor);
    let mariadb = match (version, number) {
        (Some(text), Some((major, _))) => major >= 10 || text.to_ascii_lowercase().contains("mariadb"),
        _ => true,
    };
    let named_mariadbd = number.is_none_or(|number| number >= (10, 4));
    let programs: &[&str] = match (mariadb, named_mariadbd) {
        (false, _) => &["mysqld"],
        (true, false) => &["mysqld", "mariadb"],
        (true, true) => &["mysqld", "mariadb", "mariadbd"],
    };
    let mut groups: Vec<String> = vec!["server".to_owned()];
    for program in programs {
        groups.push((*program).to_owned());
        if let Some((major, minor)) = number {
            groups.push(format!("{program}-{major}.{minor}"));
        }
    }
    if mariadb {
        groups.extend(["client-server".to_owned(), "galera".to_owned()]);
    }
    groups
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(version: Option<&str>) -> String {
        let mut groups = server_groups(version);
        groups.sort();
        groups.join(" ")
    }

    #[test]
    fn a_server_reads_the_groups_of_its_own_version() {
        assert_eq!(
            sorted(Some("10.3.39-MariaDB")),
            "client-server galera mariadb mariadb-10.3 mysqld mysqld-10.3 server"
        );
        assert_eq!(
            sorted(Some("11.8.6-MariaDB-log")),
            "client-server galera mariadb mariadb-11.8 mariadbd mariadbd-11.8 mysqld mysqld-11.8 server"
        );
        assert_eq!(sorted(Some("8.0.36-28.1")), "mysqld mysqld-8.0 server");
        assert_eq!(sorted(None), "client-server galera mariadb mariadbd mysqld server");
        assert_eq!(sorted(Some("unknown")), sorted(None));
    }
}
