//! What one run is made of.

use std::str::FromStr;
use std::time::Duration;

use steadfast_core::policy::Policy;
use steadfast_scenario::{Scenario, Threshold};

/// One run: a scenario, and how unkind the rest of the world is meanwhile.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source of all chance.
    pub seed: u64,
    /// What fails when.
    pub scenario: Scenario,
    /// What goes wrong beside it.
    pub noise: Noise,
    /// How long nothing may happen before the play counts as over.
    pub calm: Duration,
    /// Where to disturb an invocation of the coordinator on purpose.
    pub crash: Option<Crash>,
    /// A world that breaks a promise of its own, to show that the checks see it.
    pub flaw: Option<Flaw>,
    /// Whether what ails the writer of the start lasts until life goes on without it or a person was called.
    pub unmended: bool,
    /// Every instance has paused itself before anybody came, and takes this long to resume, from the first attempt
    /// to connect on. Aurora pauses an instance that nobody is connected to, so never while probers run.
    pub asleep: Option<Duration>,
    /// Whether the installation keeps a stable name on the writer.
    pub pins: bool,
    /// Whether to keep a line for everything that happens.
    pub trace: bool,
}

impl Plan {
    /// A scenario in an otherwise perfect world.
    pub fn of(scenario: Scenario) -> Self {
        Self {
            seed: 1,
            scenario,
            noise: Noise::default(),
            calm: Duration::from_secs(10),
            crash: None,
            flaw: None,
            unmended: false,
            asleep: None,
            pins: false,
            trace: false,
        }
    }

    /// The same with the coordinator disturbed, in an installation that has all ports to disturb.
    pub fn disturbed(scenario: Scenario, crash: Option<Crash>) -> Self {
        Self { crash, pins: true, ..Self::of(scenario) }
    }

    /// Whether every decision is kept for its line: not in the many runs of a campaign.
    pub(crate) fn keeps_decisions(&self) -> bool {
        self.trace || !self.scenario.expectations.is_empty()
    }

    /// The thresholds of this run. A platform that never fails over gets no grace.
    pub fn policy(&self) -> Policy {
        let default = Policy::of(self.scenario.deployment);
        let grace = self.scenario.platform.map_or(Duration::ZERO, |_| default.platform_grace);
        let mut policy = Policy { platform_grace: grace, ..default };
        for (threshold, value) in &self.scenario.policy {
            let field = match threshold {
                Threshold::PlatformGrace => &mut policy.platform_grace,
                Threshold::PlatformDeadline => &mut policy.platform_deadline,
                Threshold::PromotionDeadline => &mut policy.promotion_deadline,
                Threshold::EpisodeDeadline => &mut policy.episode_deadline,
                Threshold::SilentAfter => &mut policy.silent_after,
                Threshold::StalledAfter => &mut policy.stalled_after,
                Threshold::LagMax => &mut policy.lag_max,
            };
            *field = *value;
        }
        policy
    }
}

/// What goes wrong by chance. Chances are per thousand.
#[derive(Clone, Debug, Default)]
pub struct Noise {
    /// A request to the state table fails.
    pub state_table: u32,
    /// A request to the control plane fails.
    pub rds: u32,
    /// A message to people, or an invocation by a function, fails.
    pub others: u32,
    /// An invocation of the coordinator is killed at a port call.
    pub kills: u32,
    /// An invocation is delivered twice.
    pub doubles: u32,
    /// An event of the platform is lost.
    pub events_lost: u32,
    /// An event of the platform comes twice.
    pub events_doubled: u32,
    /// How late an event of the platform may be.
    pub events_late_max: Duration,
    /// How late an invocation may start.
    pub start_late_max: Duration,
    /// How far the view of the control plane may lag behind the truth.
    pub view_lag_max: Duration,
    /// How long the platform's promotion may take.
    pub promotion_max: Duration,
    /// A coordinator stands still for up to this long when a port answers.
    pub stall_max: Duration,
    /// A drainer stands still between two statements, for up to 3 s.
    pub drainer_stalls: u32,
    /// How far a clock may be ahead of or behind the truth.
    pub skew_max: Duration,
    /// The platform starts a dead server again in place after this long.
    pub restart_in_place: Option<Duration>,
    /// How long after its acceptance a failover is not shown yet.
    pub shown_late_max: Duration,
    /// How long after a change of roles no member is called the writer.
    pub nameless_max: Duration,
    /// How late the cluster endpoint's record follows the role; 3 s at least.
    pub endpoint_late_max: Duration,
    /// How long some name servers go on with the record before.
    pub endpoint_flaps_max: Duration,
    /// How long a client keeps an address, whatever its time to live.
    pub address_kept_max: Duration,
    /// How long a client without time limits waits for an answer.
    pub client_waits_max: Duration,
    /// A writer that runs becomes a reader in place, and its sessions live on.
    pub demoted_in_place: u32,
    /// How long a promoted instance restarts before it writes.
    pub new_writer_restarts_max: Duration,
    /// A prober's report is written a second time a while later, as by a retry that lay in a queue.
    pub reports_again: u32,
    /// An operator who orders a switchover may name any instance.
    pub any_order: bool,
    /// A session that closes the gate comes and goes.
    pub fencer: bool,
}

impl Noise {
    /// Faults stop.
    pub(crate) fn calm_down(&mut self) {
        *self = Self { skew_max: self.skew_max, ..Self::default() };
    }
}

/// Disturbs the coordinator's invocation at one of its port calls, counted from 1 over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// At which call.
    pub call: u64,
    /// Before or after its effect.
    pub when: When,
}

/// When, as seen from a port call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it takes effect: it never does.
    Before,
    /// After it has taken effect, before its answer.
    After,
    /// The invocation lives on, and another one is woken at this moment.
    Meanwhile,
    /// It takes effect, and its answer is lost.
    Lost,
    /// It is answered, and the invocation stands still for longer than a lease lasts.
    Stalled,
    /// It takes effect, its answer is lost, and the invocation stands still after that.
    LostAndStalled,
    /// An operator pauses at this moment, and arms again half a minute later.
    Paused,
}

impl When {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Before, Self::After, Self::Meanwhile, Self::Lost, Self::Stalled, Self::LostAndStalled, Self::Paused];

    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Meanwhile => "meanwhile",
            Self::Lost => "lost",
            Self::Stalled => "stalled",
            Self::LostAndStalled => "lost-and-stalled",
            Self::Paused => "paused",
        }
    }
}

/// As [`Crash::from_str`] reads it: `17:lost`.
impl std::fmt::Display for Crash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.call, self.when.as_str())
    }
}

impl FromStr for Crash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = When::ALL.map(When::as_str).join(", ");
        let wrong = || format!("`{text}` is no disturbance; write a port call from 1 and one of {words}: 17:lost");
        let (call, when) = text.split_once(':').ok_or_else(wrong)?;
        let call = call.parse().ok().filter(|call| *call > 0).ok_or_else(wrong)?;
        let when = When::ALL.into_iter().find(|known| known.as_str() == when).ok_or_else(wrong)?;
        Ok(Self { call, when })
    }
}

/// A promise that the simulated world breaks on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A demoted writer's late commits are accepted.
    NoStorageFence,
    /// The state table takes every write without its conditions.
    Unconditional,
    /// The control plane starts a second failover beside the first.
    SecondFailover,
    /// Acknowledged commits are lost with the writer.
    LosesCommits,
    /// A gate stays closed when whoever closed it dies.
    GateSticks,
    /// The drainer ends sessions without asking what the instance is.
    DrainsBlindly,
    /// The drainer says that the gate is closed, and lets go of it.
    HollowGate,
    /// The state table takes episodes and drops the intentions among their evidence.
    ForgetsEvidence,
    /// Every call to the control plane is made twice.
    CallsTwice,
    /// Coordinators are told what the second zone sees as the word of all zones.
    EchoesOneWitness,
    /// Probers report a commit that stands still as acknowledged.
    StallsAreCommits,
    /// Coordinators and the state table take every mode for armed.
    DeafToMode,
    /// No coordinator is ever woken.
    NobodyWakes,
}
