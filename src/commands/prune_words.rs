//! Words that the texts of `prune` share.

/// What becomes of an object.
pub(super) fn action_of(goes: bool) -> &'static str {
    if goes { "sweep" } else { "leave" }
}

/// A number with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
