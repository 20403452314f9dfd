//! The argument list of a running mysqld, as `mysys/my_getopt.c` reads it.
//!
//! Whether `--name value` is one option or two depends on the option, and the table of all options of all versions
//! is not ours. It is not needed: mysqld refuses to start with arguments that are not options ("Too many
//! arguments"), so in the list of a server that runs, a word without a dash belongs to the option before it.

/// The short options of mysqld that take a value, from `mariadbd --help --verbose` of 10.11.
const SHORT_WITH_VALUE: [(char, &str); 8] = [
    ('b', "basedir"),
    ('C', "character-set-server"),
    ('h', "datadir"),
    ('L', "lc-messages-dir"),
    ('P', "port"),
    ('r', "chroot"),
    ('t', "tmpdir"),
    ('u', "user"),
];
/// Short options whose value is optional, and then in the same word: the rest of the word is no more options.
const SHORT_OPTIONAL: [char; 4] = ['W', 'T', '#', 'V'];

/// One option: its name as given, and its value if it has one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Argument<'a> {
    pub(super) name: &'a str,
    pub(super) value: Option<&'a str>,
}

/// The options of the list, in order. The name of the program is not part of the list.
pub(super) fn options(args: &[String]) -> Vec<Argument<'_>> {
    let mut found = Vec::new();
    let mut words = args.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, words.next_if(|next| is_value(next))),
            };
            found.push(Argument { name, value });
        } else if let Some(letters) = word.strip_prefix('-')
            && let Some((name, value)) = short(letters)
        {
            let value = value.or_else(|| words.next());
            found.push(Argument { name, value });
        }
    }
    found
}

/// Negative numbers are values: no short option is a digit.
fn is_value(word: &str) -> bool {
    word.strip_prefix('-').is_none_or(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The option with a value in a word of short ones: `-ah/data` is `-a` and `-h /data`.
fn short(letters: &str) -> Option<(&'static str, Option<&str>)> {
    for (at, letter) in letters.char_indices() {
        if SHORT_OPTIONAL.contains(&letter) {
            return None;
        }
        let named = SHORT_WITH_VALUE.iter().find(|(short, _)| *short == letter);
        if let Some((_, name)) = named {
            let rest = &letters[at + letter.len_utf8()..];
            return Some((name, (!rest.is_empty()).then_some(rest)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Vec<(String, Option<String>)> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let owned = |arg: Argument<'_>| (arg.name.to_owned(), arg.value.map(str::to_owned));
        options(&args).into_iter().map(owned).collect()
    }

    fn pair(name: &str, value: &str) -> (String, Option<String>) {
        (name.to_owned(), Some(value.to_owned()))
    }

    #[test]
    fn long_options_take_their_value_from_either_side_of_the_blank() {
        let bare = ("wsrep-on".to_owned(), None);
        assert_eq!(
            read(&["--datadir=/a=b", "--wsrep-on", "--datadir", "/c"]),
            [pair("datadir", "/a=b"), bare, pair("datadir", "/c")]
        );
        assert_eq!(read(&["--x", "-1", "--y", "-z"]), [pair("x", "-1"), ("y".to_owned(), None)]);
        assert_eq!(read(&["--socket="]), [pair("socket", "")]);
    }

    // `-h /abc`, `-h/abc`, `-ah /abc` and `-P 33 -u x -t /t` were tried with mariadbd 10.11.
    #[test]
    fn short_options_may_be_joined_with_each_other_and_with_a_value() {
        assert_eq!(read(&["-h", "/abc"]), [pair("datadir", "/abc")]);
        assert_eq!(read(&["-h/abc"]), [pair("datadir", "/abc")]);
        assert_eq!(read(&["-ah", "/abc", "-u", "mysql"]), [pair("datadir", "/abc"), pair("user", "mysql")]);
        assert_eq!(read(&["-W2h", "-Th", "--", "-h", "/x"]), []);
    }
}
