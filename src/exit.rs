//! Exit statuses, all of them.
//!
//! Operators' commands follow design.md. The donor role uses the numbers of the stock SST scripts,
//! which are those of errno; mysqld only logs them, because `done` has decided before.

/// Done.
pub const DONE: u8 = 0;
/// It failed.
pub const FAILED: u8 = 1;
/// Wrong usage or configuration.
pub const USAGE: u8 = 2;
/// No such backup.
pub const NOT_FOUND: u8 = 3;
/// The backup is damaged.
pub const DAMAGED: u8 = 4;

/// A program that is there could not be started in the place of this one, as in a shell.
pub const NOT_RUNNABLE: u8 = 126;
/// It is not there.
pub const NO_PROGRAM: u8 = 127;

/// Donor role: stopped by a signal (EINTR).
pub const EINTR: u8 = 4;
/// Donor role: something could not be read or stored (EIO).
pub const EIO: u8 = 5;
/// Donor role: bad argument, configuration or unsupported role (EINVAL).
pub const EINVAL: u8 = 22;
/// Donor role: the repository is full (ENOSPC).
pub const ENOSPC: u8 = 28;
/// Donor role: mysqld has gone away (EPIPE).
pub const EPIPE: u8 = 32;
/// Donor role: a time limit (ETIMEDOUT).
pub const ETIMEDOUT: u8 = 110;
/// Donor role: another state transfer of the same data directory runs, or no other member of the cluster would be left for
/// the clients (EALREADY).
pub const EALREADY: u8 = 114;
/// Donor role: the server could not be frozen; the stock script's own number.
pub const NOT_FROZEN: u8 = 255;
