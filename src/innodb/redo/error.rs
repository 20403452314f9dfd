//! Why a redo log is not understood.

use std::io;

use thiserror::Error;

/// Why a redo log is not understood, or not believed.
#[derive(Debug, Error)]
pub enum RedoError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Of another release.
    #[error("{}", other_format(*.0))]
    Format(u32),
    /// Its numbers of pages are hidden with the rest.
    #[error("it is encrypted (innodb_encrypt_log)")]
    Encrypted,
    /// Header or size.
    #[error("its header is not what a server writes: {0}")]
    Head(&'static str),
    /// A server would not start from it either.
    #[error("neither of its two checkpoints is whole")]
    NoCheckpoint,
    /// What a checkpoint promises is not there.
    #[error(
        "behind its checkpoint at LSN {checkpoint} the log ends at LSN {end}, before the record that belongs to that checkpoint"
    )]
    Short {
        /// The checkpoint.
        checkpoint: u64,
        /// Where the log ends.
        end: u64,
    },
    /// A damaged place, or a log that is written to while it is read.
    #[error("at LSN {end} is no mini-transaction, but there is one behind it, at LSN {later}")]
    Gap {
        /// The first thing that is none.
        end: u64,
        /// The next one that is.
        later: u64,
    },
    /// It would not be worth it.
    #[error("more than {0} bytes of it lie behind its checkpoint")]
    Long(u64),
    /// What was read of it before belongs to another log.
    #[error("{0}")]
    Other(String),
}

/// `log_t::FORMAT_10_5`, and the same encrypted.
const OF_10_5: [u32; 2] = [0x5048_5953, 0xd048_5953];

/// What is said of a format that is not understood.
fn other_format(format: u32) -> String {
    let whose = if OF_10_5.contains(&format) {
        "that of MariaDB 10.5 to 10.7; those of 10.8 and later are understood"
    } else {
        "none of those that this program understands (MariaDB 10.8 and later)"
    };
    format!("its format 0x{format:08x} is {whose}")
}
