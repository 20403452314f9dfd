//! `ls`: the files of a backup, from its index. The archive is not opened.
//!
//! `--json` gives `id` and `files`, in the order of the archive: `path` and `target` (as in the index: bytes that are not
//! UTF-8 are `%XX`, `%` is `%25`), `type` (`file`, `directory`, `symlink`, `generated`), `size`, `mtime`, and `origin` of what
//! lay outside the data directory.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::id_args::IdArgs;
use super::whole_archive::whole_only;
use super::{CommandError, CommonArgs, print, print_json, removed};
use crate::model::{BackupId, Member, MemberKind, matches};
use crate::ui::{Align, Table, TextPage, bytes, grouped, time};

/// Arguments of `ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    #[command(flatten)]
    id: IdArgs,
    /// Only paths like this, e.g. 'db/*' or '*.ibd'; * is any text, also with /, ? one character; repeatable
    #[arg(long = "match", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `ls`.
pub fn run(args: &LsArgs) -> Result<(), CommandError> {
    let selector = args.id.selector()?;
    let context = args.common.context()?;
    let source = context.find(&selector)?;
    whole_only(&source, "'ls'")?;
    let source = context.with_keys(source)?;
    let index = match source.read_index() {
        Err(_) if source.is_removed() => return Err(removed(&source)),
        index => index?,
    };
    let patterns = &args.patterns;
    let is_wanted = |member: &&Member| {
        patterns.is_empty()
            || patterns.iter().any(|pattern| matches(pattern.as_bytes(), member.path.as_bytes()))
    };
    let members: Vec<&Member> = index.members.iter().filter(is_wanted).collect();
    let id = &source.manifest().id;
    if args.json { print_json(&as_json(id, &members)) } else { print(&as_text(id, &members)) }
}

fn as_text(id: &BackupId, members: &[&Member]) -> TextPage {
    if members.is_empty() {
        return TextPage::of(format!("Nothing in backup {id} matches."));
    }
    let columns =
        [("TYPE", Align::Left), ("SIZE", Align::Right), ("MODIFIED", Align::Left), ("PATH", Align::Left)];
    let mut table = Table::new(&columns);
    for member in members {
        let size = if has_content(member) { bytes(member.size) } else { "-".into() };
        let mut path = member.path.to_string();
        if let Some(target) = &member.target {
            path.push_str(&format!(" -> {target}"));
        }
        if let Some(origin) = &member.origin {
            path.push_str(&format!(" (from {}, {})", origin.path, origin.variable));
        }
        let modified = modified(member).map_or_else(|| "-".into(), time);
        table.row(vec![kind(member.kind).into(), size, modified, path]);
    }
    let files = members.iter().filter(|member| has_content(member));
    let (count, size) =
        files.fold((0_u64, 0_u64), |(count, size), file| (count + 1, size.saturating_add(file.size)));
    let mut page = TextPage::new();
    page.table(&table);
    page.blank();
    page.line(format!("{} files, {}", grouped(count), bytes(size)));
    page
}

fn has_content(member: &Member) -> bool {
    matches!(member.kind, MemberKind::File | MemberKind::Generated | MemberKind::Pages)
}

fn kind(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::File => "file",
        MemberKind::Directory => "directory",
        MemberKind::Symlink => "symlink",
        MemberKind::Generated => "generated",
        MemberKind::Pages => "pages",
    }
}

/// None for a time that no calendar has.
fn modified(member: &Member) -> Option<Timestamp> {
    Timestamp::new(member.mtime, i32::try_from(member.mtime_nsec).ok()?).ok()
}

fn as_json(id: &BackupId, members: &[&Member]) -> Value {
    let file = |member: &&Member| {
        json!({
            "path": member.path,
            "type": kind(member.kind),
            "size": member.size,
            "mtime": modified(member),
            "target": member.target,
            "origin": member.origin,
        })
    };
    json!({ "id": id, "files": members.iter().map(file).collect::<Vec<_>>() })
}
