//! SQL over a server's unix socket as root without a password, every statement under a time limit.

use std::path::Path;
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder, Row, Value};

/// One row: the text of every column, `NULL` for none.
pub type Fields = Vec<String>;

/// A statement may take this long; a frozen server blocks writers, so this is what ends such a test.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens a session.
pub fn connect(socket: &Path, timeout: Duration) -> mysql::Result<Conn> {
    let options = OptsBuilder::new()
        .user(Some("root"))
        .socket(socket.to_str())
        .read_timeout(Some(timeout))
        .write_timeout(Some(timeout));
    Conn::new(options)
}

/// Runs one statement in a session.
pub fn query(session: &mut Conn, statement: &str) -> mysql::Result<Vec<Fields>> {
    let rows: Vec<Row> = session.query(statement)?;
    Ok(rows.into_iter().map(|row| row.unwrap().iter().map(text).collect()).collect())
}

fn text(value: &Value) -> String {
    match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        // Only the binary protocol has the other kinds, and `query` uses the text protocol.
        other => other.as_sql(true),
    }
}

/// A name in backquotes, whatever it holds.
pub fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string in quotes.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// An expression for so many bytes by chance. `RANDOM_BYTES()` came with MariaDB 10.10.
pub fn random_bytes(count: usize) -> String {
    let digests: Vec<String> =
        (0..count.div_ceil(64)).map(|n| format!("UNHEX(SHA2(CONCAT(RAND(), {n}), 512))")).collect();
    format!("LEFT(CONCAT({}), {count})", digests.join(", "))
}
