//! The lines of `SHA256SUMS`, as GNU `sha256sum` writes and reads them.

use crate::model::ArchivePath;

/// One line: digest, two blanks, name. A name with a backslash, newline or carriage return is
/// escaped and the line starts with a backslash (coreutils manual, "md5sum invocation").
pub fn sum_line(sha256: &str, path: &ArchivePath) -> Vec<u8> {
    let needs_escape = path.as_bytes().iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    let mut line = Vec::with_capacity(sha256.len() + path.as_bytes().len() + 4);
    if needs_escape {
        line.push(b'\\');
    }
    line.extend_from_slice(sha256.as_bytes());
    line.extend_from_slice(b"  ");
    for byte in path.as_bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            other => line.push(*other),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_escaped_like_coreutils() {
        assert_eq!(sum_line("ab", &ArchivePath::new("db/t.ibd")), b"ab  db/t.ibd\n");
        assert_eq!(sum_line("ab", &ArchivePath::new("a\\b\nc")), b"\\ab  a\\\\b\\nc\n");
    }
}
