//! The faults: one line of the table per word.

use crate::error::Complaint;
use crate::line::Words;
use crate::nearest;
use crate::scenario::{Delivery, Disturbance, Fault, OperatorDeed, Place, PlatformDeed, Service, Trouble, View};
use crate::vocabulary::{ZONES, actions};

type Read = fn(&mut Words<'_>) -> Result<Fault, Complaint>;

/// The first word of a fault and how to read the rest of it.
pub(crate) const FAULTS: &[(&str, Read)] = &[
    ("kill-host", |words| words.place().map(Fault::KillHost)),
    ("kill-postgres", |words| words.place().map(Fault::KillPostgres)),
    ("freeze", |words| words.place().map(Fault::Freeze)),
    ("restart", |words| words.place().map(Fault::Restart)),
    ("stall-commits", |words| words.place().map(Fault::StallCommits)),
    ("fill-disk", |words| words.place().map(Fault::FillDisk)),
    ("fail-commits", |words| words.place().map(Fault::FailCommits)),
    ("refuse-writes", |words| words.place().map(Fault::RefuseWrites)),
    ("take-connections", |words| words.place().map(Fault::TakeConnections)),
    ("linger", |words| words.place().map(Fault::Linger)),
    ("lag", lag),
    ("cut", cut),
    ("blind", |words| words.zone().map(Fault::Blind)),
    ("delay", |words| Ok(Fault::Delay(words.zone()?, words.some_time()?))),
    ("isolate", |words| words.zone().map(Fault::Isolate)),
    ("refuse-password", |words| words.named().map(Fault::RefusePassword)),
    ("rotate-password", |words| words.named().map(Fault::RotatePassword)),
    ("fail", fail),
    ("events", events),
    ("coordinator", coordinator),
    ("kill-prober", |words| words.zone().map(Fault::KillProber)),
    ("platform", |words| words.named().map(Fault::Platform)),
    ("operator", operator),
];

/// Reads a fault.
pub(crate) fn fault(words: &mut Words<'_>) -> Result<Fault, Complaint> {
    let read = words.choose("a fault", FAULTS)?;
    read(words)
}

fn lag(words: &mut Words<'_>) -> Result<Fault, Complaint> {
    let word = words.peek().unwrap_or_default();
    match words.place()? {
        Place::Writer => {
            Err(Complaint::new(word, "cannot lag behind itself", "name a reader, such as `lag reader-1 45s`"))
        }
        place @ (Place::OldWriter | Place::Target | Place::Reader(_)) => Ok(Fault::Lag(place, words.some_time()?)),
    }
}

fn cut(words: &mut Words<'_>) -> Result<Fault, Complaint> {
    let place = words.place()?;
    words.literally(&["from"])?;
    let views: Vec<(&str, View)> = ZONES
        .iter()
        .map(|(word, zone)| (*word, View::Zone(*zone)))
        .chain([("everyone", View::Everyone), ("clients", View::Clients)])
        .collect();
    words.choose("a place to see it from", &views).map(|view| Fault::Cut(place, view))
}

fn fail(words: &mut Words<'_>) -> Result<Fault, Complaint> {
    let service: Service = words.named()?;
    let word = words.peek().unwrap_or_default();
    let trouble = trouble(words)?;
    if trouble == Trouble::Stale && service != Service::Rds {
        let remedy = "only rds goes on showing what was true; choose another trouble";
        return Err(Complaint::new(word, "is no trouble of this service", remedy));
    }
    let action = action(words, service)?;
    if trouble == Trouble::Stale
        && let Some(call) = action.filter(|action| !action.starts_with("Describe"))
    {
        let remedy = "only a description can be stale: name DescribeDBClusters, DescribeDBInstances or no action";
        return Err(Complaint::new(call, "shows nothing that could be stale", remedy));
    }
    Ok(Fault::Fail(service, trouble, action))
}

fn trouble(words: &mut Words<'_>) -> Result<Trouble, Complaint> {
    type Of = fn(&mut Words<'_>) -> Result<Trouble, Complaint>;
    const TROUBLES: &[(&str, Of)] = &[
        ("throttle", |_| Ok(Trouble::Throttle)),
        ("error", |_| Ok(Trouble::Error)),
        ("denied", |_| Ok(Trouble::Denied)),
        ("silence", |_| Ok(Trouble::Silence)),
        ("lost-answer", |_| Ok(Trouble::LostAnswer)),
        ("error-after-effect", |_| Ok(Trouble::ErrorAfterEffect)),
        ("slow", |words| words.some_time().map(Trouble::Slow)),
        ("stale", |_| Ok(Trouble::Stale)),
    ];
    words.choose("a trouble", TROUBLES)?(words)
}

/// The action, unless the line ends or an end of the fault follows.
fn action(words: &mut Words<'_>, service: Service) -> Result<Option<&'static str>, Complaint> {
    let Some(word) = words.peek().filter(|word| !matches!(*word, "for" | "until")) else {
        return Ok(None);
    };
    let known = actions(service);
    match known.iter().find(|known| **known == word) {
        Some(action) => words.next("an action").map(|_| Some(*action)),
        None => {
            let problem = "is no action that a function calls on this service";
            Err(Complaint::new(word, problem, nearest::remedy(word, known)))
        }
    }
}

fn events(words: &mut Words<'_>) -> Result<Fault, Complaint> {
    type Of = fn(&mut Words<'_>) -> Result<Delivery, Complaint>;
    const DELIVERIES: &[(&str, Of)] = &[
        ("late", |words| words.some_time().map(Delivery::Late)),
        ("dropped", |_| Ok(Delivery::Dropped)),
        ("doubled", |_| Ok(Delivery::Doubled)),
        ("reordered", |_| Ok(Delivery::Reordered)),
    ];
    words.choose("a disturbed delivery", DELIVERIES)?(words).map(Fault::Events)
}

fn coordinator(words: &mut Words<'_>) -> Result<Fault, Complaint> {
    type Of = fn(&mut Words<'_>) -> Result<Disturbance, Complaint>;
    const DISTURBANCES: &[(&str, Of)] = &[
        ("killed", |_| Ok(Disturbance::Killed)),
        ("delayed", |words| words.some_time().map(Disturbance::Delayed)),
        ("doubled", |_| Ok(Disturbance::Doubled)),
        ("ahead", |words| words.some_time().map(Disturbance::Ahead)),
        ("behind", |words| words.some_time().map(Disturbance::Behind)),
    ];
    words.choose("a disturbance of the coordinator", DISTURBANCES)?(words).map(Fault::Coordinator)
}

fn operator(words: &mut Words<'_>) -> Result<Fault, Complaint> {
    type Of = fn(&mut Words<'_>) -> Result<OperatorDeed, Complaint>;
    const DEEDS: &[(&str, Of)] = &[
        ("sets", |words| words.named().map(OperatorDeed::Sets)),
        ("fails-over", |_| Ok(OperatorDeed::FailsOver)),
        ("switches-over", |_| Ok(OperatorDeed::SwitchesOver)),
        ("deletes-lease", |_| Ok(OperatorDeed::DeletesLease)),
    ];
    words.choose("something an operator does", DEEDS)?(words).map(Fault::Operator)
}

impl Fault {
    /// The instance that it is about, if one.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::KillHost(place)
            | Self::KillPostgres(place)
            | Self::Freeze(place)
            | Self::Restart(place)
            | Self::StallCommits(place)
            | Self::FillDisk(place)
            | Self::FailCommits(place)
            | Self::RefuseWrites(place)
            | Self::TakeConnections(place)
            | Self::Linger(place)
            | Self::Lag(place, _)
            | Self::Cut(place, _) => Some(*place),
            Self::Blind(_)
            | Self::Delay(..)
            | Self::Isolate(_)
            | Self::RefusePassword(_)
            | Self::RotatePassword(_)
            | Self::Fail(..)
            | Self::Events(_)
            | Self::Coordinator(_)
            | Self::KillProber(_)
            | Self::Platform(_)
            | Self::Operator(_) => None,
        }
    }

    /// Whether it is over as soon as it has happened, so that it cannot end later.
    pub fn is_over_at_once(&self) -> bool {
        match self {
            Self::KillPostgres(_)
            | Self::Restart(_)
            | Self::Coordinator(Disturbance::Killed)
            | Self::KillProber(_)
            | Self::Platform(PlatformDeed::FailsOver)
            | Self::Operator(_) => true,
            Self::KillHost(_)
            | Self::Freeze(_)
            | Self::StallCommits(_)
            | Self::FillDisk(_)
            | Self::FailCommits(_)
            | Self::RefuseWrites(_)
            | Self::TakeConnections(_)
            | Self::Linger(_)
            | Self::Lag(..)
            | Self::Cut(..)
            | Self::Blind(_)
            | Self::Delay(..)
            | Self::Isolate(_)
            | Self::RefusePassword(_)
            | Self::RotatePassword(_)
            | Self::Fail(..)
            | Self::Events(_)
            | Self::Coordinator(
                Disturbance::Delayed(_) | Disturbance::Doubled | Disturbance::Ahead(_) | Disturbance::Behind(_),
            )
            | Self::Platform(
                PlatformDeed::FailoversFail
                | PlatformDeed::FailoversReverse
                | PlatformDeed::ChangesCluster
                | PlatformDeed::KeepsEndpoint
                | PlatformDeed::PausesCluster
                | PlatformDeed::SwitchesBlueGreen
                | PlatformDeed::StopsCluster
                | PlatformDeed::LosesKey,
            ) => false,
        }
    }
}
