//! The sessions that this process has open: who looks for those that hold something up does not blame its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Endpoint;

static OPEN: Mutex<Vec<(Endpoint, u32)>> = Mutex::new(Vec::new());

fn open() -> MutexGuard<'static, Vec<(Endpoint, u32)>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number that a server has given to a session of this process, known as such until this is dropped.
pub(super) struct OwnSession {
    endpoint: Endpoint,
    id: u32,
}

impl OwnSession {
    pub(super) fn new(endpoint: &Endpoint, id: u32) -> Self {
        open().push((endpoint.clone(), id));
        Self { endpoint: endpoint.clone(), id }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Every session of this process with the same server.
    pub(super) fn all(&self) -> Vec<u32> {
        open().iter().filter(|(endpoint, _)| *endpoint == self.endpoint).map(|(_, id)| *id).collect()
    }
}

impl Drop for OwnSession {
    fn drop(&mut self) {
        let mut open = open();
        if let Some(place) = open.iter().position(|one| *one == (self.endpoint.clone(), self.id)) {
            open.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_while_it_is_open_and_at_its_own_server() {
        let of = |socket: &str| Endpoint::Socket(socket.into());
        let first = OwnSession::new(&of("/own/a"), 7);
        let second = OwnSession::new(&of("/own/a"), 9);
        let other = OwnSession::new(&of("/own/b"), 7);
        assert_eq!((first.all(), other.all()), (vec![7, 9], vec![7]));
        drop(first);
        assert_eq!((second.all(), other.all(), second.id()), (vec![9], vec![7], 9));
    }
}
