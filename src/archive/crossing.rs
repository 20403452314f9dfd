//! What a block holds of files that do not lie in it as a whole.
//!
//! A block that was changed in a file is found by the digest of the file's data in it. A block lies in any number of files, but at most one
//! of them began before it, and at most one goes on behind it: these two have a digest of their own in each block. Of all others the
//! digest of the whole file tells the same.

use crate::model::DataDigest;

/// Where such data stands in a block.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crossing {
    /// Bytes at its beginning that belong to a file that began before it.
    head: usize,
    /// Where the data begins that goes on behind it.
    tail: Option<usize>,
}

/// The digests of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct CrossingDigests {
    pub(super) head: Option<DataDigest>,
    pub(super) tail: Option<DataDigest>,
}

impl Crossing {
    /// Of the block with these bytes.
    pub(super) fn digests(self, raw: &[u8]) -> CrossingDigests {
        let digest = |data: Option<&[u8]>| {
            let data = data.filter(|data| !data.is_empty())?;
            Some(DataDigest::of(data))
        };
        CrossingDigests {
            head: digest(raw.get(..self.head)),
            tail: digest(self.tail.and_then(|begin| raw.get(begin..))),
        }
    }
}

/// Follows the data of files over the borders of blocks.
#[derive(Debug, Default)]
pub(super) struct Borders {
    /// Where the data of a file begins in this block, while it is written.
    begun: Option<usize>,
    /// It began in an earlier block.
    is_carried: bool,
    /// Bytes of data that was carried into this block and has ended in it.
    head: usize,
}

impl Borders {
    /// The data of a file begins at this byte of the block.
    pub(super) fn begin(&mut self, at: usize) {
        (self.begun, self.is_carried) = (Some(at), false);
    }

    /// It ends in front of this byte.
    pub(super) fn end(&mut self, at: usize) {
        if self.is_carried {
            self.head = at;
        }
        (self.begun, self.is_carried) = (None, false);
    }

    /// The block ends with so many bytes; the next one begins.
    pub(super) fn cut(&mut self, bytes: usize) -> Crossing {
        let head = std::mem::take(&mut self.head);
        let Some(begun) = self.begun.replace(0) else {
            self.begun = None;
            return Crossing { head, tail: None };
        };
        if std::mem::replace(&mut self.is_carried, true) {
            Crossing { head: bytes, tail: None }
        } else {
            Crossing { head, tail: Some(begun) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_at_most_one_head_and_one_tail() {
        let mut borders = Borders::default();
        // A small file, then one that crosses, lasts for two blocks more, and is followed by another that crosses.
        borders.begin(1);
        borders.end(3);
        borders.begin(5);
        assert_eq!(borders.cut(10), Crossing { head: 0, tail: Some(5) });
        assert_eq!(borders.cut(10), Crossing { head: 10, tail: None });
        borders.end(4);
        borders.begin(6);
        borders.end(7);
        borders.begin(8);
        assert_eq!(borders.cut(10), Crossing { head: 4, tail: Some(8) });
        borders.end(2);
        assert_eq!(borders.cut(5), Crossing { head: 2, tail: None });
        assert_eq!(borders.cut(5), Crossing::default());
    }

    #[test]
    fn only_what_crosses_has_a_digest() {
        let of = |data: &[u8]| Some(DataDigest::of(data));
        assert_eq!(Crossing::default().digests(b"abcd"), CrossingDigests::default());
        let both = Crossing { head: 1, tail: Some(3) }.digests(b"abcd");
        assert_eq!(both, CrossingDigests { head: of(b"a"), tail: of(b"d") });
        // A file that ends with its block has no byte in the next one.
        assert_eq!(Crossing { head: 0, tail: Some(4) }.digests(b"abcd"), CrossingDigests::default());
    }
}
