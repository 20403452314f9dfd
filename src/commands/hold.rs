//! `hold` and `release`: a backup that `prune` leaves alone, and one that it does not any more.

use clap::Args;
use jiff::Timestamp;

use super::id_args::IdArgs;
use super::{CommandError, CommonArgs, print, who};
use crate::catalog::HoldState;
use crate::model::Hold;
use crate::ui::TextPage;

/// Arguments of `hold`.
#[derive(Debug, Args)]
pub struct HoldArgs {
    #[command(flatten)]
    id: IdArgs,
    /// Why it is held
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Arguments of `release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    id: IdArgs,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `hold`.
pub fn hold(args: &HoldArgs) -> Result<(), CommandError> {
    let selector = args.id.selector()?;
    let context = args.common.context()?;
    let source = context.find_intact(&selector)?;
    let id = &source.manifest().id;
    // A line each in 'list' and in the plan of 'prune'.
    let note = args.note.as_deref().map(|note| note.split_whitespace().collect::<Vec<_>>().join(" "));
    let hold = Hold { held: Timestamp::now(), by: who(), note: note.filter(|note| !note.is_empty()) };
    let before = source.held();
    source.hold(&hold)?;
    let mut page = TextPage::of(format!("Backup {id} is {}.", HoldState::By(hold).words()));
    if let Some(before) = before {
        page.line(format!("Before, it was {}.", before.words()));
    }
    print(&page)
}

/// Runs `release`.
pub fn release(args: &ReleaseArgs) -> Result<(), CommandError> {
    let selector = args.id.selector()?;
    let context = args.common.context()?;
    let source = context.find(&selector)?;
    let id = &source.manifest().id;
    let Some(held) = source.held() else {
        return print(&TextPage::of(format!("Backup {id} is not held.")));
    };
    source.release()?;
    print(&TextPage::of(format!("Backup {id} is released; it was {}.", held.words())))
}
