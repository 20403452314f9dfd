//! The members of the stream that are wanted, in its order.

use crate::archive::Index;
use crate::model::Member;

/// A file as it will be, and, where the stream has reached that, a page member for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamPart<'a> {
    pub(super) member: &'a Member,
    pub(super) pages: Option<&'a Member>,
}

/// What these files are made of. A page member stands behind the file that it is for.
pub(super) fn parts<'a>(index: &'a Index, wanted: impl Iterator<Item = &'a Member>) -> Vec<StreamPart<'a>> {
    let mut parts = Vec::new();
    for member in wanted {
        parts.push(StreamPart { member, pages: None });
        parts.extend(index.patches(member).map(|pages| StreamPart { member, pages: Some(pages) }));
    }
    parts.sort_by_key(|part| part.pages.unwrap_or(part.member).header_offset);
    parts
}
