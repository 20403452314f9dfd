//! What `prune` tells beside backups: signs of programs that have died, and old versions in a bucket.

use serde_json::{Value, json};

use super::prune_words::{action_of, counted};
use crate::prune::Sign;
use crate::storage::{StorageError, Versions};
use crate::ui::{Align, Table, TextPage, bytes};

/// Signs of life that go.
pub(super) fn signs_as_text(signs: &[Sign]) -> TextPage {
    let mut page = TextPage::new();
    if signs.is_empty() {
        return page;
    }
    let mut table = Table::new(&[("ACTION", Align::Left), ("OBJECT", Align::Left), ("REASON", Align::Left)]);
    for sign in signs {
        table.row(vec![action_of(true).into(), sign.name.clone(), sign.reason()]);
    }
    page.blank();
    page.line("Signs of programs that have died:");
    page.table(&table);
    page
}

/// The same for a program.
pub(super) fn signs_as_json(signs: &[Sign]) -> Vec<Value> {
    let sign = |sign: &Sign| {
        json!({
            "object": sign.name, "bytes": sign.bytes, "action": action_of(true), "reason": sign.reason(),
        })
    };
    signs.iter().map(sign).collect()
}

/// What the bucket still has of what was overwritten or removed, now or ever before.
pub(super) fn versions_as_text(versions: &Result<Option<Versions>, StorageError>) -> TextPage {
    let text = match versions {
        Ok(None | Some(Versions { count: 0, marks: 0, .. })) => return TextPage::new(),
        Ok(Some(Versions { count, bytes: stored, marks, more })) => format!(
            "{}{} of objects that were overwritten or removed ({}) and {} remain in the bucket, which keeps versions: no 'prune' \
             removes them, but a lifecycle rule (NoncurrentVersionExpiration) when their lock is over.",
            if *more { "More than " } else { "" },
            counted(*count, "old version", "old versions"),
            bytes(*stored),
            counted(*marks, "delete marker", "delete markers"),
        ),
        Err(error) => format!(
            "Whether the bucket keeps old versions of what was removed cannot be known: {error} (s3:ListBucketVersions)."
        ),
    };
    let mut page = TextPage::new();
    page.blank();
    page.line(text);
    page
}

/// The same for a program; nothing where there are none by the nature of the storage.
pub(super) fn versions_as_json(versions: &Result<Option<Versions>, StorageError>) -> Option<Value> {
    Some(match versions {
        Ok(None) => return None,
        Ok(Some(Versions { count, bytes, marks, more })) => {
            json!({ "count": count, "bytes": bytes, "delete_marks": marks, "more": more })
        }
        Err(error) => json!({ "error": error.to_string() }),
    })
}
