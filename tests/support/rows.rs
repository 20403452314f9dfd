//! Are the rows of two servers the same?
//!
//! `CHECKSUM TABLE` differs between nodes for tables with generated columns although every value is equal, so the
//! values themselves are summed: SHA-256 of every value, MD5 over the row, and the sum of the rows' first 60 bits,
//! which does not depend on their order and does not lose pairs of equal rows as XOR would.

use std::collections::{BTreeMap, BTreeSet};

use super::server::Server;
use super::sql::{self, literal, quote};

/// The rows of a table in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChecksum {
    /// Number of rows.
    pub rows: u64,
    /// Sum over all rows, in decimal.
    pub sum: String,
}

/// Tables, views and sequences of users: everything but the server's own databases.
const USER_TABLES: &str = "SELECT table_schema, table_name FROM information_schema.tables \
    WHERE table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1, 2";

/// The checksum of one table, after the node has applied everything that was committed anywhere before.
pub fn row_checksum(server: &Server, database: &str, table: &str) -> RowChecksum {
    checksum(&mut causal_session(server), server.name(), database, table)
}

/// The checksums of all users' tables, by database and table.
pub fn all_checksums(server: &Server) -> BTreeMap<(String, String), RowChecksum> {
    let mut session = causal_session(server);
    let tables = sql::query(&mut session, USER_TABLES).unwrap_or_else(|e| panic!("{}: {e}", server.name()));
    tables
        .into_iter()
        .map(|fields| {
            let (database, table) = (fields[0].clone(), fields[1].clone());
            let sum = checksum(&mut session, server.name(), &database, &table);
            ((database, table), sum)
        })
        .collect()
}

/// Panics unless all servers have the same tables with the same rows; gives them.
pub fn assert_same_rows<'a>(
    servers: impl IntoIterator<Item = &'a Server>,
) -> BTreeMap<(String, String), RowChecksum> {
    let mut servers = servers.into_iter();
    let first = servers.next().expect("at least one server");
    let expected = all_checksums(first);
    for server in servers {
        let found = all_checksums(server);
        let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
        let differs = names.into_iter().filter(|k| expected.get(*k) != found.get(*k));
        let report: Vec<String> = differs
            .map(|k| {
                format!(
                    "{k:?}: {:?} on {}, {:?} on {}",
                    expected.get(k),
                    first.name(),
                    found.get(k),
                    server.name()
                )
            })
            .collect();
        assert!(report.is_empty(), "rows differ:\n{}", report.join("\n"));
    }
    expected
}

fn causal_session(server: &Server) -> mysql::Conn {
    let mut session = server.session();
    sql::query(&mut session, "SET SESSION wsrep_sync_wait = 15")
        .unwrap_or_else(|e| panic!("{}: {e}", server.name()));
    session
}

fn checksum(session: &mut mysql::Conn, server: &str, database: &str, table: &str) -> RowChecksum {
    let mut ask = |statement: &str| {
        sql::query(session, statement)
            .unwrap_or_else(|e| panic!("{server}: {database}.{table}: {e}\nin: {statement}"))
    };
    let columns = ask(&format!(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = {} AND table_name = {} \
         ORDER BY ordinal_position",
        literal(database),
        literal(table)
    ));
    let values: Vec<String> =
        columns.iter().map(|c| format!("IFNULL(SHA2(CAST({} AS BINARY), 256), '~')", quote(&c[0]))).collect();
    let rows = ask(&format!(
        "SELECT COUNT(*), IFNULL(SUM(CAST(CONV(LEFT(MD5(CONCAT_WS(',', {})), 15), 16, 10) AS DECIMAL(20))), 0) \
         FROM {}.{}",
        values.join(", "),
        quote(database),
        quote(table)
    ));
    RowChecksum { rows: rows[0][0].parse().expect("a number of rows"), sum: rows[0][1].clone() }
}
