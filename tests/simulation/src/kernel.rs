//! Virtual time: what happens next, and the tasks that wait for it.
//!
//! One thread, one heap, ties broken by the order of entry: the same seed gives the same run.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use crate::world::World;

/// Microseconds since the start of the run.
pub(crate) type Micros = u64;

/// A task that lives in virtual time: an invocation of a function, or a client.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Which task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(pub(crate) u64);

/// A run takes some 24 000 on average.
const STEPS_MAX: u64 = 50_000_000;

type Deed = Box<dyn FnOnce(&mut World) + Send>;

enum Job {
    Do(Deed),
    Poll(TaskId),
}

struct Due {
    at: Micros,
    order: u64,
    job: Job,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The earliest is the greatest: the heap gives it first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What is still to happen, in order.
#[derive(Default)]
pub(crate) struct Agenda {
    now: Micros,
    entered: u64,
    due: BinaryHeap<Due>,
    tasks: u64,
    spawned: Vec<(TaskId, Task)>,
    ended: Vec<TaskId>,
}

impl Agenda {
    /// The present.
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Lets something happen this much later.
    pub(crate) fn after(&mut self, delay: Micros, deed: impl FnOnce(&mut World) + Send + 'static) {
        self.enter(delay, Job::Do(Box::new(deed)));
    }

    /// Wakes a task this much later.
    pub(crate) fn wake(&mut self, task: TaskId, delay: Micros) {
        self.enter(delay, Job::Poll(task));
    }

    /// A number for a task about to be spawned.
    pub(crate) fn next_task(&mut self) -> TaskId {
        self.tasks = self.tasks.saturating_add(1);
        TaskId(self.tasks)
    }

    /// Starts a task.
    pub(crate) fn spawn(&mut self, id: TaskId, task: Task) {
        self.spawned.push((id, task));
        self.wake(id, 0);
    }

    /// Ends a task where it waits, whatever it waits for.
    pub(crate) fn kill(&mut self, id: TaskId) {
        self.ended.push(id);
    }

    fn enter(&mut self, delay: Micros, job: Job) {
        self.entered = self.entered.saturating_add(1);
        self.due.push(Due { at: self.now.saturating_add(delay), order: self.entered, job });
    }

    fn next(&mut self) -> Option<Job> {
        let due = self.due.pop()?;
        self.now = due.at;
        Some(due.job)
    }
}

/// The world as tasks reach it.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Mutex<World>>);

/// The world as it reaches itself, to hand itself to the tasks it spawns.
#[derive(Clone)]
pub(crate) struct Root(Weak<Mutex<World>>);

impl Root {
    /// The handle. None once the run is over.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.0.upgrade().map(Handle)
    }
}

impl Handle {
    /// A world made by `make`, which is told how it reaches itself.
    pub(crate) fn new(make: impl FnOnce(Root) -> World) -> Self {
        Self(Arc::new_cyclic(|weak| Mutex::new(make(Root(weak.clone())))))
    }

    /// The world. Never held over an await: the kernel is one thread.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until nothing is left to happen or `is_over` says so. False when it was given up: then virtual time
    /// may stand still, and would for ever.
    pub(crate) fn run(&self, is_over: impl Fn(&World) -> bool) -> bool {
        let mut tasks: BTreeMap<TaskId, Task> = BTreeMap::new();
        for _ in 0..STEPS_MAX {
            let (ended, next) = {
                let mut world = self.world();
                tasks.extend(world.agenda.spawned.drain(..));
                if is_over(&world) {
                    return true;
                }
                (std::mem::take(&mut world.agenda.ended), world.agenda.next())
            };
            for task in ended {
                tasks.remove(&task);
            }
            match next {
                None => return true,
                Some(Job::Do(deed)) => deed(&mut self.world()),
                Some(Job::Poll(id)) => poll(&mut tasks, id),
            }
        }
        false
    }
}

fn poll(tasks: &mut BTreeMap<TaskId, Task>, id: TaskId) {
    let Some(task) = tasks.get_mut(&id) else {
        return;
    };
    if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        tasks.remove(&id);
    }
}

/// Waits in virtual time. Cancelling it leaves nothing behind but a wake-up that finds nobody.
pub(crate) struct Sleep {
    handle: Handle,
    task: TaskId,
    delay: Micros,
    until: Option<Micros>,
}

impl Sleep {
    /// A wait of this length for this task.
    pub(crate) fn new(handle: &Handle, task: TaskId, delay: Micros) -> Self {
        Self { handle: handle.clone(), task, delay, until: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let (task, delay) = (self.task, self.delay);
        let until = self.until;
        let mut world = self.handle.world();
        let now = world.agenda.now();
        match until {
            Some(until) if now >= until => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                world.agenda.wake(task, delay);
                drop(world);
                self.until = Some(now.saturating_add(delay));
                Poll::Pending
            }
        }
    }
}
