//! Option names, as `mysys/my_getopt.c` of MariaDB compares them, and near misses.

/// What stands in front of an option's name (`special_opt_prefix` in `my_getopt.c`; `maximum-` and `autoset-`, the
/// other two, change limits and not values).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// `skip-` and `disable-`: switches off; `=0` behind it switches on again.
    Off,
    /// `enable-`: switches on; `=0` behind it switches off.
    On,
    /// `loose-`: no error if the name is unknown.
    Loose,
}

const PREFIXES: [(&str, Prefix); 4] =
    [("skip-", Prefix::Off), ("disable-", Prefix::Off), ("enable-", Prefix::On), ("loose-", Prefix::Loose)];

impl Prefix {
    /// The state that `PREFIX-name` or `PREFIX-name=value` gives a switch; `None` for `loose-`, which gives none.
    pub(super) fn state(self, value: Option<&str>) -> Option<bool> {
        match self {
            Self::Off => Some(value == Some("0")),
            Self::On => Some(value != Some("0")),
            Self::Loose => None,
        }
    }
}

/// A name in the one form that is compared: lower case, `-` for `_`. That `--DataDir` is `--datadir` was seen with
/// mariadbd 10.11.
pub(super) fn normalise(written: &str) -> String {
    written.to_ascii_lowercase().replace('_', "-")
}

/// Takes one prefix off a normalised name.
pub(super) fn split_prefix(name: &str) -> Option<(Prefix, &str)> {
    PREFIXES.iter().find_map(|(text, prefix)| Some((*prefix, name.strip_prefix(text)?)))
}

/// What a boolean's value means: `1`, `on`, `true`, `0`, `off`, `false` in any case (`get_bool_argument()`).
pub(super) fn bool_value(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" => Some(true),
        "0" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// The known name that a mistyped one was probably meant to be: at most two letters wrong, swapped, missing or too
/// many, or cut short.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let by_distance = known.clone().map(|candidate| (distance(name, candidate), candidate));
    let allowed = |far: usize, candidate: &str| far <= 2 && 2 * far < candidate.len();
    let close = by_distance.filter(|&(far, candidate)| allowed(far, candidate)).min();
    close.map(|(_, candidate)| candidate).or_else(|| {
        let mut longer = known.filter(|candidate| name.len() >= 3 && candidate.starts_with(name));
        longer.next()
    })
}

/// Letters to change, insert, delete or swap with their neighbour to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let known = ["repository", "compression", "compression-level", "user", "threads"].into_iter();
        let nearest = |name| nearest(name, known.clone());
        assert_eq!(nearest("repositroy"), Some("repository"));
        assert_eq!(nearest("compresion"), Some("compression"));
        assert_eq!(nearest("repo"), Some("repository"));
        assert_eq!(nearest("usr"), Some("user"));
        assert_eq!(nearest("thread"), Some("threads"));
        assert_eq!(nearest("encrypt-to"), None);
        assert_eq!(nearest("xy"), None);
    }

    #[test]
    fn prefixes_come_off_one_at_a_time() {
        assert_eq!(split_prefix("loose-skip-x"), Some((Prefix::Loose, "skip-x")));
        assert_eq!(split_prefix("skip-x"), Some((Prefix::Off, "x")));
        assert_eq!(split_prefix("skipx"), None);
        assert_eq!(Prefix::Off.state(Some("0")), Some(true));
        assert_eq!(Prefix::On.state(Some("0")), Some(false));
    }
}
