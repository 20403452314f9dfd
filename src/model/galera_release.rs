//! Galera's releases.

/// A release of Galera: 4 and 23 of `26.4.23`. Within a generation a later one speaks the protocols of the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GaleraRelease {
    /// 3 or 4.
    pub generation: u32,
    /// The number of the release within its generation.
    pub release: u32,
}

/// Releases of Galera 4 whose IST may lose write sets, and the first one after them that does not.
const LOSES_IN_IST: [u32; 2] = [25, 26];
const MENDED: u32 = 27;

impl GaleraRelease {
    /// Where this release is known to lose write sets in IST: the first one after it that does not.
    pub fn loses_in_ist(self) -> Option<Self> {
        let loses = self.generation == 4 && LOSES_IN_IST.contains(&self.release);
        loses.then_some(Self { release: MENDED, ..self })
    }

    /// From `26.4.23(r8ac47c3)`, and from `4.23(rXXXX)`, as Debian's package says it: the number of the wsrep interface may stand in front.
    pub fn read(version: &str) -> Option<Self> {
        let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok();
        let mut parts = version.split('.');
        let first = number(parts.next()?)?;
        let generation = if matches!(first, 25 | 26) { number(parts.next()?)? } else { first };
        Some(Self { generation, release: number(parts.next()?)? })
    }

    /// What a library of Galera says in its own bytes, where its version is a text with the revision behind it in parentheses.
    pub fn find(library: &[u8]) -> Option<Self> {
        let is_version = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let ends = library.windows(2).enumerate().filter(|(_, two)| two == b"(r").map(|(end, _)| end);
        let mut texts = ends.filter_map(|end| {
            let length = library[..end].iter().rev().take_while(|byte| is_version(byte)).count();
            std::str::from_utf8(&library[end - length..end]).ok()
        });
        texts.find_map(Self::read)
    }
}

impl std::fmt::Display for GaleraRelease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.generation, self.release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_with_and_without_the_number_of_the_interface() {
        let read = |text: &str| GaleraRelease::read(text).map(|release| release.to_string());
        for text in ["26.4.23(r8ac47c3)", "4.23(rXXXX)", "26.4.23"] {
            assert_eq!(read(text).as_deref(), Some("4.23"), "{text}");
        }
        assert_eq!(read("25.3.37(r7b3b7c3)").as_deref(), Some("3.37"));
        assert_eq!((read(""), read("none"), read("4")), (None, None, None));
        assert!(GaleraRelease::read("26.4.9") < GaleraRelease::read("4.23"));
    }

    #[test]
    fn two_releases_lose_write_sets_in_ist() {
        let mended = |text: &str| GaleraRelease::read(text)?.loses_in_ist().map(|mended| mended.to_string());
        for text in ["26.4.25(r1)", "4.26(rXXXX)"] {
            assert_eq!(mended(text).as_deref(), Some("4.27"), "{text}");
        }
        assert_eq!((mended("26.4.24"), mended("26.4.27"), mended("25.3.25")), (None, None, None));
    }

    #[test]
    fn a_library_says_its_release_in_its_bytes() {
        let find = |bytes: &[u8]| GaleraRelease::find(bytes).map(|release| release.to_string());
        let library =
            b"\x7fELF (read) x(r) 7(reset)\0\0Galera\x004.23(rXXXX)\0Codership Oy <info@codership.com>\0";
        assert_eq!(find(library).as_deref(), Some("4.23"));
        assert_eq!(find(b"\0\xff26.4.9(r1234567)\0").as_deref(), Some("4.9"));
        assert_eq!(find(b"(r\0no version (r1)"), None);
    }
}
