//! The bytes in front of a member's data, in the GNU form of POSIX tar.

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::member::{NewMember, Segment};

/// Bytes in a tar block.
pub(super) const TAR_BLOCK: usize = 512;
/// Longest name in a plain header; longer ones get a GNU long-name member in front.
const SHORT_NAME: usize = 100;

/// The zeros that fill a stream of this length up to a whole tar block.
pub(super) fn padding(length: u64) -> &'static [u8] {
    const ZEROS: [u8; TAR_BLOCK] = [0; TAR_BLOCK];
    let over = usize::try_from(length % TAR_BLOCK as u64).unwrap_or(0);
    if over == 0 { &[] } else { &ZEROS[over..] }
}

/// The headers of one member.
pub(super) struct Headers(Header);

impl Headers {
    /// With `stored` bytes of data to follow.
    pub(super) fn new(member: &NewMember, kind: EntryType, stored: u64) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(member.mode & 0o7777);
        header.set_uid(u64::from(member.uid));
        header.set_gid(u64::from(member.gid));
        header.set_mtime(u64::try_from(member.mtime).unwrap_or(0));
        header.set_size(stored);
        if let Some(gnu) = header.as_gnu_mut() {
            set_owner(&mut gnu.uname, member.user.as_deref());
            set_owner(&mut gnu.gname, member.group.as_deref());
        }
        Self(header)
    }

    /// A member without holes.
    pub(super) fn plain(self, name: &[u8], link: &[u8]) -> Vec<u8> {
        let mut header = self.0;
        let mut bytes = Vec::with_capacity(TAR_BLOCK);
        append_long(&mut bytes, EntryType::GNULongLink, link);
        append_long(&mut bytes, EntryType::GNULongName, name);
        if let Some(gnu) = header.as_gnu_mut() {
            copy_cut(&mut gnu.name, name);
            copy_cut(&mut gnu.linkname, link);
        }
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes
    }

    /// A member with holes, `size` bytes long as it is read back.
    ///
    /// Old GNU sparse format (GNU tar manual, "Old GNU Format"): 4 segments in the header, 21 in each
    /// block after it. A last segment of length 0 carries the size of a file that ends in a hole.
    pub(super) fn sparse(mut self, name: &[u8], size: u64, segments: &[Segment]) -> Vec<u8> {
        let ends_in_hole = segments.last().is_none_or(|last| last.offset + last.len < size);
        let tail = ends_in_hole.then_some(Segment { offset: size, len: 0 });
        let count = segments.len() + usize::from(ends_in_hole);
        let mut all = segments.iter().copied().chain(tail);
        let mut in_header = 0;
        if let Some(gnu) = self.0.as_gnu_mut() {
            in_header = gnu.sparse.len().min(count);
            gnu.set_real_size(size);
            gnu.set_is_extended(count > in_header);
            for (slot, segment) in gnu.sparse[..in_header].iter_mut().zip(&mut all) {
                slot.set_offset(segment.offset);
                slot.set_length(segment.len);
            }
        }
        let mut bytes = self.plain(name, b"");
        let mut left = count - in_header;
        while left > 0 {
            let mut extension = GnuExtSparseHeader::new();
            let here = extension.sparse.len().min(left);
            for (slot, segment) in extension.sparse[..here].iter_mut().zip(&mut all) {
                slot.set_offset(segment.offset);
                slot.set_length(segment.len);
            }
            left -= here;
            extension.set_is_extended(left > 0);
            bytes.extend_from_slice(extension.as_bytes());
        }
        bytes
    }
}

/// The GNU member that carries a name longer than its field.
fn append_long(bytes: &mut Vec<u8>, kind: EntryType, name: &[u8]) {
    if name.len() <= SHORT_NAME {
        return;
    }
    let mut header = Header::new_gnu();
    if let Some(gnu) = header.as_gnu_mut() {
        copy_cut(&mut gnu.name, b"././@LongLink");
    }
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(kind);
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.extend_from_slice(padding(name.len() as u64 + 1));
}

/// A name that does not fit is left out: a cut one would be another user's.
fn set_owner(field: &mut [u8], name: Option<&str>) {
    let name = name.unwrap_or_default().as_bytes();
    if name.len() < field.len() {
        copy_cut(field, name);
    }
}

/// Copies what fits and leaves the rest zero.
fn copy_cut(field: &mut [u8], bytes: &[u8]) {
    let count = field.len().min(bytes.len());
    field[..count].copy_from_slice(&bytes[..count]);
}
