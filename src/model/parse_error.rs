//! Why a document was not understood, in words that quote nothing of it.
//!
//! What stands in the place of a record may be any file that the reader has the right to read: a hard link, a file that was copied
//! there, a secret. serde's own messages quote what they did not expect, and they go on to terminals, logs, pages and mails.

use serde_json::Error;
use serde_json::error::Category;

/// Messages of serde that have what was found before these words, and what this program wanted behind them.
const WANTED: &str = ", expected ";
/// How such messages begin.
const QUOTING: [&str; 4] = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "];
/// Messages that name a field of ours and nothing else.
const OWN: [&str; 2] = ["missing field ", "duplicate field "];

/// The cause, with its place in the document, and without anything of its content.
pub fn not_understood(error: &Error) -> String {
    let text = error.to_string();
    // All but those of data are fixed words.
    if error.classify() != Category::Data || OWN.iter().any(|own| text.starts_with(own)) {
        return text;
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    // The content is quoted before; what is behind the last of these words is ours.
    let wanted = QUOTING.iter().any(|word| text.starts_with(word)).then(|| text.rsplit_once(WANTED));
    match wanted.flatten() {
        Some((_, wanted)) => format!("a value is not what it must be, which is {wanted}{place}"),
        None => format!("a value is not what it must be{place}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_str, json};

    use super::*;
    use crate::model::{DrillRecord, Hold, Manifest, Status, Verification};

    #[test]
    fn nothing_is_quoted_and_the_place_and_what_was_wanted_are_said() {
        let hold = |text: &str| not_understood(&from_str::<Hold>(text).unwrap_err());
        assert_eq!(
            hold("\"SECRET, expected SECRET\""),
            "a value is not what it must be, which is struct Hold at line 1 column 25"
        );
        assert_eq!(
            hold("{\"by\": \"x\",\n \"held\": \"SECRET, expected SECRET\"}"),
            "a value is not what it must be at line 2 column 34"
        );
        assert_eq!(
            hold("{\"by\": 471100815}"),
            "a value is not what it must be, which is a string at line 1 column 16"
        );
        assert_eq!(hold("{\"SECRET\": 1}"), "missing field `held` at line 1 column 13");
        assert_eq!(hold("SECRET"), "expected value at line 1 column 1");
        assert_eq!(hold("tSECRET"), "expected ident at line 1 column 2");
        assert_eq!(hold("{\"held"), "EOF while parsing a string at line 1 column 6");
    }

    type Reads = fn(&str) -> Option<Error>;

    const MANIFEST: &str = include_str!(
        "../../tests/fixtures/format-1/zstd/repository/fixture_cluster/20261120T113452Z_node_1/manifest.json"
    );
    const STATUS: &str = r#"{"id": "20261120T113452Z_n1", "cluster": "c", "node": "n", "request": "r", "state": "failed",
        "started": "2026-11-20T11:34:52Z", "updated": "2026-11-20T11:34:52Z", "pid": 1, "bytes_done": 1, "bytes_total": 2,
        "frozen_ms": 1, "gtid": {"uuid": "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f", "seqno": 1, "domain_id": 1}, "error": "e"}"#;
    const VERIFY: &str = r#"{"verified": "2026-11-21T00:00:00Z", "by": "b", "command": "c", "outcome": "damaged", "findings": 2,
        "first_finding": "f", "files": 1, "bytes": 1, "pages_checked": 0, "pages_skipped": 0, "took_ms": 1,
        "tool": {"name": "n", "version": "v"}}"#;
    const DRILL: &str = r#"{"drilled": "2026-11-21T00:00:00Z", "by": "b", "outcome": "failed", "failed_at": "start", "reason": "r",
        "server": "s", "position": "p", "tables": {"all": 2, "checked": 1}, "rows": 3, "queries": 1, "restore_ms": 1, "start_ms": 1,
        "check_ms": 1, "took_ms": 3, "tool": {"version": "v"}}"#;
    const HOLD: &str = r#"{"held": "2026-11-21T00:00:00Z", "by": "b", "note": "n"}"#;

    /// The document with one of its values replaced, for each of them.
    fn with_one_replaced(document: &Value, by: &Value) -> Vec<Value> {
        let put = |(key, inner): (Value, &Value)| {
            let within = |changed: Value| {
                let mut whole = document.clone();
                match (&mut whole, &key) {
                    (Value::Object(map), Value::String(key)) => drop(map.insert(key.clone(), changed)),
                    (Value::Array(list), Value::Number(at)) => {
                        list[usize::try_from(at.as_u64().unwrap()).unwrap()] = changed;
                    }
                    _ => unreachable!(),
                }
                whole
            };
            with_one_replaced(inner, by).into_iter().map(within).collect::<Vec<_>>()
        };
        let inner: Vec<(Value, &Value)> = match document {
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone().into(), value)).collect(),
            Value::Array(list) => list.iter().enumerate().map(|(at, value)| (at.into(), value)).collect(),
            _ => Vec::new(),
        };
        inner.into_iter().flat_map(put).chain([by.clone()]).collect()
    }

    #[test]
    fn no_value_of_any_record_is_quoted() {
        let records: [(&str, Reads); 5] = [
            (MANIFEST, |text| from_str::<Manifest>(text).err()),
            (STATUS, |text| from_str::<Status>(text).err()),
            (VERIFY, |text| from_str::<Verification>(text).err()),
            (DRILL, |text| from_str::<DrillRecord>(text).err()),
            (HOLD, |text| from_str::<Hold>(text).err()),
        ];
        for (text, read) in records {
            assert!(read(text).is_none(), "{:?}", read(text));
            let document: Value = from_str(text).unwrap();
            let mut errors = 0;
            for lie in [json!("471100815, expected 471100815"), json!(471_100_815), json!(471_100_815.5)] {
                for changed in with_one_replaced(&document, &lie) {
                    let Some(error) = read(&changed.to_string()) else { continue };
                    let told = not_understood(&error);
                    assert!(!told.contains("471100815"), "{error}: {told}");
                    errors += 1;
                }
            }
            assert!(errors > 5, "{errors}");
        }
    }
}
