//! Great records are read and parsed one at a time, over all files: each takes many times its size meanwhile.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::ThreadId;

/// Whose turn it is. The same thread may take it more than once.
#[derive(Debug, Default)]
pub struct Turn {
    holder: Mutex<Option<(ThreadId, usize)>>,
    freed: Condvar,
}

/// A turn, until it is dropped by the thread that took it.
#[derive(Debug)]
pub struct Taken(Arc<Turn>);

impl Turn {
    /// Waits for it.
    pub fn take(self: &Arc<Self>) -> Taken {
        let own = std::thread::current().id();
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let mut holder = self.freed.wait_while(holder, |holder| holder.is_some_and(|(thread, _)| thread != own)).unwrap_or_else(PoisonError::into_inner);
        *holder = Some((own, holder.map_or(1, |(_, times)| times + 1)));
        Taken(Arc::clone(self))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut holder = self.0.holder.lock().unwrap_or_else(PoisonError::into_inner);
        *holder = holder.and_then(|(thread, times)| (times > 1).then_some((thread, times - 1)));
        if holder.is_none() {
            self.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_thread_at_a_time_and_again_within() {
        let (turn, inside) = (Arc::new(Turn::default()), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _outer = turn.take();
                        let _inner = turn.take();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
