//! What was kept of the server's files until it runs again, as the copy wants it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;

use super::super::copy::Contents;
use super::super::entry::Entry;
use super::super::source::Opened;
use super::early::aside;
use crate::archive::NewMember;

/// An entry of the list.
pub(super) enum Slot {
    /// A file: its content in the spool, and what was known of it.
    File(Opened),
    /// A directory or a link, or a file of this program's own making.
    Seen(Metadata),
    /// Why it could not be read or looked at.
    Failed(io::Error),
}

/// Members that must not stand under their own names while the archive is unpacked: the folder of this program, and a number in it.
pub(super) type Asides = BTreeMap<usize, (&'static str, usize)>;

/// By their numbers in the list. One that was read is gone.
pub(super) struct Kept<'a> {
    pub(super) slots: RefCell<BTreeMap<usize, Slot>>,
    pub(super) asides: &'a Asides,
}

impl Kept<'_> {
    fn take(&self, number: usize) -> io::Result<Slot> {
        let slot = self.slots.borrow_mut().remove(&number);
        slot.ok_or_else(|| io::Error::other("it was not kept"))
    }
}

impl Contents for Kept<'_> {
    fn open(&self, number: usize, _: &Entry) -> io::Result<Opened> {
        match self.take(number)? {
            Slot::File(opened) => Ok(opened),
            Slot::Failed(error) => Err(error),
            Slot::Seen(_) => Err(io::Error::other("it was no file")),
        }
    }

    fn metadata(&self, number: usize, _: &Entry) -> io::Result<Metadata> {
        match self.take(number)? {
            Slot::Seen(metadata) => Ok(metadata),
            Slot::File(opened) => Ok(opened.metadata),
            Slot::Failed(error) => Err(error),
        }
    }

    fn member(&self, number: usize, member: NewMember) -> NewMember {
        set_aside(self.asides, number, member)
    }
}

/// The server's files themselves, for what has no room in the spool.
pub(super) struct Straight<'a> {
    pub(super) live: super::super::copy::Live<'a>,
    pub(super) asides: &'a Asides,
}

impl Contents for Straight<'_> {
    fn open(&self, number: usize, entry: &Entry) -> io::Result<Opened> {
        self.live.open(number, entry)
    }

    fn metadata(&self, number: usize, entry: &Entry) -> io::Result<Metadata> {
        self.live.metadata(number, entry)
    }

    fn member(&self, number: usize, member: NewMember) -> NewMember {
        set_aside(self.asides, number, member)
    }
}

fn set_aside(asides: &Asides, number: usize, member: NewMember) -> NewMember {
    match asides.get(&number) {
        Some((folder, name)) => aside(member, folder, *name),
        None => member,
    }
}
