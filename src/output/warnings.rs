//! Warnings in a manifest, which every reader refuses above 1 MiB: a bounded number of them, and how many more there were.

/// Most warnings that a manifest has; the error log has all.
const MOST: usize = 100;
/// Most bytes of all of them: a path may have 4,096 bytes, and three times that where they are written as %XX.
const BYTES: usize = 128 << 10;

/// The first warnings, as far as there is room, and the number of the others. They all stand in the error log.
pub(super) fn bounded(all: Vec<String>) -> (Vec<String>, u64) {
    let count = all.len();
    let mut bytes = 0;
    let kept: Vec<String> = all
        .into_iter()
        .take(MOST)
        .take_while(|warning| {
            bytes += warning.len();
            bytes <= BYTES
        })
        .collect();
    let more = (count - kept.len()) as u64;
    (kept, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_kept_as_they_are() {
        let all = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(bounded(all.clone()), (all, 0));
        assert_eq!(bounded(Vec::new()), (Vec::new(), 0));
    }

    #[test]
    fn many_or_long_ones_are_counted() {
        let (kept, more) = bounded((0..9000).map(|n| format!("warning {n}")).collect());
        assert_eq!((kept.len(), more, kept[99].as_str()), (100, 8900, "warning 99"));
        let (kept, more) = bounded(vec!["x".repeat(12 << 10); 90]);
        assert_eq!((kept.len(), more), (10, 80));
    }
}
