//! Ctrl-C and its like, as commands take them.

use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::signals;

/// Those that end a command; one that it was started to ignore (`nohup`) does not.
fn ends() -> impl Iterator<Item = i32> {
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !signals::is_ignored(*signal))
}

/// A flag that Ctrl-C, SIGTERM and SIGHUP set, so that a long command ends in good order. The second of them ends the process
/// as if nobody had caught it, whatever it does: a call that writes may hang, and cannot be cut off.
pub(super) fn interruption() -> Arc<AtomicBool> {
    let set = Arc::new(AtomicBool::new(false));
    for signal in ends() {
        // In this order: the first signal finds the flag not set yet.
        let _ = flag::register_conditional_default(signal, Arc::clone(&set));
        let _ = flag::register(signal, Arc::clone(&set));
    }
    set
}

/// The same, and a second signal does not end the process: it would leave a node desynced.
pub(super) fn interruption_only() -> Arc<AtomicBool> {
    let set = Arc::new(AtomicBool::new(false));
    for signal in ends() {
        let _ = flag::register(signal, Arc::clone(&set));
    }
    set
}

/// Lets them end a command that does nothing about them, also where it is the first process of a container: to that one
/// the kernel gives no signal but those that it has asked for. The exit status is that of a shell, 128 and the signal's number.
pub(crate) fn let_first_process_end() {
    if process::id() != 1 {
        return;
    }
    let always = Arc::new(AtomicBool::new(true));
    for signal in ends() {
        let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&always));
    }
}
