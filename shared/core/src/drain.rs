//! What the drainer may still do for an episode. Its orders come late, twice, or once more after minutes, when roles
//! and episodes have changed: an order counts only while the record of the latest episode asks for the same.

use crate::episode::Episode;
use crate::mode::Mode;
use crate::switchover::Plan;
use crate::topology::InstanceId;

/// Why an order is not carried out, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// Somebody paused us, or lets us only watch.
    #[error("the mode is {}, and only an armed Steadfast ends sessions or closes the gate", .0.as_str())]
    NotArmed(Mode),
    /// A newer episode has its own orders, and may have made the instance the writer again.
    #[error("episode {ordered} is not the latest, which is {latest}")]
    NotLatest {
        /// The episode that the order names.
        ordered: u64,
        /// The latest one.
        latest: u64,
    },
    /// The order is of another cluster's table, or the table was emptied.
    #[error("episode {0} is unknown: the state table holds none")]
    NoEpisode(u64),
    /// No coordinator has written this down as what it intends.
    #[error("episode {0} asks for no eviction on {1}; only what a coordinator has ordered can be repeated")]
    NoEviction(u64, InstanceId),
    /// The episode is over, plans no switchover, has not come to the gate or is past it, or is about another writer.
    #[error("episode {0} does not ask for the gate on {1}")]
    NoGate(u64, InstanceId),
}

/// Whether sessions on `demoted` may be ended for the episode of this epoch, given the mode and the latest episode.
/// Asked before each look: an eviction goes on after its episode is closed, for as long as the drainer watches.
///
/// # Errors
///
/// [`Void`] when they may not, or not any more.
pub fn may_evict(mode: Mode, latest: Option<&Episode>, epoch: u64, demoted: &InstanceId) -> Result<(), Void> {
    if mode != Mode::Armed {
        return Err(Void::NotArmed(mode));
    }
    let episode = of_epoch(latest, epoch)?;
    if episode.evicted && episode.old_writer == *demoted {
        Ok(())
    } else {
        Err(Void::NoEviction(epoch, demoted.clone()))
    }
}

/// Whether the gate may be closed on `writer` for the episode of this epoch, given the mode and the latest episode.
///
/// # Errors
///
/// [`Void`] when it may not.
pub fn may_close_gate(mode: Mode, latest: Option<&Episode>, epoch: u64, writer: &InstanceId) -> Result<(), Void> {
    if mode != Mode::Armed {
        return Err(Void::NotArmed(mode));
    }
    let episode = of_epoch(latest, epoch)?;
    if asks_for_gate(episode) && episode.old_writer == *writer {
        Ok(())
    } else {
        Err(Void::NoGate(epoch, writer.clone()))
    }
}

/// A gate that is closed once the plan is off, or the call made, keeps everybody out for nothing.
fn asks_for_gate(episode: &Episode) -> bool {
    let waits = |plan: &Plan| plan.asked && !plan.resumed && plan.called_off.is_none();
    episode.is_open() && episode.promotion.is_none() && episode.plan.as_ref().is_some_and(waits)
}

fn of_epoch(latest: Option<&Episode>, ordered: u64) -> Result<&Episode, Void> {
    let latest = latest.ok_or(Void::NoEpisode(ordered))?;
    if latest.epoch == ordered { Ok(latest) } else { Err(Void::NotLatest { ordered, latest: latest.epoch }) }
}
