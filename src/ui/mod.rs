//! What people see: units, tables, progress bars, log lines. Nothing below `commands` prints; `check` and `report` word
//! what they have found with the units.

mod live;
mod log_lines;
mod progress;
mod shell;
mod spark;
mod table;
mod units;

pub use live::Live;
pub use log_lines::{init_donor, init_operator};
pub use progress::Bar;
pub use shell::shell_word;
pub use spark::{Screen, spark};
pub use table::{Align, Table};
pub use units::{bytes, duration_ms, grouped, time};
