//! What people see: pages, tables, units, progress bars, log lines. Nothing below `commands` prints; `check` and `report` word
//! what they have found with the units. Everything that is printed becomes harmless for a terminal here ([`visible`]).

mod live;
mod log_lines;
mod page;
mod progress;
mod shell;
mod spark;
mod table;
mod units;
mod visible;

pub use live::LiveLines;
pub use log_lines::{init_donor, init_operator};
pub use page::TextPage;
pub use progress::ByteBar;
pub use shell::{move_away, shell_word};
pub use spark::{Screen, spark};
pub use table::{Align, Table};
pub use units::{bytes, duration_ms, grouped, time};
pub use visible::{is_harmless, visible, visible_json};
