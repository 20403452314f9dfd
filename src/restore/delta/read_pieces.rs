//! What is read of an archive, in its order.

use super::compare::{Fates, LocalFate, is_wanted_file};
use crate::archive::{DataPart, Index, ReadPlan};
use crate::model::Member;
use crate::restore::destinations::Destinations;

/// One thing to read, by its place in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReadPiece<'a> {
    /// A file that is written as a whole.
    Anew(&'a Member),
    /// A part of a file that stays.
    Part(&'a Member, DataPart),
    /// Pages (the second) that belong into a file.
    Pages(&'a Member, &'a Member),
}

impl ReadPiece<'_> {
    /// Bytes of the tar stream.
    pub(super) fn bytes(&self, index: &Index) -> u64 {
        let (from, to) = self.range(index);
        to - from
    }

    fn range(&self, index: &Index) -> (u64, u64) {
        match self {
            Self::Anew(member) => {
                let stored = index.stored(member);
                (stored.header_offset, stored.end_offset)
            }
            Self::Part(_, part) => part.range(),
            Self::Pages(_, pages) => (pages.header_offset, pages.end_offset),
        }
    }
}

/// All that is read, in the order of the stream.
pub(super) fn pieces<'a>(index: &'a Index, places: &Destinations, fates: &Fates) -> Vec<ReadPiece<'a>> {
    let mut pieces = Vec::new();
    for member in index.members.iter().filter(|member| is_wanted_file(places, member)) {
        match fates.get(&member.header_offset) {
            Some(LocalFate::Stays { parts, .. }) => {
                pieces.extend(parts.iter().map(|part| ReadPiece::Part(member, *part)));
            }
            Some(LocalFate::Anew) | None => pieces.push(ReadPiece::Anew(member)),
        }
        pieces.extend(index.patches(member).map(|pages| ReadPiece::Pages(member, pages)));
    }
    pieces.sort_by_key(|piece| piece.range(index).0);
    pieces
}

/// The blocks in which these are.
pub(super) fn plan(index: &Index, pieces: &[ReadPiece<'_>]) -> ReadPlan {
    index.plan_of_ranges(pieces.iter().map(|piece| piece.range(index)).collect())
}
