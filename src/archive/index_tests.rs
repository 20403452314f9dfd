//! What an index may have, and what speaks against it.

use super::*;

#[test]
fn an_index_has_an_end_whatever_its_object_has() {
    assert_eq!(objection(MOST_UNPACKED, 0), None);
    assert_eq!(objection(MOST_UNPACKED + 1, 0), Some("no index compresses so well"));
    assert_eq!(objection(LARGEST, LARGEST / EXPANSION), None);
    for taken in [LARGEST / EXPANSION, LARGEST, u64::MAX] {
        assert_eq!(objection(LARGEST + 1, taken), Some("no index is as large"));
    }
}

#[test]
fn no_index_is_written_that_is_not_read() {
    let header = r#"{"format":1,"id":"20261120T113452Z_n1","compression":"zstd",
        "gtid":{"uuid":"4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f","seqno":6,"domain_id":0}}"#;
    let mut writer = IndexWriter::create(Vec::new(), serde_json::from_str(header).unwrap(), &[]).unwrap();
    let block = IndexLine::Block(Block { offset: 0, bytes: 1, raw: 1 }.into());
    writer.append(&block).unwrap();
    writer.written = LARGEST - 10;
    let error = writer.append(&block).unwrap_err().to_string();
    assert_eq!(
        error,
        "an index holds 2 GiB of lines, which is about six million files; the archive has more"
    );
}

/// Digests of blocks make a line twice as long, and can be done without.
#[test]
fn blocks_are_written_without_digests_where_the_index_becomes_long() {
    let header = r#"{"format":1,"id":"20261120T113452Z_n1","compression":"zstd",
        "gtid":{"uuid":"4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f","seqno":6,"domain_id":0}}"#;
    let mut writer = IndexWriter::create(Vec::new(), serde_json::from_str(header).unwrap(), &[]).unwrap();
    let mut block = crate::model::BlockLine::from(Block { offset: 0, bytes: 1, raw: 1 });
    block.tail = Some(crate::model::DataDigest::of(b"x"));
    let mut length = || {
        let before = writer.written;
        writer.append(&IndexLine::Block(block)).unwrap();
        let length = writer.written - before;
        writer.written = LARGEST / 2 + 1;
        length
    };
    let (with, without) = (length(), length());
    assert!(with > without + 30, "{with} and {without} bytes");
}
