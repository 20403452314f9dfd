//! The option files against the real programs: what `my_print_defaults` prints for a group is what we read, and
//! what `mariadbd --help --verbose` reports for a variable is what we find in its arguments.

#[path = "config_oracle/case.rs"]
mod case;
#[path = "config_oracle/server.rs"]
mod server;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use case::Case;
use proptest::prelude::*;
use tempfile::TempDir;

/// Both agree on one file, and it gives this many lines (so that no test compares nothing with nothing).
#[track_caller]
fn agree_on(text: &[u8], lines: usize) {
    let agreed = Case::new(&[("a.cnf", text)]).agree();
    assert_eq!(agreed.map(|text| text.lines().count()), Some(lines), "{}", String::from_utf8_lossy(text));
}

#[track_caller]
fn both_fail(text: &[u8]) {
    assert_eq!(Case::new(&[("a.cnf", text)]).agree(), None, "{}", String::from_utf8_lossy(text));
}

#[test]
#[ignore = "needs my_print_defaults"]
fn names_values_and_blanks() {
    agree_on(
        b"[g]\nplain\nempty=\nspaced = x \n\t tab\t=\ty\t\nkey with blanks = v w\na=b=c\nwindows = 1\r\n",
        7,
    );
    agree_on(b"[g]\nloose_foo-bar=1\nloose-x\nUPPER_Case=1\nx=1\nx=2\n", 5);
    agree_on(b"[g]\n=v\n== v\n =x\n\t = y z # c\n", 5);
    agree_on(b"[g]\nlast=without newline", 1);
    agree_on(b"\n   \n[g]\n\n\x0b\x0c\r\nx\n", 1);
    both_fail(b"\xef\xbb\xbf[g]\nafter a byte order mark\n");
}

#[test]
#[ignore = "needs my_print_defaults"]
fn comments() {
    agree_on(b"# c\n; c\n[g]\n  # c\n\t; c\na=1 # c\nb=1 ; no comment\nc=x#y\nd # = 1\ne#f=1\n", 5);
    agree_on(b"[g]\na=\"x # y\" # z\nb='x # y' # z\nc=\"x' # y\nd=x\" # \"y\n", 4);
    agree_on(b"[g]\ne=\\\" # \"\nf=\"\\\" # \" # c\ng='\\\\' # c\n", 3);
}

#[test]
#[ignore = "needs my_print_defaults"]
fn quotes_and_escapes() {
    agree_on(b"[g]\na=\"x\"\nb='x'\nc=\"x'\nd=\"\ne=\"\"\nf='\ng=\"a\"b\"\nh= \" x \" \ni=x\"y\"\n", 9);
    agree_on(b"[g]\n'j'=1\n\"k\" = 2\nna\\me=1\n", 3);
    agree_on(b"[g]\na=\\b\\t\\s\\\\\\\"\\'\\q\\0\\\nc='a\\'\nd=\"\\\\\"\ne=\\ \nf=\\#x\n", 5);
    agree_on(b"[g]\nb=x\\ny\n", 2);
}

#[test]
#[ignore = "needs my_print_defaults"]
fn groups() {
    agree_on(b"[g ]\na\n[ g]\nno\n[g] junk\nc\n[G]\nd\n[other]\ne\n[ other ]\nno\n[]\nno\n[ ]\nno\n", 4);
    agree_on(b"[g]]\ni\n[[g]\nno\n[\tg\t]\nno\n[g\t]\nk\n", 2);
    agree_on(b"  [g]\na\n[g-x]\nb\n[g,other]\nc\n[g#]\nd\n[#g]\ne\n[g=1]\nf\n", 1);
    both_fail(b"a=1\n[g]\n");
    both_fail(b"[g\na=1\n");
    both_fail(b"[other]\na\n[g\n]\n");
}

#[test]
#[ignore = "needs my_print_defaults"]
fn bytes_beyond_ascii() {
    // 0xA0 is white space to MariaDB, also as the last byte of a UTF-8 letter.
    agree_on("[g]\na=ä\nb=à\nc=\u{a0}x\u{a0}\nö=1\n".as_bytes(), 4);
    agree_on(b"[g]\na=\xff\xfe\nb\xa0=\xa0 1 \xa0\n", 2);
    agree_on(b"[g]\na=1\0b\nb=\0\n\0d\nc=2\n", 3);
    both_fail(b"[g]\na=1\n[h\0]\n");
}

#[test]
#[ignore = "needs my_print_defaults"]
fn long_lines_are_cut_as_fgets_cuts_them() {
    for length in [4085, 4090, 4091, 4092, 4093, 4094, 4095, 4096, 5000, 9000] {
        let mut text = b"[g]\na=".to_vec();
        text.extend(vec![b'x'; length]);
        text.extend(b"\nb=1\n#");
        text.extend(vec![b'x'; length]);
        text.extend(b" = c\nd\n");
        assert!(Case::new(&[("a.cnf", &text)]).agree().is_some(), "{length}");
    }
}

#[test]
#[ignore = "needs my_print_defaults"]
fn includes() {
    let main = "[g]\na\n!include @/b.cnf\nafter\n ! \tinclude \t @/sub/c.cnf \t\n!include @/missing\n\
        !includes @/b.cnf\n!\n!include\n!include_dir @/d\n!include @/sub/../b.cnf\n\
        !include @/b.cnf # no comment\n!include \"@/b.cnf\"\n!include @//b.cnf\nend\n";
    let read = |main: &str| {
        let b = b"[g]\nb\n[other]\nb2\n";
        Case::new(&[("a.cnf", main.as_bytes()), ("b.cnf", b), ("sub/c.cnf", b"[g]\nc\n")]).agree()
    };
    // The bare "!include" has no argument, and the newline behind it counts as its blank: the file is refused.
    assert_eq!(read(main), None);
    let without = main.replace("!include\n", "");
    assert_eq!(read(&without).unwrap(), "--a\n--b\n--b2\n--after\n--c\n--b\n--b2\n--b\n--b2\n--end\n");
}

#[test]
#[ignore = "needs my_print_defaults"]
fn a_fault_in_an_included_file_ends_only_that_file() {
    let case = Case::new(&[
        ("a.cnf", b"[g]\na\n!include @/b.cnf\n!include @/c.cnf\n!include @/d.cnf\nlast\n"),
        ("b.cnf", b"[g]\nb\n[g\nnever\n"),
        ("c.cnf", b"no_group\n"),
        ("d.cnf", b"[g]\nd\n!includedir @/missing\nnever\n"),
    ]);
    assert_eq!(case.agree().unwrap(), "--a\n--b\n--d\n--last\n");
    assert_eq!(case.read().unwrap().warnings().len(), 3);
    both_fail(b"[g]\n!includedir /no/such/folder\n");
    both_fail(b"[g]\n!include \nx\n");
    both_fail(b"[g]\n!includedir\t\r\nx\n");
}

#[test]
#[ignore = "needs my_print_defaults"]
fn an_include_in_the_last_line_loses_a_letter_without_a_newline() {
    let case =
        Case::new(&[("a.cnf", b"[g]\n!include @/b.cnf"), ("b.cnf", b"[g]\nfull\n"), ("b.cn", b"[g]\ncut\n")]);
    assert_eq!(case.agree().unwrap(), "--cut\n");
    assert!(case.read().unwrap().warnings()[0].contains("add one"));
}

#[test]
#[ignore = "needs my_print_defaults"]
fn a_folder_is_read_in_the_order_of_bytes() {
    let names =
        ["b.cnf", "a.cnf", "B.cnf", "10.cnf", "9.cnf", ".hidden.cnf", ".cnf", "a.cnf.bak", "x.CNF", "é.cnf"];
    let texts: Vec<(String, String)> =
        names.iter().map(|name| (format!("d/{name}"), format!("[g]\nfrom={name}\n"))).collect();
    let mut files: Vec<(&str, &[u8])> = vec![("main", b"[g]\n!includedir @/d\n!includedir @/d/ \nend\n")];
    files.extend(texts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())));
    files.push(("d/folder.cnf/x", b"never read"));
    let agreed = Case::new(&files).agree().unwrap();
    assert_eq!(agreed.lines().count(), 17);
}

#[test]
#[ignore = "needs my_print_defaults"]
fn recursion_ends_at_the_same_depth() {
    let case = Case::new(&[("a.cnf", b"[g]\nbefore\n!include @/a.cnf\nafter\n")]);
    assert_eq!(case.agree().unwrap().lines().count(), 22);
    // The deepest file skips the directive without a path; those above it have a fault there.
    let case = Case::new(&[
        ("a.cnf", b"[g]\nx\n!include @/b.cnf\n"),
        ("b.cnf", b"[g]\ny\n!include @/b.cnf\n!include\nz\n"),
    ]);
    assert_eq!(case.agree().unwrap().lines().count(), 12);
}

#[test]
#[ignore = "needs my_print_defaults"]
fn files_that_cannot_or_must_not_be_read() {
    let mut case = Case::new(&[("a.cnf", b"[g]\na\n!include @/open.cnf\n"), ("open.cnf", b"[g]\nopen\n")]);
    fs::set_permissions(case.path().join("open.cnf"), fs::Permissions::from_mode(0o646)).unwrap();
    assert_eq!(case.agree().unwrap(), "--a\n");
    assert!(case.read().unwrap().warnings()[0].starts_with("World-writable config file"));

    case.args.defaults_file = Some(case.path().join("open.cnf"));
    assert_eq!(case.agree().unwrap(), "");
    case.args.defaults_file = Some(case.path().to_owned());
    assert_eq!(case.agree().unwrap(), "");
    case.args.defaults_file = Some(case.path().join("missing"));
    assert_eq!(case.agree(), None);
    case.args.defaults_file = None;
    case.args.defaults_extra_file = Some(case.path().join("missing"));
    assert_eq!(case.agree(), None);
    case.args.defaults_extra_file = None;
    case.args.no_defaults = true;
    assert_eq!(case.agree().unwrap(), "");
}

#[test]
#[ignore = "needs my_print_defaults"]
fn files_with_too_long_names_are_ignored() {
    let mut read = Vec::new();
    for length in 500..520 {
        let place = TempDir::new().unwrap();
        let mut folder = place.path().canonicalize().unwrap();
        folder.push("x".repeat(250));
        folder.push("y".repeat(length - 8 - folder.as_os_str().len()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("zz.cnf");
        assert_eq!(file.as_os_str().len(), length);
        fs::write(&file, "[g]\nlong\n").unwrap();
        for (directive, named) in [("!include", &file), ("!includedir", &folder)] {
            let main = format!("[g]\n{directive} {}\n", named.display());
            read.push(Case::new(&[("a.cnf", main.as_bytes())]).agree().unwrap());
        }
        let mut case = Case::new(&[("a.cnf", b"")]);
        case.args.defaults_file = Some(file);
        read.push(case.agree().unwrap());
    }
    assert!(read.iter().any(String::is_empty) && read.iter().any(|text| text == "--long\n"));
}

#[test]
#[ignore = "needs my_print_defaults"]
fn suffixes_come_from_the_flag_or_the_environment() {
    let text = b"[g]\na\n[gX]\nx\n[gY]\ny\n[otherX]\nox\n[Gx]\nlower\n[g]\nz\n";
    let both = [("MARIADB_GROUP_SUFFIX", "X"), ("MYSQL_GROUP_SUFFIX", "Y")];
    for (flag, env, lines) in [
        (None, &[][..], 2),
        (Some("X"), &[], 5),
        (Some("Y"), &both, 3),
        (Some(""), &both, 2),
        (None, &both, 5),
        (None, &both[1..], 3),
        (None, &[("MARIADB_GROUP_SUFFIX", ""), ("MYSQL_GROUP_SUFFIX", "Y")], 2),
    ] {
        let mut case = Case::new(&[("a.cnf", text)]);
        case.args.group_suffix = flag.map(str::to_owned);
        case.env = env.iter().map(|(name, text)| (*name, OsString::from(text))).collect();
        assert_eq!(case.agree().unwrap().lines().count(), lines, "{flag:?} {env:?}");
    }
}

#[test]
#[ignore = "needs my_print_defaults"]
fn the_default_places_are_searched_in_the_same_order() {
    let mut case = Case::new(&[
        ("extra.cnf", b"[g]\nextra\n!include ~/more.cnf\n"),
        ("home/.my.cnf", b"[g]\nhome\n"),
        ("home/more.cnf", b"[g]\nmore\n"),
        ("maria/my.cnf", b"[g]\nmaria\n"),
        ("mysql/my.cnf", b"[g]\nmysql\n"),
    ]);
    let place = case.path().to_owned();
    let within = |name: &str| place.join(name).into_os_string();
    let (home, maria, mysql) = (within("home"), within("maria/"), within("mysql"));
    case.args.defaults_extra_file = case.args.defaults_file.take();
    case.env = vec![("HOME", home.clone()), ("MYSQL_HOME", mysql)];
    assert_eq!(case.agree().unwrap(), "--mysql\n--extra\n--more\n--home\n");
    case.env.push(("MARIADB_HOME", maria));
    assert_eq!(case.agree().unwrap(), "--maria\n--extra\n--more\n--home\n");
    case.args.defaults_extra_file = None;
    case.env = vec![("HOME", home)];
    assert_eq!(case.agree().unwrap(), "--home\n");
    case.env =
        vec![("MARIADB_HOME", OsString::new()), ("MYSQL_HOME", within("mysql")), ("HOME", OsString::new())];
    assert_eq!(case.agree().unwrap(), "");
    case.env.clear();
    assert_eq!(case.agree().unwrap(), "");
    // The machine's own files, whatever they are.
    for groups in [&["mysqld", "server", "client-server"][..], &["mysqld_safe"], &["client"]] {
        assert_eq!(case.ours(groups), case.theirs(groups));
    }
}

/// Pieces of lines that mean something to the parser, and now and then any bytes.
fn fragment(directives: &[&'static str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let mut telling = vec![
        "[g]", "[other]", "[G ]", "[", "]", "=", "#", ";", "'", "\"", "\\", "\\n", "\\'", "\\\"", "\\s", " ",
        "\t", "\r", "\n", "\n[g]\n", "!", "name", "loose_x", "value", "à", "-", "_", "\u{a0}", "\0",
    ];
    telling.extend(directives);
    prop_oneof![
        8 => prop::sample::select(telling).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>().prop_filter("stands for the folder", |&b| b != b'@'), 0..4),
    ]
}

/// The text of a file: pure noise, or lines that look like options so that deep states are reached too.
fn text(directives: &[&'static str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let noise = prop::collection::vec(fragment(directives), 0..40).prop_map(|pieces| pieces.concat());
    let line = ("[ a-c_-]{0,6}", "( ?= ?)?", "[ \"'#\\\\a-dnst=]{0,12}", "(\n|\r\n)")
        .prop_map(|(name, equals, value, end)| format!("{name}{equals}{value}{end}").into_bytes());
    let lines = prop::collection::vec(line, 1..12).prop_map(|lines| lines.concat());
    prop_oneof![noise, lines].prop_map(|text| [b"[g]\n".to_vec(), text].concat())
}

const FILE: &str = "\n!include @/b.cnf\n";
const FOLDER: &str = "\n!includedir @/d\n";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[ignore = "needs my_print_defaults"]
    fn any_files_read_the_same(main in text(&[FILE, FOLDER]), included in text(&[FOLDER]), in_folder in text(&[])) {
        let case = Case::new(&[("a.cnf", &main), ("b.cnf", &included), ("d/c.cnf", &in_folder)]);
        prop_assert_eq!(case.ours(&["g"]), case.theirs(&["g"]));
    }
}
