//! Patterns of names: `*` is any text, `?` one byte.

/// Whether a pattern stands for the whole of a path. Every step back goes to the last `*`, so the time is at most the
/// product of both lengths.
pub fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // Where the last `*` stands, and how much of the path it covers so far.
    let mut star: Option<(usize, usize)> = None;
    while place < path.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == path[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star_at, covered)) = star else { return false };
                star = Some((star_at, covered + 1));
                at = star_at + 1;
                place = covered + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, path, wanted) in [
            ("db/t.ibd", "db/t.ibd", true),
            ("db/t.ibd", "db/t.ib", false),
            ("db/t", "db/t.ibd", false),
            ("db/*", "db/t.ibd", true),
            ("db/*", "db2/t.ibd", false),
            ("*.ibd", "db/t.ibd", true),
            ("*.ibd", "db/t.ibd.bak", false),
            ("*.ibd*", "db/t.ibd", true),
            ("db/t.???", "db/t.ibd", true),
            ("db/t.??", "db/t.ibd", false),
            ("*a*b*c", "xaxxbabcxc", true),
            ("*a*b*c", "xaxxbabcxd", false),
            ("*aab", "aaaab", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), wanted, "{pattern} {path}");
        }
        // What takes exponential time with a simple matcher.
        assert!(!matches("a*".repeat(40).as_bytes(), "a".repeat(4000).replace('a', "b").as_bytes()));
        assert!(!matches(format!("{}c", "*a".repeat(30)).as_bytes(), "a".repeat(4000).as_bytes()));
    }
}
