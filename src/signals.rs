//! Signals that whoever has started this program has it ignore: `nohup` does so with SIGHUP.

use std::fs;

/// Whether this process ignores a signal, because it was started so. Who takes such a signal all the same undoes what was wanted.
pub fn is_ignored(signal: i32) -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| is_in(&status, signal))
}

/// `SigIgn:` has a bit for each signal, the first one for signal 1 (`man 5 proc`).
fn is_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal - 1).ok().and_then(|bit| mask.checked_shr(bit)).is_some_and(|rest| rest & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_has_a_bit_for_each_signal() {
        let status = "Name:\tx\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n";
        assert!(is_in(status, 1) && is_in(status, 13));
        assert!(!is_in(status, 2) && !is_in(status, 0) && !is_in(status, 64) && !is_in("", 1));
        // Rust's runtime ignores it.
        assert!(is_ignored(nix::sys::signal::Signal::SIGPIPE as i32));
    }
}
