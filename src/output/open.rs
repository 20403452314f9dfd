//! The archive from its first member to its last: this program's own members stand around the server's files.

use std::io::Read;

use super::identity::BackupIdentity;
use super::{Destination, OutputError};
use crate::archive::{
    APPLY_MEMBER, ArchiveError, ArchiveWriter, Finished, GRASTATE_MEMBER, IDENTITY_MEMBER, NewMember,
    PAGES_PREFIX, SUMS_MEMBER, Segment,
};
use crate::model::{ArchivePath, Content, FORMAT, IndexHeader, NEWEST_FORMAT, WsrepGtid};
use crate::storage::{ObjectWriter, StorageError};
use crate::users;

/// What takes the server's files.
pub type Writer = ArchiveWriter<Box<dyn ObjectWriter>, Box<dyn ObjectWriter>>;

/// Archive and index, empty.
pub struct Output<'a> {
    pub(super) to: &'a Destination,
    pub(super) content: Content,
    /// Bytes that the archive cannot exceed.
    pub(super) most: u64,
    pub(super) archive: Box<dyn ObjectWriter>,
    pub(super) index: Box<dyn ObjectWriter>,
}

/// An archive that has its identity and takes the server's files.
pub struct Archive<'a> {
    to: &'a Destination,
    /// The oldest format that can say what is in it.
    format: u32,
    /// Where the files go.
    pub writer: Writer,
}

/// Both streams at their end, not durable yet.
pub struct Written<'a> {
    pub(super) to: &'a Destination,
    pub(super) content: Content,
    /// The oldest format that can say what is in it.
    pub(super) format: u32,
    pub(super) streams: Finished<Box<dyn ObjectWriter>, Box<dyn ObjectWriter>>,
}

impl Destination {
    /// Opens both objects, for so many members with so many bytes of data. It comes before the freeze: what cannot be created costs
    /// none, and is taken away while the server runs.
    pub fn open(&self, content: Content, members: usize, bytes: u64) -> Result<Output<'_>, StorageError> {
        // In a stream of another program goes what the server writes meanwhile.
        let most = match content {
            Content::Datadir => at_most(members, bytes),
            Content::Xbstream | Content::Sql => at_most(members, bytes.saturating_mul(2)),
        };
        self.open_for(content, most)
    }

    /// The same for an archive of at most so many bytes.
    pub(super) fn open_for(&self, content: Content, most: u64) -> Result<Output<'_>, StorageError> {
        let (archive, index) = self.names(content);
        Ok(Output {
            to: self,
            content,
            most,
            archive: self.storage.create_large(&self.object(&archive), most)?,
            index: self.storage.create(&self.object(&index))?,
        })
    }

    /// A file of our own belongs to the server's user, who runs this program.
    fn own_member(&self, name: &str) -> NewMember {
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        NewMember {
            path: ArchivePath::new(name),
            mode: 0o640,
            uid,
            gid,
            user: users::user_name(uid),
            group: users::group_name(gid),
            mtime: self.label.started.as_second(),
            mtime_nsec: 0,
            system_tablespace: false,
            origin: None,
            listed: None,
            place: None,
        }
    }
}

/// What the archive cannot exceed, if the data does not grow by more than a tenth until the freeze: headers, digests
/// and what compression adds to data that cannot be compressed are far less than the rest.
fn at_most(members: usize, bytes: u64) -> u64 {
    let members = (members as u64).saturating_mul(4096);
    let data = bytes.saturating_add(bytes / 8);
    data.saturating_add(members).saturating_add(64 << 20)
}

impl<'a> Output<'a> {
    /// Writes the identity, before the first data byte.
    pub fn begin(self, identity: &BackupIdentity) -> Result<Archive<'a>, OutputError> {
        self.begin_with(identity, FORMAT)
    }

    /// The same where the server runs still: the position in the identity is none yet, and comes with [`Archive::settle`].
    pub fn begin_early(self, identity: &BackupIdentity) -> Result<Archive<'a>, OutputError> {
        self.begin_with(identity, NEWEST_FORMAT)
    }

    fn begin_with(self, identity: &BackupIdentity, oldest: u32) -> Result<Archive<'a>, OutputError> {
        let Self { to, archive, index, .. } = self;
        let format = identity.format().max(oldest);
        let header = IndexHeader {
            format,
            id: to.id.clone(),
            content: Content::Datadir,
            files_state: identity.files,
            gtid: identity.gtid.clone(),
            compression: to.options.compression,
        };
        let mut writer = ArchiveWriter::create(archive, index, header, to.options, &to.recipients)?;
        let content = identity.to_bytes(format, &to.id, &to.label);
        let content = content.map_err(|error| OutputError::Identity(error.into()))?;
        writer.append_generated(to.own_member(IDENTITY_MEMBER), &content)?;
        Ok(Archive { to, format, writer })
    }
}

impl<'a> Archive<'a> {
    /// Bytes that its storage still takes, where that can be known.
    pub fn free_bytes(&self) -> Option<u64> {
        self.to.storage.free_bytes().ok().flatten()
    }

    /// Pages that replace those of the early file `of`: see [`ArchiveWriter::append_pages`].
    pub fn append_pages(
        &mut self,
        of: u64,
        runs: &[Segment],
        source: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        self.writer.append_pages(&self.to.own_member(PAGES_PREFIX), of, runs, source)
    }

    /// A member of this program's own making, with this name and these rights.
    pub fn append_own(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<(), ArchiveError> {
        self.writer.append_generated(NewMember { mode, ..self.to.own_member(name) }, content)
    }

    /// Writes the script, where one is needed, and the identity once more, with the position, where it was begun without one. Nothing that
    /// was stored early may change behind this.
    pub fn settle(&mut self, identity: &BackupIdentity) -> Result<(), OutputError> {
        let to = self.to;
        self.writer.append_apply(NewMember { mode: 0o755, ..to.own_member(APPLY_MEMBER) })?;
        let content = identity.to_bytes(self.format, &to.id, &to.label);
        let content = content.map_err(|error| OutputError::Identity(error.into()))?;
        self.writer.append_generated(to.own_member(IDENTITY_MEMBER), &content)?;
        Ok(self.writer.position(identity.gtid.clone())?)
    }

    /// Writes the members that follow the data, and the end of both streams.
    pub fn end(mut self, gtid: Option<&WsrepGtid>) -> Result<Written<'a>, ArchiveError> {
        let to = self.to;
        if let Some(gtid) = gtid {
            self.writer.append_generated(to.own_member(GRASTATE_MEMBER), gtid.grastate(false).as_bytes())?;
        }
        self.writer.append_sums(to.own_member(SUMS_MEMBER))?;
        Ok(Written { to, content: Content::Datadir, format: self.format, streams: self.writer.finish()? })
    }
}
