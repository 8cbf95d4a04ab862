//! A scenario as read from its file.

use std::time::Duration;

use steadfast_core::episode::RecoveredBy;
use steadfast_core::mode::Mode;
use steadfast_core::topology::Deployment;

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The name of its file, without `.txt`.
    pub name: String,
    /// Why it exists: the comment at its head.
    pub why: String,
    /// What is watched; a cluster unless said otherwise.
    pub deployment: Deployment,
    /// How many readers the cluster has beside its writer; 2 unless said otherwise. A Multi-AZ DB instance has none.
    pub readers: u8,
    /// Whether the clients use the gate; they do not unless said otherwise.
    pub gated: bool,
    /// What the operator allows at the start; [`Mode::Armed`] unless said otherwise.
    pub mode: Mode,
    /// When the platform fails over by itself once the writer is dead; None: never, the default.
    /// A platform that never does gets no grace, unless `policy` says so.
    pub platform: Option<Duration>,
    /// Thresholds that differ from what ships.
    pub policy: Vec<(Threshold, Duration)>,
    /// Where it can run alone, and why; None: everywhere.
    pub only: Option<Only>,
    /// How long it runs, counted from the first fault; 120 s unless said otherwise. It ends earlier when
    /// nothing is left to happen.
    pub lasts: Duration,
    /// Whether it runs for all of that, whatever is left to happen: for what arrives late.
    pub exactly: bool,
    /// What fails when.
    pub timeline: Vec<Event>,
    /// What is expected.
    pub expectations: Vec<Expectation>,
}

impl Scenario {
    /// Why it cannot run there; None where it can.
    pub fn keeps_out(&self, place: Interpreter) -> Option<&str> {
        match &self.only {
            Some(only) if only.place != place => Some(&only.because),
            Some(_) | None => None,
        }
    }
}

/// A threshold of [`steadfast_core::policy::Policy`] by its field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// `platform_grace`.
    PlatformGrace,
    /// `platform_deadline`.
    PlatformDeadline,
    /// `promotion_deadline`.
    PromotionDeadline,
    /// `episode_deadline`.
    EpisodeDeadline,
    /// `silent_after`.
    SilentAfter,
    /// `stalled_after`.
    StalledAfter,
    /// `lag_max`.
    LagMax,
}

/// The only place where a scenario can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// Where.
    pub place: Interpreter,
    /// Why nowhere else.
    pub because: String,
}

/// Who runs scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// In virtual time.
    Simulation,
    /// On real PostgreSQL.
    Lab,
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its line in the file, from 1.
    pub line: usize,
    /// When it begins.
    pub at: Moment,
    /// What happens.
    pub fault: Fault,
    /// When it ends. Always [`End::Never`] for a fault that is over at once.
    pub end: End,
}

/// When something begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This long after the start.
    At(Duration),
    /// This long after a milestone was first reached.
    After(Milestone, Duration),
}

/// When a lasting fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It lasts to the scenario's end.
    Never,
    /// After this long.
    For(Duration),
    /// This long after a milestone was first reached.
    Until(Milestone, Duration),
}

/// A point in the life of the first episode that opens in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Milestone {
    /// The episode is open.
    Opened,
    /// The intention to promote is written.
    Intended,
    /// `FailoverDBCluster` has reached the control plane.
    Called,
    /// Another instance has accepted the role.
    Promoted,
    /// The proof is written.
    Proved,
    /// The order to end sessions that stayed on the old writer is written.
    Evicting,
    /// The episode is closed.
    Closed,
}

/// An instance by its part in the play; resolved when the fault begins, and kept until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Whoever is the writer now.
    Writer,
    /// The writer at the scenario's start.
    OldWriter,
    /// The target of the promotion that was called last.
    Target,
    /// A reader at the scenario's start, counted from 1.
    Reader(u8),
}

/// An Availability Zone: `az-a` is 0. Instance `n` of the start lives in zone `n`; the writer in `az-a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(pub u8);

/// From where an instance cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// From one zone's prober and clients.
    Zone(Zone),
    /// From everywhere but the control plane.
    Everyone,
    /// From clients, but not from probers.
    Clients,
}

/// A service that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The control plane.
    Rds,
    /// The state table.
    StateTable,
    /// The notification topic.
    Notifier,
    /// The invocation of functions by functions.
    Invocations,
}

/// How a service fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// It refuses by throttling; nothing is done.
    Throttle,
    /// It answers with an internal error; nothing is done.
    Error,
    /// It refuses for want of permission; nothing is done.
    Denied,
    /// It does not answer; nothing is done.
    Silence,
    /// It does what was asked, and the answer is lost.
    LostAnswer,
    /// It does what was asked, and answers with an internal error.
    ErrorAfterEffect,
    /// It takes this long to look at a request.
    Slow(Duration),
    /// It shows what was true when the trouble began. The control plane only.
    Stale,
}

/// Whose password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The probers'.
    Prober,
    /// The application's.
    Application,
}

/// What happens to the delivery of the platform's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// They come this much later.
    Late(Duration),
    /// They do not come.
    Dropped,
    /// They come twice.
    Doubled,
    /// They come in another order.
    Reordered,
}

/// What happens to invocations of the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// All that run now are killed. Over at once.
    Killed,
    /// New ones start this much later.
    Delayed(Duration),
    /// Each comes twice.
    Doubled,
    /// Clocks of new ones are ahead by this much.
    Ahead(Duration),
    /// Clocks of new ones are behind by this much.
    Behind(Duration),
}

/// What the platform does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformDeed {
    /// It fails over now, to an instance of its choice. Over at once.
    FailsOver,
    /// Its failovers fail, also those we asked for.
    FailoversFail,
    /// Its failovers reverse themselves.
    FailoversReverse,
    /// It changes the cluster on purpose.
    ChangesCluster,
    /// It does not let the cluster endpoint follow the role.
    KeepsEndpoint,
    /// It has paused the idle cluster at 0 ACU, and resumes it: nothing answers until then.
    PausesCluster,
    /// It switches a blue/green deployment over.
    SwitchesBlueGreen,
    /// The cluster is stopped, and started again at the end.
    StopsCluster,
    /// The cluster cannot get at its encryption key, and is down for as long.
    LosesKey,
}

/// What an operator does. Over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorDeed {
    /// Sets the mode.
    Sets(Mode),
    /// Calls `FailoverDBCluster` by hand, without a target.
    FailsOver,
    /// Orders a planned switchover.
    SwitchesOver,
    /// Deletes the lease from the state table.
    DeletesLease,
}

/// What goes wrong, or is done on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The host vanishes without a goodbye.
    KillHost(Place),
    /// PostgreSQL is killed; the host lives and refuses connections. Over at once: the platform or an end of
    /// the scenario starts it again.
    KillPostgres(Place),
    /// The server accepts connections and never answers.
    Freeze(Place),
    /// The server restarts in place. Over at once.
    Restart(Place),
    /// Reads are answered, commits are not.
    StallCommits(Place),
    /// Commits fail for want of space.
    FillDisk(Place),
    /// Commits fail with an error that no rule knows.
    FailCommits(Place),
    /// It says that it is no reader, and refuses writes all the same.
    RefuseWrites(Place),
    /// All connections are taken.
    TakeConnections(Place),
    /// A session that knows nothing of the gate has written there, and does not end its transaction.
    Linger(Place),
    /// A reader lags by this much.
    Lag(Place, Duration),
    /// An instance cannot be reached from there.
    Cut(Place, View),
    /// A zone's prober and clients reach nothing, but its instance is reached from elsewhere.
    Blind(Zone),
    /// Everything between a zone and every instance arrives this much later, each way.
    Delay(Zone, Duration),
    /// A zone is cut off: its prober and clients reach nothing, and nothing reaches its instance.
    Isolate(Zone),
    /// A role's password is refused everywhere.
    RefusePassword(Role),
    /// A role's password is changed, and its secret holds the new one at the end; open sessions live on.
    RotatePassword(Role),
    /// A service fails, for one of its actions or for all.
    Fail(Service, Trouble, Option<&'static str>),
    /// The platform's events are disturbed.
    Events(Delivery),
    /// The coordinator's invocations are disturbed.
    Coordinator(Disturbance),
    /// A zone's prober is killed; its next run begins with its next tick. Over at once.
    KillProber(Zone),
    /// The platform does something by itself.
    Platform(PlatformDeed),
    /// An operator does something.
    Operator(OperatorDeed),
}

/// What a scenario expects once it has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// This rule decided at some time while an episode was open or about to be.
    Rule(u16),
    /// This rule never decided.
    NoRule(u16),
    /// `FailoverDBCluster` was called by Steadfast this often.
    Calls(Bound),
    /// How many episodes were opened.
    Episodes(Bound),
    /// Who writes at the end.
    Writer(Who),
    /// Writes by all clients together stood still for no longer than this.
    OutageAtMost(Duration),
    /// The episode was opened within this time after the first fault.
    DetectedWithin(Duration),
    /// Acknowledged writes that are not there at the end.
    Lost(Bound),
    /// Writes that an application saw fail, or whose outcome it did not learn.
    Errors(Bound),
    /// Who brought the writes back, by the evidence of the last episode.
    RecoveredBy(RecoveredBy),
    /// Sessions of an application that stayed on the old writer were ended there.
    SessionsEvicted,
    /// A person was called for this rule.
    PersonCalled(u16),
    /// No person was called.
    NobodyCalled,
    /// Whether the last episode is closed at the end.
    Open(bool),
}

/// A number, or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Exactly.
    Exactly(u64),
    /// No more than.
    AtMost(u64),
}

/// Who writes at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The writer of the start.
    Same,
    /// Another instance.
    Other,
    /// This reader of the start.
    Reader(u8),
}
