//! One call: attempts until its transaction is applied, or certainly not.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use deadpool::managed::Object;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::classify::Class;
use crate::commit::{Flight, Landed, Step};
use crate::config::KEY_AGE_MAX;
use crate::coverage::Coverage;
use crate::decide;
use crate::error::{Cause, Error};
use crate::event::Event;
use crate::hold::Hold;
use crate::key::Key;
use crate::outcome::{Options, Outcome, Recorded, Replay};
use crate::pool::WriterSessions;
use crate::source::jitter;
use crate::statement::Refusal;
use crate::transaction::{Ended, Failure, Running, Tx};

/// Between two attempts after a conflict, at first and at most.
const CONFLICT_PAUSE_MIN: Duration = Duration::from_millis(2);
const CONFLICT_PAUSE_MAX: Duration = Duration::from_millis(100);
/// As often a call goes on at once, on another session, when its session was lost. More is no failover, but something
/// in what it does.
const LOST_MAX: u32 = 20;
/// How long a rollback may take before its session is given up.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(1);

/// One call, across its attempts.
pub(crate) struct Call<'a> {
    hold: &'a Hold,
    coverage: &'a Arc<Coverage>,
    key: Key,
    options: Options,
    deadline: Instant,
    attempts: u32,
    /// Whether an attempt's COMMIT was sent and is not decided.
    in_doubt: bool,
    /// Why the first attempt was lost.
    original: Option<Cause>,
    /// What attempts have shown so far.
    expected: Vec<u64>,
    mark: Option<Refusal>,
    /// How often a session was lost.
    lost: u32,
    /// Whether a statement was cancelled.
    cancelled: bool,
    conflict_pause: Duration,
}

/// How an attempt ended.
enum Attempt<T, E> {
    Applied(T),
    Duplicate,
    Again(Cause),
    Conflict(Cause),
    /// A statement was cancelled; how the call ends if that was once too often.
    Cancelled(Cause, Stop<E>),
    InDoubt(Cause),
    Stop(Stop<E>),
}

/// Why no further attempt is made.
enum Stop<E> {
    Application(E),
    Cause(Cause),
}

impl<'a> Call<'a> {
    pub(crate) fn new(hold: &'a Hold, coverage: &'a Arc<Coverage>, key: Key, options: Options) -> Self {
        let within = options.within.unwrap_or(hold.source.config.limits.call);
        Self {
            hold,
            coverage,
            key,
            options,
            deadline: Instant::now() + within,
            attempts: 0,
            in_doubt: false,
            original: None,
            expected: Vec::new(),
            mark: None,
            lost: 0,
            cancelled: false,
            conflict_pause: CONFLICT_PAUSE_MIN,
        }
    }

    /// Runs the closure until it is decided what became of it.
    pub(crate) async fn run<T, E, F, Fut>(mut self, closure: F) -> Result<Outcome<T>, Error<E>>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let key = self.key;
        if let Some(age) = expired(key) {
            return self.old(age, |bytes| parse(key, bytes)).await;
        }
        loop {
            let session = self.session().await?;
            let attempt = self.attempt(session, &closure).await;
            if let Some(end) = self.follow(attempt, |bytes| parse(key, bytes)).await {
                return end;
            }
        }
    }

    /// Sends all steps in one flight until it is decided what became of them.
    pub(crate) async fn send<E>(mut self, steps: Arc<[Step]>) -> Result<Outcome<Vec<u64>>, Error<E>> {
        if let Some(age) = expired(self.key) {
            return self.old(age, |_| Ok(Vec::new())).await;
        }
        if let Some((step, refusal)) = steps.iter().find_map(|step| Some((step, crate::statement::refused(&step.sql)?)))
        {
            self.coverage.refused(&step.sql, refusal);
            return Err(not_applied(Cause::Refused(refusal)));
        }
        loop {
            let session = self.session().await?;
            self.begin_attempt();
            let flight = Flight {
                session,
                key: self.key,
                begin: Some(self.options.isolation.begin()),
                steps: Arc::clone(&steps),
                result: None,
            };
            let attempt = self.landed(flight, |counts| counts).await;
            // The rows of steps are known only when the answer is.
            if let Some(end) = self.follow(attempt, |_| Ok(Vec::new())).await {
                return end;
            }
        }
    }

    /// An old key is only asked for: its row may be pruned, so that its absence proves nothing.
    async fn old<T, E>(
        self,
        age: Duration,
        read: impl FnOnce(Option<Vec<u8>>) -> Result<T, Error<E>>,
    ) -> Result<Outcome<T>, Error<E>> {
        let key = self.key;
        match decide::ask(self.hold, key, self.deadline).await {
            Ok(Recorded::Applied(bytes)) => read(bytes).map(|value| Outcome::AlreadyApplied { value }),
            Ok(Recorded::GivenUp) => Err(Error::Abandoned(key)),
            Ok(Recorded::Nothing) => Err(Error::Forgotten { key, age }),
            Err(cause) => Err(Error::Undecided { key, cause }),
        }
    }

    async fn session<E>(&mut self) -> Result<Object<WriterSessions>, Error<E>> {
        let session = match self.attempts {
            0 => self.hold.session(self.deadline).await,
            _ => self.hold.session_of_begun(self.deadline).await,
        };
        match session {
            Ok(session) => Ok(session),
            Err(error) if self.in_doubt => Err(Error::Undecided { key: self.key, cause: error.into() }),
            Err(error) => Err(not_applied(self.original.take().unwrap_or(Cause::Hold(error)))),
        }
    }

    fn begin_attempt(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts > 1 {
            self.coverage.replayed();
        }
    }

    async fn attempt<T, E, F, Fut>(&mut self, session: Object<WriterSessions>, closure: &F) -> Attempt<T, E>
    where
        T: Serialize,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.begin_attempt();
        let expected = match self.options.replay {
            Replay::Verified => self.expected.clone(),
            Replay::Afresh | Replay::Never => Vec::new(),
        };
        let begin = self.options.isolation.begin();
        let limit = self.rest().min(self.hold.source.config.limits.statement);
        let running = Running::new(session, self.key, begin, limit, expected, Arc::clone(self.coverage));
        let (tx, running) = Tx::new(running);
        let returned = closure(tx).await;
        // Held only by a statement that was left under way; its attempt is not committed.
        let Some(running) = running.lock().await.take() else {
            return Attempt::Stop(Stop::Cause(Cause::Unfinished { at: 0 }));
        };
        let mut ended = running.end();
        if ended.seen.len() > self.expected.len() {
            self.expected = std::mem::take(&mut ended.seen);
        }
        self.mark = self.mark.or(ended.mark);
        match (ended.failure.take(), returned) {
            (None, Ok(value)) => self.commit(ended, value).await,
            (None, Err(error)) => {
                clear(ended);
                Attempt::Stop(Stop::Application(error))
            }
            (Some(failure), returned) => {
                let swallowed = returned.is_ok();
                self.failed(ended, failure, returned.err(), swallowed)
            }
        }
    }

    fn failed<T, E>(&self, ended: Ended, failure: Failure, error: Option<E>, swallowed: bool) -> Attempt<T, E> {
        let at = self.expected.len();
        let lost = matches!(&failure, Failure::Silent(_) | Failure::Database(_, Class::Lost));
        if lost {
            self.hold.source.suspect();
            if let Some(session) = ended.session {
                decide::retire(session);
            }
        } else {
            clear(ended);
        }
        match failure {
            Failure::Silent(limit) => Attempt::Again(Cause::Silent(limit)),
            Failure::Database(cause, Class::Lost) => Attempt::Again(Cause::Database(cause)),
            Failure::Database(cause, Class::Conflict) => Attempt::Conflict(Cause::Database(cause)),
            Failure::Database(_, Class::Duplicate) => Attempt::Duplicate,
            Failure::Database(cause, Class::Cancelled) if !swallowed => {
                let stop = error.map_or_else(|| Stop::Cause(Cause::Database(Arc::clone(&cause))), Stop::Application);
                Attempt::Cancelled(Cause::Database(cause), stop)
            }
            Failure::Database(_, Class::Definite | Class::Cancelled) if swallowed => {
                Attempt::Stop(Stop::Cause(Cause::Unfinished { at }))
            }
            Failure::Database(cause, Class::Definite | Class::Cancelled) => Attempt::Stop(match error {
                Some(error) => Stop::Application(error),
                None => Stop::Cause(Cause::Database(cause)),
            }),
            Failure::Refused(refusal) => Attempt::Stop(Stop::Cause(Cause::Refused(refusal))),
            Failure::Diverged(at) => {
                Attempt::Stop(Stop::Cause(Cause::Diverged { at, original: Box::new(Cause::Warned) }))
            }
            Failure::Unfinished(at) => Attempt::Stop(Stop::Cause(Cause::Unfinished { at })),
        }
    }

    async fn commit<T, E>(&self, ended: Ended, value: T) -> Attempt<T, E>
    where
        T: Serialize,
    {
        let result = match serde_json::to_vec(&value) {
            Ok(bytes) => (bytes != NOTHING).then_some(bytes),
            Err(error) => {
                clear(ended);
                return Attempt::Stop(Stop::Cause(Cause::Result(error)));
            }
        };
        let begin = (!ended.entered).then(|| self.options.isolation.begin());
        let Some(session) = ended.session else {
            return Attempt::Stop(Stop::Cause(Cause::Unfinished { at: 0 }));
        };
        let flight = Flight { session, key: self.key, begin, steps: Arc::new([]), result };
        self.landed(flight, |_| value).await
    }

    async fn landed<T, E>(&self, flight: Flight, value: impl FnOnce(Vec<u64>) -> T) -> Attempt<T, E> {
        let source = &self.hold.source;
        let limits = &source.config.limits;
        // With its beginning it waits at the gate too, as a statement does.
        let limit = if flight.begin.is_some() { limits.statement + limits.commit } else { limits.commit };
        match flight.send(Arc::clone(source), limit).await {
            Landed::Applied(counts) => Attempt::Applied(value(counts)),
            Landed::Aborted(_, Class::Duplicate) => Attempt::Duplicate,
            Landed::Aborted(cause, Class::Conflict) => Attempt::Conflict(Cause::Database(cause)),
            Landed::Aborted(cause, Class::Cancelled) => {
                Attempt::Cancelled(Cause::Database(Arc::clone(&cause)), Stop::Cause(Cause::Database(cause)))
            }
            Landed::Aborted(cause, Class::Lost) => {
                source.suspect();
                Attempt::Again(Cause::Database(cause))
            }
            Landed::Aborted(cause, Class::Definite) => Attempt::Stop(Stop::Cause(Cause::Database(cause))),
            Landed::Unfit(misfit) => Attempt::Stop(Stop::Cause(Cause::Parameters(misfit))),
            Landed::InDoubt(cause) => {
                source.suspect();
                Attempt::InDoubt(cause)
            }
        }
    }

    /// What follows an attempt; None for another one.
    async fn follow<T, E>(
        &mut self,
        attempt: Attempt<T, E>,
        read: impl FnOnce(Option<Vec<u8>>) -> Result<T, Error<E>>,
    ) -> Option<Result<Outcome<T>, Error<E>>> {
        match attempt {
            Attempt::Applied(value) => {
                self.coverage.protected();
                self.decided(false);
                Some(Ok(Outcome::Applied { value, attempts: self.attempts }))
            }
            Attempt::Duplicate => match decide::ask(self.hold, self.key, self.deadline).await {
                // What the server showed was lost with it.
                Ok(Recorded::Nothing) => {
                    self.original.get_or_insert(Cause::Warned);
                    self.pause(read).await
                }
                Ok(Recorded::Applied(bytes)) => Some(read(bytes).map(|value| self.found(value))),
                Ok(Recorded::GivenUp) => Some(Err(Error::Abandoned(self.key))),
                Err(cause) => Some(Err(Error::Undecided { key: self.key, cause })),
            },
            Attempt::Again(cause) => {
                let (key, words) = (self.key, cause.to_string());
                self.original.get_or_insert(cause);
                self.lost = self.lost.saturating_add(1);
                if self.no_replay().is_some() || self.lost > LOST_MAX {
                    return Some(self.stop(None, read).await);
                }
                self.tell(&Event::Replayed { key, cause: words });
                None
            }
            Attempt::Conflict(cause) => {
                self.original.get_or_insert(cause);
                self.pause(read).await
            }
            Attempt::Cancelled(cause, stop) => {
                if std::mem::replace(&mut self.cancelled, true) || self.no_replay().is_some() {
                    return Some(self.stop(Some(stop), read).await);
                }
                self.tell(&Event::Replayed { key: self.key, cause: cause.to_string() });
                self.original.get_or_insert(cause);
                self.pause(read).await
            }
            Attempt::InDoubt(cause) => {
                self.in_doubt = true;
                self.coverage.in_doubt();
                self.tell(&Event::InDoubt { key: self.key, cause: cause.to_string() });
                self.original.get_or_insert(cause);
                if self.no_replay().is_some() { Some(self.stop(None, read).await) } else { None }
            }
            Attempt::Stop(stop) => Some(self.stop(Some(stop), read).await),
        }
    }

    /// Leaves the server a moment before the next attempt, if there may be one.
    async fn pause<T, E>(
        &mut self,
        read: impl FnOnce(Option<Vec<u8>>) -> Result<T, Error<E>>,
    ) -> Option<Result<Outcome<T>, Error<E>>> {
        if self.no_replay().is_some() || self.conflict_pause > self.rest() {
            return Some(self.stop(None, read).await);
        }
        tokio::time::sleep(jitter(self.conflict_pause)).await;
        self.conflict_pause = (self.conflict_pause * 2).min(CONFLICT_PAUSE_MAX);
        None
    }

    fn rest(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Ends the call. What is in doubt is decided first: if the key is not applied, it is given up.
    async fn stop<T, E>(
        &mut self,
        stop: Option<Stop<E>>,
        read: impl FnOnce(Option<Vec<u8>>) -> Result<T, Error<E>>,
    ) -> Result<Outcome<T>, Error<E>> {
        let mut spent = false;
        if self.in_doubt {
            match decide::give_up(self.hold, self.key, self.deadline).await {
                Ok(Recorded::Applied(bytes)) => return read(bytes).map(|value| self.found(value)),
                Ok(Recorded::GivenUp | Recorded::Nothing) => spent = true,
                Err(cause) => return Err(Error::Undecided { key: self.key, cause }),
            }
            self.decided(false);
        }
        let original = self.original.take();
        let cause = match (stop, original) {
            (Some(Stop::Application(error)), None) => return Err(Error::Application(error)),
            // It had a result once, and has an error now.
            (Some(Stop::Application(_)), Some(original)) if self.options.replay == Replay::Verified => {
                Cause::Diverged { at: self.expected.len(), original: Box::new(original) }
            }
            (Some(Stop::Application(error)), Some(_)) => return Err(Error::Application(error)),
            (Some(Stop::Cause(Cause::Diverged { at, .. })), Some(original)) => {
                Cause::Diverged { at, original: Box::new(original) }
            }
            (Some(Stop::Cause(cause)), _) => cause,
            (None, original) => {
                let original = original.unwrap_or(Cause::Warned);
                match self.no_replay() {
                    Some(reason) => Cause::NotReplayed { reason, original: Box::new(original) },
                    None => original,
                }
            }
        };
        Err(Error::NotApplied { cause, spent })
    }

    fn found<T>(&mut self, value: T) -> Outcome<T> {
        if self.in_doubt {
            self.coverage.protected();
            self.decided(true);
            Outcome::Applied { value, attempts: self.attempts }
        } else {
            Outcome::AlreadyApplied { value }
        }
    }

    fn no_replay(&self) -> Option<Refusal> {
        match (self.options.replay, self.mark) {
            (Replay::Never, mark) => Some(mark.unwrap_or(Refusal::NotAllowed)),
            (Replay::Afresh, Some(Refusal::SequenceShown)) => None,
            (Replay::Afresh | Replay::Verified, mark) => mark,
        }
    }

    fn decided(&mut self, applied: bool) {
        if std::mem::take(&mut self.in_doubt) {
            self.tell(&Event::Decided { key: self.key, applied });
        }
    }

    fn tell(&self, event: &Event) {
        self.hold.source.config.tell(event);
    }
}

/// What `()` and `None` are as JSON: nothing is recorded for them.
const NOTHING: &[u8] = b"null";

fn parse<T: DeserializeOwned, E>(key: Key, recorded: Option<Vec<u8>>) -> Result<T, Error<E>> {
    let bytes = recorded.unwrap_or_else(|| NOTHING.to_vec());
    serde_json::from_slice(&bytes).map_err(|cause| Error::Unreadable { key, cause })
}

/// Its age, if it is too old to be run.
pub(crate) fn expired(key: Key) -> Option<Duration> {
    let age = SystemTime::now().duration_since(key.made()).unwrap_or_default();
    (age > KEY_AGE_MAX).then_some(age)
}

fn not_applied<E>(cause: Cause) -> Error<E> {
    Error::NotApplied { cause, spent: false }
}

/// Gives a session back, without the transaction that was not committed.
fn clear(ended: Ended) {
    if let Some(session) = ended.session {
        if ended.entered {
            decide::roll_back(session, ROLLBACK_LIMIT);
        } else {
            drop(session);
        }
    }
}
