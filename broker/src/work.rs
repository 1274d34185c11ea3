//! Does long work in portions, one at a time.
//!
//! HTTP runs on one thread: accepting, handshakes, cheap requests, and expensive ones: listings, histories, bodies with
//! thousands of updates, answers of megabytes. Before each portion an expensive request waits for its turn. Turns are
//! given in the order in which they were requested, and the thread looks at its sockets and timers between any two of
//! them. So however many such requests there are, a new client waits for about one portion of them, and they share the
//! rest of the thread's time equally.

use tokio::sync::Semaphore;

/// The turns of one kind of work.
#[derive(Debug)]
pub struct Work {
    next: Semaphore,
}

impl Default for Work {
    fn default() -> Self {
        Self { next: Semaphore::new(1) }
    }
}

impl Work {
    /// Waits for a turn. The work until the next await should take at most a few hundred microseconds.
    pub(crate) async fn turn(&self) {
        // The semaphore is never closed.
        let next = self.next.acquire().await;
        // Held until the thread has looked at its sockets, so that the next turn begins after another look.
        tokio::task::yield_now().await;
        drop(next);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn turns_go_round() {
        let (work, log) = (Rc::new(Work::default()), Rc::new(RefCell::new(Vec::new())));
        let tasks = LocalSet::new();
        for worker in 0..3 {
            let (work, log) = (work.clone(), log.clone());
            tasks.spawn_local(async move {
                for _ in 0..4 {
                    work.turn().await;
                    log.borrow_mut().push(worker);
                }
            });
        }
        tasks.await;
        assert_eq!(*log.borrow(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    /// Returns how many turns are given until a connecting client is accepted, while `workers` take turns without a
    /// pause.
    async fn turns_until_accepted(workers: usize) -> usize {
        let (work, turns) = (Rc::new(Work::default()), Rc::new(RefCell::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = LocalSet::new();
        for _ in 0..workers {
            let (work, turns) = (work.clone(), turns.clone());
            tasks.spawn_local(async move {
                loop {
                    work.turn().await;
                    *turns.borrow_mut() += 1;
                }
            });
        }
        let connecting = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let before = *turns.borrow();
            let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
            let _connection = (client.unwrap(), accepted.unwrap());
            *turns.borrow() - before
        };
        tasks.run_until(connecting).await
    }

    #[tokio::test]
    async fn a_new_client_waits_for_a_few_turns_however_many_workers_want_one() {
        for workers in [1, 1000] {
            let turns = turns_until_accepted(workers).await;
            assert!(turns <= 10, "{turns} turns of {workers} workers came first");
        }
    }
}
