//! How the documents of a repository are stored: JSON, indented, so that `cat` is enough at 3 a.m.

use serde::Serialize;

/// The bytes of a record, with a newline at the end.
pub fn to_record(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}
