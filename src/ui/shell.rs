//! Commands for a person to paste into a shell.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::is_harmless;

/// A path, or what else a backup names, as a word of the shell: the shell gets the very bytes, a terminal none that does
/// anything. What cannot be shown as it is takes the form `$'…'` with octal numbers (bash, zsh, ksh, POSIX of 2024).
pub fn shell_word(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '@' | '#' | '=');
    match std::str::from_utf8(bytes) {
        // At its beginning `#` is a comment, and `=` is a command's place to zsh.
        Ok(text) if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with(['#', '=']) => {
            text.to_owned()
        }
        Ok(text) if text.chars().all(is_harmless) => format!("'{}'", text.replace('\'', "'\\''")),
        _ => with_numbers(bytes),
    }
}

/// The command that moves these words of the shell out of a directory, into a new one beside it.
pub fn move_away(folder: &Path, ending: &str, words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut away = folder.as_os_str().to_owned();
    away.push(".");
    away.push(ending);
    let away = shell_word(Path::new(&away));
    let mut command = format!("mkdir {away} && mv");
    for word in words {
        command.push(' ');
        command.push_str(word.as_ref());
    }
    format!("{command} {away}/")
}

fn with_numbers(bytes: &[u8]) -> String {
    let mut word = "$'".to_owned();
    let number = |word: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _ = write!(word, "\\{byte:03o}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            // What a shell that knows no such quotes, or has a history, would take for more than a letter.
            let is_special = matches!(letter, '\'' | '\\' | '!');
            if is_harmless(letter) && !is_special {
                word.push(letter);
            } else {
                number(&mut word, letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        number(&mut word, chunk.invalid());
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_gets_the_bytes_and_a_terminal_none_that_does_anything() {
        let names: [&[u8]; 10] = [
            b"/srv/backup",
            b"#x",
            b"a=b",
            b"it's",
            b"a b;c$(d)`e`\"f\"*?~!\\",
            b"",
            "n\u{f6}de".as_bytes(),
            b"a\nrm -r /\r\x1b[2J\x07'\\\x7f7",
            b"\xff\xfe9 x",
            "a\u{202e}b\u{200b}1".as_bytes(),
        ];
        for bytes in names {
            let word = shell_word(Path::new(OsStr::from_bytes(bytes)));
            assert!(word.chars().all(is_harmless), "{word:?}");
            let told = Command::new("bash").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            assert_eq!((told.stdout.as_slice(), told.stderr.as_slice()), (bytes, &b""[..]), "{word}");
        }
        assert_eq!(shell_word(Path::new("/srv/backup")), "/srv/backup");
        assert_eq!(shell_word(Path::new("it's")), "'it'\\''s'");
        assert_eq!(shell_word(Path::new("a\n7")), "$'a\\0127'");
    }
}
