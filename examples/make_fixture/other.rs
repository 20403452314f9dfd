//! A backup that another program could have written: valid, and unlike ours wherever the specification leaves a
//! choice.
//!
//! Blocks of an odd size without zstd checksums; a tar that ends in more zeros; an index in two zstd frames, blocks
//! before members, without optional fields and with fields that nobody knows; a manifest without spaces, with
//! absent fields in place of null ones and with unknown ones.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::hex;
use wsrep_sst_backup::catalog::{INDEX, MANIFEST};
use wsrep_sst_backup::model::{Block, Compression, IndexEnd, IndexLine, WsrepGtid};

use crate::repository;
use crate::tree::Entry;

/// Bytes of tar stream in a block.
const RAW: usize = 9_973;
/// Bytes of a tape record, which a tar by the book fills.
const RECORD: usize = 20 * 512;

/// The position, without the domain.
pub(crate) fn gtid() -> WsrepGtid {
    WsrepGtid { domain_id: None, ..repository::gtid() }
}

/// All three objects.
pub(crate) fn write(folder: &Path, entries: &[Entry]) -> Result<()> {
    let finished = repository::archive(entries, gtid(), Compression::None)?;
    let mut tar = finished.archive;
    tar.resize(tar.len().next_multiple_of(RECORD), 0);
    let mut archive = Vec::new();
    let mut blocks = Vec::new();
    for raw in tar.chunks(RAW) {
        let frame = zstd::bulk::compress(raw, 1)?;
        blocks.push(Block { offset: archive.len() as u64, bytes: frame.len() as u64, raw: raw.len() as u64 });
        archive.extend_from_slice(&frame);
    }
    let index = index(&zstd::decode_all(&finished.index[..])?, &blocks, tar.len())?;
    let manifest = manifest(&archive, &index, finished.summary.data_bytes, finished.summary.files);
    fs::write(folder.join("archive_of_another_name.tar.zst"), &archive)?;
    fs::write(folder.join(INDEX), &index)?;
    fs::write(folder.join(MANIFEST), manifest)?;
    Ok(())
}

fn index(ours: &[u8], blocks: &[Block], raw: usize) -> Result<Vec<u8>> {
    let (mut header, mut members) = (None, Vec::new());
    for line in std::str::from_utf8(ours)?.lines() {
        match serde_json::from_str(line)? {
            IndexLine::Index(mut found) => {
                found.compression = Compression::Zstd;
                header = Some(IndexLine::Index(found));
            }
            IndexLine::Member(mut member) => {
                (member.user, member.group, member.mtime_nsec) = (None, None, 0);
                members.push(IndexLine::Member(member));
            }
            IndexLine::Block(_) | IndexLine::Change(_) | IndexLine::End(_) => {}
        }
    }
    let end =
        IndexEnd { members: members.len() as u64, blocks: blocks.len() as u64, raw: raw as u64, gtid: None };
    let head: Vec<IndexLine> =
        header.into_iter().chain(blocks.iter().map(|block| IndexLine::Block((*block).into()))).collect();
    let mut frames = zstd::bulk::compress(&text(&head)?, 1)?;
    members.push(IndexLine::End(end));
    frames.extend(zstd::bulk::compress(&text(&members)?, 9)?);
    Ok(frames)
}

/// The lines, with an unknown field in each, and without the fields that may be absent.
fn text(lines: &[IndexLine]) -> Result<Vec<u8>> {
    let mut text = String::new();
    for line in lines {
        let line = serde_json::to_string(line)?;
        let brace = line.find(":{").context("a line of the index is an object in an object")? + 2;
        text.push_str(&line[..brace]);
        text.push_str(r#" "from_the_future" : {"list":[1,null,"}"]}, "#);
        text.push_str(&line[brace..].replace(r#","domain_id":null"#, "").replace(r#","mtime_nsec":0"#, ""));
        text.push('\n');
    }
    Ok(text.into_bytes())
}

fn manifest(archive: &[u8], index: &[u8], data_bytes: u64, files: u64) -> String {
    use repository::{CLUSTER, FINISHED, FROZEN_AT, ID, NODE, STARTED};
    let WsrepGtid { uuid, seqno, .. } = gtid();
    let object =
        |bytes: &[u8]| format!(r#""bytes":{},"sha256":"{}""#, bytes.len(), hex(&Sha256::digest(bytes)));
    [
        format!(r#"{{"from_the_future":[],"id":"{ID}","cluster":"{CLUSTER}","node":"{NODE}","format":1,"#),
        format!(
            r#""method":"precopy","started":"{STARTED}","frozen_at":"{FROZEN_AT}","finished":"{FINISHED}","#
        ),
        format!(
            r#""flush_ms":0,"frozen_ms":0,"gtid":{{"uuid":"{uuid}","seqno":{seqno}}},"mariadb_gtid":{{}},"#
        ),
        format!(
            r#""server":{{"datadir":"/d"}},"data_bytes":{data_bytes},"files":{files},"damaged_pages":0,"#
        ),
        format!(
            r#""archive":{{"name":"archive_of_another_name.tar.zst",{},"compression":"zstd"}},"#,
            object(archive)
        ),
        format!(r#""index":{{"name":"{INDEX}",{}}},"tool":{{"version":"another 9.9"}}}}"#, object(index)),
    ]
    .concat()
}
