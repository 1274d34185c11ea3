//! Waits for sockets or a point in time. epoll itself counts in milliseconds, which is ten updates at 10,000 a second,
//! so the time comes from a timerfd.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use crate::clock::FIRST_NS;

/// The most events taken at once.
const EVENTS_MAX: usize = 128;
const TIMER: u64 = u64::MAX;

/// What a socket is ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) key: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

pub(crate) struct Poll {
    set: OwnedFd,
    timer: OwnedFd,
    armed_ns: u64,
    events: Vec<epoll::Event>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // Edge-triggered: reported once per expiration, because nothing reads it.
        epoll::add(&set, &timer, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        Ok(Self { set, timer, armed_ns: 0, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a socket for as long as it is open; with `writable` also for room to write.
    pub(crate) fn add(&self, socket: impl AsFd, key: u64, writable: bool) -> io::Result<()> {
        Ok(epoll::add(&self.set, socket, epoll::EventData::new_u64(key), flags(writable))?)
    }

    pub(crate) fn change(&self, socket: impl AsFd, key: u64, writable: bool) -> io::Result<()> {
        Ok(epoll::modify(&self.set, socket, epoll::EventData::new_u64(key), flags(writable))?)
    }

    /// Stops reporting this socket until it is changed.
    pub(crate) fn pause(&self, socket: impl AsFd, key: u64) -> io::Result<()> {
        Ok(epoll::modify(&self.set, socket, epoll::EventData::new_u64(key), epoll::EventFlags::empty())?)
    }

    /// Waits until something is ready or the time has come.
    pub(crate) fn wait(&mut self, until_ns: u64, now_ns: u64, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        let at_once = until_ns <= now_ns;
        if !at_once && self.armed_ns != until_ns {
            let ns = until_ns - FIRST_NS;
            let at = Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
            let once = Itimerspec { it_interval: Timespec::default(), it_value: at };
            timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
            self.armed_ns = until_ns;
        }
        let zero = Timespec::default();
        match epoll::wait(&self.set, spare_capacity(&mut self.events), at_once.then_some(&zero)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            // The fields of a packed struct have to be copied out before use.
            let (flags, data) = (event.flags, event.data);
            if data.u64() == TIMER {
                self.armed_ns = 0;
                continue;
            }
            ready.push(Ready {
                key: data.u64(),
                readable: flags.intersects(
                    epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR | epoll::EventFlags::RDHUP,
                ),
                writable: flags.intersects(epoll::EventFlags::OUT),
            });
        }
        Ok(())
    }
}

fn flags(writable: bool) -> epoll::EventFlags {
    if writable { epoll::EventFlags::IN | epoll::EventFlags::OUT } else { epoll::EventFlags::IN }
}
