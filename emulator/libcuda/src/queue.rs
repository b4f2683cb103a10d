//! Queues of work: one per stream, with dependencies between them.
//!
//! Work is enqueued, and runs when a thread runs its queue up to it. In the eager mode that is the
//! thread that enqueues it, at once. In the lazy mode it is the first thread that has to wait for
//! it, and that thread runs nothing else than what the work depends on.
//!
//! Dependencies point only to work that is enqueued already, so they have no cycle: among the
//! threads that run queues, the one with the oldest work never waits for another.

use crate::errors::diagnose;
use crate::host_function;
use crate::sync::lock;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::ThreadId;

/// The work of one stream, in order. It outlives its stream while something in it has not run.
#[derive(Default)]
pub(crate) struct Queue {
    /// Whether it and the legacy default stream wait for one another.
    blocking: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Piece>,
    /// Pieces that were ever enqueued.
    enqueued: u64,
    /// Pieces that have ended.
    done: u64,
    /// Whether a thread runs a piece.
    running: bool,
}

/// A piece of work.
struct Piece {
    after: Vec<Point>,
    run: Run,
}

type Function = Box<dyn FnOnce() + Send>;

enum Run {
    /// Work of the device, by the thread that needs it done.
    Here(Function),
    /// A host function, on a thread of its own. In the eager mode that thread goes on with the host
    /// functions after it.
    Apart { function: Function, eager: bool },
}

/// A place in a queue: reached when the first `count` pieces have ended.
#[derive(Clone)]
pub(crate) struct Point {
    queue: Arc<Queue>,
    count: u64,
}

impl Point {
    /// Whether everything up to it has ended.
    pub(crate) fn is_reached(&self) -> bool {
        lock(&self.queue.state).done >= self.count
    }

    /// Runs everything up to it, and what that depends on; waits for what other threads run.
    pub(crate) fn reach(&self) {
        let queue = &self.queue;
        loop {
            let mut state = lock(&queue.state);
            if state.done >= self.count {
                return;
            }
            match state.take() {
                Some(piece) => {
                    drop(state);
                    queue.run(piece);
                }
                None => {
                    // The next piece may run already when this thread wakes: it may wait for this
                    // thread, so its end is nothing to wait for.
                    let missing = |state: &mut State| state.running && state.done < self.count;
                    let woken = queue.changed.wait_while(state, missing);
                    drop(woken.unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// Runs the first piece on the way to it that can run; never waits.
    pub(crate) fn approach(&self) {
        let mut state = lock(&self.queue.state);
        if state.done >= self.count || state.running {
            return;
        }
        let Some(first) = state.waiting.front() else { return };
        if let Some(before) = first.after.iter().find(|point| !point.is_reached()).cloned() {
            drop(state);
            return before.approach();
        }
        if let Some(piece) = state.take() {
            drop(state);
            self.queue.run(piece);
        }
    }
}

impl State {
    /// Takes the first piece out to run it, unless another one runs.
    fn take(&mut self) -> Option<Piece> {
        if self.running {
            return None;
        }
        let piece = self.waiting.pop_front()?;
        self.running = true;
        Some(piece)
    }
}

impl Queue {
    /// An empty queue.
    pub(crate) fn new(blocking: bool) -> Self {
        Queue { blocking, ..Queue::default() }
    }

    /// Whether it and the legacy default stream wait for one another.
    pub(crate) fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// Whether everything in it has ended.
    pub(crate) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.done == state.enqueued
    }

    /// The end of what has been enqueued up to now.
    pub(crate) fn end(self: &Arc<Self>) -> Point {
        Point { queue: self.clone(), count: lock(&self.state).enqueued }
    }

    /// Enqueues a piece behind the others, to run when the points are reached too.
    fn push(self: &Arc<Self>, after: Vec<Point>, run: Run) -> Point {
        let mut state = lock(&self.state);
        state.waiting.push_back(Piece { after, run });
        state.enqueued += 1;
        Point { queue: self.clone(), count: state.enqueued }
    }

    /// Enqueues work of the device.
    pub(crate) fn push_work(
        self: &Arc<Self>,
        after: Vec<Point>,
        work: impl FnOnce() + Send + 'static,
    ) -> Point {
        self.push(after, Run::Here(Box::new(work)))
    }

    /// Enqueues a host function; in the eager mode it begins as soon as what precedes it has ended.
    pub(crate) fn push_host_function(
        self: &Arc<Self>,
        after: Vec<Point>,
        function: impl FnOnce() + Send + 'static,
        eager: bool,
    ) -> Point {
        let point = self.push(after, Run::Apart { function: Box::new(function), eager });
        if eager && let Some(piece) = self.take_apart() {
            self.run(piece);
        }
        point
    }

    /// Takes the first piece out to run it, if it is a host function.
    fn take_apart(&self) -> Option<Piece> {
        let mut state = lock(&self.state);
        let is_apart = matches!(state.waiting.front(), Some(Piece { run: Run::Apart { .. }, .. }));
        if is_apart { state.take() } else { None }
    }

    /// Runs a piece that was taken out, or starts its thread.
    fn run(self: &Arc<Self>, piece: Piece) {
        match piece.run {
            Run::Here(function) => {
                piece.after.iter().for_each(Point::reach);
                let end = End(self);
                function();
                drop(end);
            }
            Run::Apart { function, eager } => {
                let queue = self.clone();
                let run = move || queue.run_apart(piece.after, function, eager);
                let name = "parans-host-function".to_owned();
                if std::thread::Builder::new().name(name).spawn(run).is_err() {
                    diagnose("a host function was dropped: no thread for it");
                    drop(End(self));
                }
            }
        }
    }

    /// The thread of a host function.
    fn run_apart(self: &Arc<Self>, after: Vec<Point>, function: Function, eager: bool) {
        let mut next = Some((after, function));
        while let Some((after, function)) = next {
            after.iter().for_each(Point::reach);
            let end = End(self);
            host_function::run(function);
            drop(end);
            next = None;
            if eager && let Some(piece) = self.take_apart() {
                let Piece { after, run: Run::Apart { function, .. } } = piece else { return };
                next = Some((after, function));
            }
        }
    }
}

/// Ends the piece that runs when it is dropped, even if the piece panics.
struct End<'a>(&'a Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.running = false;
        state.done += 1;
        self.0.changed.notify_all();
    }
}

/// The queues of one context: that of the legacy default stream, and those of all others, of
/// destroyed streams too while they are not empty.
#[derive(Default)]
pub(crate) struct Queues {
    legacy: Arc<Queue>,
    others: Mutex<Vec<Arc<Queue>>>,
    per_thread: Mutex<HashMap<ThreadId, Arc<Queue>>>,
}

impl Queues {
    /// The queue of the legacy default stream.
    pub(crate) fn legacy(&self) -> &Arc<Queue> {
        &self.legacy
    }

    /// A queue for a new stream.
    pub(crate) fn add(&self, blocking: bool) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(blocking));
        let mut others = lock(&self.others);
        // Those of destroyed streams are held by nobody else.
        others.retain(|queue| Arc::strong_count(queue) > 1 || !queue.is_idle());
        others.push(queue.clone());
        queue
    }

    /// The queue of this thread's default stream, which is blocking.
    pub(crate) fn of_this_thread(&self) -> Arc<Queue> {
        let mut all = lock(&self.per_thread);
        // Those of threads that have ended, too: they are held here and among the others.
        all.retain(|_, queue| Arc::strong_count(queue) > 2 || !queue.is_idle());
        all.entry(std::thread::current().id()).or_insert_with(|| self.add(true)).clone()
    }

    /// The ends of the queues that `wanted` picks, the last created one first.
    fn ends(&self, wanted: impl Fn(&Queue) -> bool) -> Vec<Point> {
        let others = lock(&self.others);
        others.iter().rev().filter(|queue| wanted(queue)).map(Queue::end).collect()
    }

    /// What a thread waits for that waits for the legacy default stream: that stream and all
    /// blocking ones.
    pub(crate) fn joined(&self) -> Vec<Point> {
        let mut points = self.ends(Queue::is_blocking);
        points.push(self.legacy.end());
        points
    }

    /// Runs everything, the last created stream first.
    pub(crate) fn run_all(&self) {
        self.ends(|_| true).iter().for_each(Point::reach);
        self.legacy.end().reach();
    }

    /// What new work of a queue depends on, besides the work before it in the queue.
    pub(crate) fn before(&self, queue: &Arc<Queue>) -> Vec<Point> {
        let mut points = if Arc::ptr_eq(queue, &self.legacy) {
            self.ends(Queue::is_blocking)
        } else if queue.is_blocking() {
            vec![self.legacy.end()]
        } else {
            Vec::new()
        };
        points.retain(|point| !point.is_reached());
        points
    }
}
