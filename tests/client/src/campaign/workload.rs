//! The load: transfers, single flights and list appends, by two clients as if they were two processes.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use steadfast_client::{
    Cause, Client, Error, Event, Isolation, Key, Limits, Options, Outcome, Replay, StatementError, Step, Tx,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{CampaignError, Shared};
use crate::cluster::{Payments, limits};
use crate::history::{Element, List, Operation, Told};

const CLIENTS: usize = 2;
const TRANSFERERS: usize = 3;
const SENDERS: usize = 1;
const APPENDERS: usize = 4;
const READERS: usize = 1;
/// Lists of one round; fresh ones for each, so that none grows long.
const LISTS: i32 = 6;
const THINK: Duration = Duration::from_millis(2);

/// Counts acknowledgements and the longest gap between two.
pub(super) struct Progress {
    count: watch::Sender<u64>,
    gap: Mutex<(Instant, Duration)>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { count: watch::Sender::new(0), gap: Mutex::new((Instant::now(), Duration::ZERO)) }
    }
}

impl Progress {
    fn acknowledged(&self) {
        let mut gap = self.gap.lock().unwrap_or_else(PoisonError::into_inner);
        *gap = (Instant::now(), gap.1.max(gap.0.elapsed()));
        drop(gap);
        self.count.send_modify(|count| *count += 1);
    }

    /// Waits for so many more; false when they do not come.
    pub(super) async fn more(&self, limit: Duration, count: u64) -> bool {
        let mut seen = self.count.subscribe();
        let goal = *seen.borrow() + count;
        matches!(tokio::time::timeout(limit, seen.wait_for(|count| *count >= goal)).await, Ok(Ok(_)))
    }

    /// From now on the longest gap counts.
    pub(super) fn watch(&self) {
        let mut gap = self.gap.lock().unwrap_or_else(PoisonError::into_inner);
        gap.1 = Duration::ZERO;
    }

    pub(super) fn longest(&self) -> Duration {
        self.gap.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// One transaction, as its client knows it.
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) told: Told,
    /// The attempt that was applied, as the client was told, and how many there were.
    pub(super) attempt: Option<(u32, u32)>,
    /// What each attempt did to lists, and under 0 what all of them mean to append.
    pub(super) operations: Operations,
    /// The words of what was not applied.
    pub(super) error: Option<String>,
}

/// By the number of the attempt.
pub(super) type Operations = BTreeMap<u32, Vec<Operation>>;

/// What all clients know.
#[derive(Default)]
pub(super) struct Diary {
    pub(super) entries: Vec<Entry>,
    /// For each key that was in doubt: how often, and what was decided.
    pub(super) doubts: HashMap<Key, (u64, Option<bool>)>,
    pub(super) reads: u64,
    pub(super) stale_reads: u64,
    pub(super) stalest: Duration,
    pub(super) fenced: u64,
    pub(super) replays: u64,
    pub(super) undecided_at_first: u64,
}

type Doubts = Arc<Mutex<HashMap<Key, (u64, Option<bool>)>>>;

/// The marks that were acknowledged, each with its moment.
#[derive(Default)]
struct Marks {
    highest: AtomicI64,
    times: Mutex<Vec<Instant>>,
}

/// Clients at work.
pub(super) struct Workload {
    clients: Vec<Client>,
    workers: JoinSet<Diary>,
    doubts: Doubts,
    fenced: Arc<AtomicU64>,
}

impl Workload {
    pub(super) fn start(payments: &Payments, shared: &Arc<Shared>) -> Result<Self, CampaignError> {
        let (doubts, fenced, marks) = (Doubts::default(), Arc::new(AtomicU64::new(0)), Arc::new(Marks::default()));
        let (mut clients, mut workers) = (Vec::new(), JoinSet::new());
        for _ in 0..CLIENTS {
            let (noted, refused) = (Arc::clone(&doubts), Arc::clone(&fenced));
            let config = payments.config().limits(Limits { sessions: 16, ..limits() });
            let config = config.on_event(move |event| note(event, &noted, &refused));
            let client = Client::start(config).map_err(|error| CampaignError::Client(error.to_string()))?;
            for _ in 0..TRANSFERERS {
                workers.spawn(transfers(client.clone(), Arc::clone(shared)));
            }
            for _ in 0..SENDERS {
                workers.spawn(flights(client.clone(), Arc::clone(shared)));
            }
            for _ in 0..APPENDERS {
                workers.spawn(appends(client.clone(), Arc::clone(shared)));
            }
            for _ in 0..READERS {
                workers.spawn(reads(client.clone(), Arc::clone(shared), Arc::clone(&marks)));
            }
            clients.push(client);
        }
        if let Some(client) = clients.first() {
            workers.spawn(mark(client.clone(), Arc::clone(shared), marks));
        }
        Ok(Self { clients, workers, doubts, fenced })
    }

    /// Lets every call come to its end, and asks once more for what is undecided.
    pub(super) async fn stop(mut self) -> Result<Diary, CampaignError> {
        let mut all = Diary::default();
        while let Some(diary) = self.workers.join_next().await {
            let diary = diary?;
            all.entries.extend(diary.entries);
            all.reads += diary.reads;
            all.stale_reads += diary.stale_reads;
            all.stalest = all.stalest.max(diary.stalest);
        }
        for entry in all.entries.iter_mut().filter(|entry| entry.told == Told::Nothing) {
            all.undecided_at_first += 1;
            if let Some(client) = self.clients.first()
                && let Ok(fate) = client.abandon(entry.key).await
            {
                entry.told = match fate {
                    steadfast_client::Fate::Applied => Told::Applied,
                    steadfast_client::Fate::Abandoned => Told::NotApplied,
                    steadfast_client::Fate::Open => Told::Nothing,
                };
            }
        }
        all.doubts = std::mem::take(&mut *self.doubts.lock().unwrap_or_else(PoisonError::into_inner));
        all.fenced = self.fenced.load(Ordering::Relaxed);
        all.replays = self.clients.iter().map(|client| client.coverage().replays).sum();
        Ok(all)
    }
}

fn note(event: &Event, doubts: &Doubts, fenced: &AtomicU64) {
    let mut doubts = doubts.lock().unwrap_or_else(PoisonError::into_inner);
    if let Event::InDoubt { key, .. } = event {
        doubts.entry(*key).or_default().0 += 1;
    } else if let Event::Decided { key, applied } = event {
        doubts.entry(*key).or_default().1 = Some(*applied);
    } else if let Event::Fenced { .. } = event {
        fenced.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sums that are small enough for any balance, between accounts in the order of their ids.
fn pair() -> (i32, i32) {
    let one = fastrand::i32(1..100);
    (one, fastrand::i32(one + 1..=100))
}

async fn transfers(client: Client, shared: Arc<Shared>) -> Diary {
    let mut diary = Diary::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let (key, runs) = (Key::fresh(), AtomicU32::new(0));
        let ((one, other), amount) = (pair(), fastrand::i64(1..50));
        let outcome = client
            .transaction(key, |tx| {
                let attempt = runs.fetch_add(1, Ordering::Relaxed) + 1;
                async move {
                    effect(&tx, key, attempt).await?;
                    let change = "UPDATE account SET balance = balance + $1 WHERE id = $2";
                    tx.execute(change, &[&-amount, &one]).await?;
                    tx.execute(change, &[&amount, &other]).await?;
                    Ok::<_, StatementError>(attempt)
                }
            })
            .await;
        diary.note(&shared, key, outcome, Operations::new());
        tokio::time::sleep(THINK).await;
    }
    diary
}

async fn effect(tx: &Tx, key: Key, attempt: u32) -> Result<(), StatementError> {
    let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
    tx.execute("INSERT INTO effect VALUES ($1, $2)", &[&key, &attempt]).await.map(drop)
}

async fn flights(client: Client, shared: Arc<Shared>) -> Diary {
    let mut diary = Diary::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let (key, (one, other)) = (Key::fresh(), pair());
        let change = "UPDATE account SET balance = balance + $1 WHERE id = $2";
        let steps = vec![
            Step::new("INSERT INTO effect VALUES ($1, 1)", vec![Box::new(key)]),
            Step::new(change, vec![Box::new(-1_i64), Box::new(one)]),
            Step::new(change, vec![Box::new(1_i64), Box::new(other)]),
        ];
        // Every attempt is the same: nothing tells which of them was applied.
        let outcome = client.send(key, steps).await;
        let outcome = outcome.map(|outcome| match outcome {
            Outcome::Applied { attempts, .. } => Outcome::Applied { value: 1, attempts },
            Outcome::AlreadyApplied { .. } => Outcome::AlreadyApplied { value: 1 },
        });
        diary.note(&shared, key, outcome, Operations::new());
        tokio::time::sleep(THINK).await;
    }
    diary
}

async fn appends(client: Client, shared: Arc<Shared>) -> Diary {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let options = Options { isolation: Isolation::Serializable, replay: Replay::Afresh, ..Options::default() };
    let mut diary = Diary::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let first = shared.round.load(Ordering::Relaxed).saturating_mul(LISTS);
        let plan: Vec<(List, Option<Element>)> = (0..fastrand::usize(1..=4))
            .map(|_| (first + fastrand::i32(0..LISTS), fastrand::bool().then(|| NEXT.fetch_add(1, Ordering::Relaxed))))
            .collect();
        let planned =
            plan.iter().filter_map(|(list, element)| element.map(|element| Operation::Append(*list, element)));
        let done = Mutex::new(Operations::from([(0, planned.collect())]));
        let (key, runs, plan, done) = (Key::fresh(), AtomicU32::new(0), &plan, &done);
        let outcome = client
            .transaction_with(key, &options, |tx| {
                let attempt = runs.fetch_add(1, Ordering::Relaxed) + 1;
                async move {
                    effect(&tx, key, attempt).await?;
                    let operations = carry_out(&tx, plan).await?;
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt, operations);
                    Ok::<_, StatementError>(attempt)
                }
            })
            .await;
        let operations = std::mem::take(&mut *done.lock().unwrap_or_else(PoisonError::into_inner));
        diary.note(&shared, key, outcome, operations);
        tokio::time::sleep(THINK).await;
    }
    diary
}

async fn carry_out(tx: &Tx, plan: &[(List, Option<Element>)]) -> Result<Vec<Operation>, StatementError> {
    let mut operations = Vec::with_capacity(plan.len());
    for (list, element) in plan {
        operations.push(match element {
            Some(element) => {
                let append = "INSERT INTO list VALUES ($1, ARRAY[$2::bigint]) \
                    ON CONFLICT (id) DO UPDATE SET elements = list.elements || excluded.elements";
                tx.execute(append, &[list, element]).await?;
                Operation::Append(*list, *element)
            }
            None => {
                let rows = tx.query("SELECT elements FROM list WHERE id = $1", &[list]).await?;
                Operation::Read(*list, rows.first().map(|row| row.get(0)).unwrap_or_default())
            }
        });
    }
    Ok(operations)
}

/// Raises a number, one acknowledged transaction after another.
async fn mark(client: Client, shared: Arc<Shared>, marks: Arc<Marks>) -> Diary {
    let mut diary = Diary::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let (key, next) = (Key::fresh(), marks.highest.load(Ordering::SeqCst) + 1);
        let runs = AtomicU32::new(0);
        let outcome = client
            .transaction(key, |tx| {
                let attempt = runs.fetch_add(1, Ordering::Relaxed) + 1;
                async move {
                    effect(&tx, key, attempt).await?;
                    tx.execute("UPDATE mark SET n = $1", &[&next]).await?;
                    Ok::<_, StatementError>(attempt)
                }
            })
            .await;
        if outcome.is_ok() {
            marks.times.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            marks.highest.store(next, Ordering::SeqCst);
        }
        diary.note(&shared, key, outcome, Operations::new());
        tokio::time::sleep(THINK).await;
    }
    diary
}

/// Reads the number outside of transactions: it must not be older than what was acknowledged before.
async fn reads(client: Client, shared: Arc<Shared>, marks: Arc<Marks>) -> Diary {
    let mut diary = Diary::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let (floor, asked) = (marks.highest.load(Ordering::SeqCst), Instant::now());
        if let Ok(session) = client.session().await
            && let Ok(row) = session.plain().query_typed_one("SELECT n FROM mark", &[]).await
        {
            diary.reads += 1;
            let read: i64 = row.get(0);
            if read < floor {
                diary.stale_reads += 1;
                let times = marks.times.lock().unwrap_or_else(PoisonError::into_inner);
                let next = usize::try_from(read).ok().and_then(|read| times.get(read).copied());
                diary.stalest =
                    diary.stalest.max(next.map_or(Duration::ZERO, |next| asked.saturating_duration_since(next)));
            }
        }
        tokio::time::sleep(THINK).await;
    }
    diary
}

impl Diary {
    fn note<E: std::fmt::Display + std::fmt::Debug>(
        &mut self,
        shared: &Shared,
        key: Key,
        outcome: Result<Outcome<u32>, Error<E>>,
        operations: Operations,
    ) {
        let (told, attempt, error) = match outcome {
            Ok(Outcome::Applied { value, attempts }) => (Told::Applied, Some((value, attempts)), None),
            Ok(Outcome::AlreadyApplied { value }) => (Told::Applied, Some((value, u32::MAX)), None),
            Err(Error::Undecided { cause, .. }) => (Told::Nothing, None, Some(cause.to_string())),
            Err(Error::Unreadable { cause, .. }) => (Told::Applied, None, Some(cause.to_string())),
            Err(Error::NotApplied { cause, .. }) => (Told::NotApplied, None, Some(words(&cause))),
            Err(error) => (Told::NotApplied, None, Some(error.to_string())),
        };
        if told == Told::Applied {
            shared.progress.acknowledged();
        }
        self.entries.push(Entry { key, told, attempt, operations, error });
    }
}

/// Without what differs from one to the next.
fn words(cause: &Cause) -> String {
    if let Cause::Diverged { original, .. } = cause { format!("diverged; {original}") } else { cause.to_string() }
}
