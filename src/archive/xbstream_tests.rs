use super::*;

fn payload(path: &str, place: u64, bytes: &[u8]) -> Vec<u8> {
    let mut chunk = head(path, b'P');
    chunk.extend((bytes.len() as u64).to_le_bytes());
    chunk.extend(place.to_le_bytes());
    let mut crc = Crc::new();
    crc.update(bytes);
    chunk.extend(crc.sum().to_le_bytes());
    chunk.extend(bytes);
    chunk
}

fn head(path: &str, kind: u8) -> Vec<u8> {
    let mut chunk = MAGIC.to_vec();
    chunk.extend([0, kind]);
    chunk.extend(u32::try_from(path.len()).unwrap().to_le_bytes());
    chunk.extend(path.as_bytes());
    chunk
}

fn scan(stream: &[u8], piece: usize) -> Result<XbstreamContent, XbstreamError> {
    let mut scanner = XbstreamScanner::default();
    stream.chunks(piece).try_for_each(|bytes| scanner.take(bytes))?;
    scanner.finish()
}

fn whole() -> Vec<u8> {
    [
        payload("ibdata1", 0, &[7; 300]),
        payload("./db/t.ibd", 0, b"rows"),
        payload("xtrabackup_galera_info", 0, b"u:1"),
        payload("ibdata1", 300, &[8; 5]),
        head("./db/t.ibd", b'E'),
        head("ibdata1", b'E'),
        payload("xtrabackup_galera_info", 3, b"2 0\n"),
        head("xtrabackup_galera_info", b'E'),
        payload("db/empty", 0, b""),
        head("db/empty", b'E'),
    ]
    .concat()
}

#[test]
fn a_stream_is_read_in_pieces_of_any_length() {
    let stream = whole();
    for piece in [1, 7, 14, 1000] {
        let content = scan(&stream, piece).unwrap();
        assert_eq!((content.files, content.bytes), (4, 316), "{piece}");
        assert_eq!(content.told("galera_info"), Some(&b"u:12 0\n"[..]));
        assert_eq!(content.told("binlog_info"), None);
    }
}

#[test]
fn a_stream_that_is_cut_off_anywhere_is_not_whole() {
    let stream = whole();
    for length in 0..stream.len() {
        let outcome = scan(&stream[..length], 64);
        // Where a file has ended and none is open nothing but what is missing tells: `capture` asks for that.
        let may_end = length == stream.len() - head("db/empty", 0).len() - payload("db/empty", 0, b"").len();
        assert_eq!(outcome.is_ok(), may_end, "{length}: {outcome:?}");
    }
}

#[test]
fn each_damage_is_told_with_its_place() {
    let told = |stream: &[u8]| scan(stream, 100).unwrap_err().to_string();
    let mut flipped = whole();
    flipped[100] ^= 1;
    assert_eq!(told(&flipped), "'ibdata1' has another checksum than its chunk at byte 0 says");
    assert_eq!(told(b"this is not what mariadb-backup writes"), "at byte 0 there is no chunk of an xbstream");
    for path in ["/etc/passwd", "a/../../b", ".."] {
        let error = told(&payload(path, 0, b"x"));
        assert_eq!(error, format!("the chunk at byte 0 has the unsafe path '{path}'"));
    }
    assert!(told(&head("a", b'Z')).contains("unknown type 0x5a"));
    assert_eq!(told(b""), "it is cut off: it holds no file");
}
