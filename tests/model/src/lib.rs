//! A model of the lease, promotion and gate protocol, checked to a stated bound.
//!
//! [`failover`] is the unplanned failover as `steadfast_core::executor` does it: two or three
//! coordinators whose clocks differ, one state table with conditional writes, a control plane, the
//! platform's own failover, an operator who pauses. [`switchover`] is the planned one as the drainer
//! is to do it, with the gate of `steadfast_core::gate`. The checker goes every way that faults can
//! take, not a sample.
//!
//! # What is promised
//!
//! The second column is the number of the invariant in ARCHITECTURE.md.
//!
//! | | | promise |
//! | --- | --- | --- |
//! | P1 | 1 | never two failovers in flight: no two calls of ours, none over a failover that began before the lease was taken, none that outlives its episode |
//! | P2 | 2 | at most one call under each epoch of the lease; no more in an episode than the policy allows; a call of unknown fate is known to the episode, and repeated only with the same target and late enough |
//! | P3 | 3 | no call without its intention written before |
//! | P4 | 4 | a call is sent, and an intention takes effect, only under a lease that stands in the table; at a call it has not run out by true time |
//! | P5 | 9 | no intention is written once the table says paused or shadow |
//! | P6 | 4 | at most one coordinator believes that the lease is its own, while clocks keep their bound |
//! | P7 | 8 | every closed gate opens again within its bound, whoever crashed |
//! | P8 | | nobody is in a protected transaction on the old writer when a planned promotion is called, nor when the call arrives |
//! | P9 | 10 | within a bound after the last fault a commit has ended the episode, or a person knows of it |
//!
//! P7 and P9 are bounded in time and so are safety properties: the checker's `eventually` does not
//! see a path that ends in a cycle. What must be possible for all this to mean anything is checked as
//! well: each test names what it has to come across.
//!
//! # How it stays in step with the code
//!
//! * Decisions are the core's: `decide` and `step::next` over a real snapshot ([`failover::look`]), as
//!   are the lease's transitions, the next promotion, and the rules of the gate.
//! * What is modelled by hand is the executor's order of requests. The test `lockstep` runs real
//!   executors beside the model, over a state table in memory, and compares every request, every
//!   condition and every stored item, in thousands of random histories. It also shows that a protocol
//!   without one of the guards would be noticed.
//! * `guards` takes each guard away, and the checker must find what breaks.
//!
//! # Bounds
//!
//! Time is unbounded: states are told relative to now. Bounded are the number of faults, the number of
//! epochs (three), and the numbers of [`scale::Scale::SMALL`], which keep the order of the real ones.
//! With one thread on two shared cores:
//!
//! | faults | states | depth |
//! | --- | --- | --- |
//! | a coordinator or its request stands still for 3 ticks in all | 674 938 | 62 |
//! | stands still for 2, and a call or its answer is lost | 839 850 | 64 |
//! | a coordinator dies, an answer of the table is lost, a call or its answer is lost | 871 051 | 59 |
//! | a dead writer, the platform's failover, a coordinator dies | 396 108 | 52 |
//! | a write takes effect after it was given up, a run ends early | 732 779 | 62 |
//! | an operator pauses or takes the arms away and arms again, an answer is lost | 468 014 | 61 |
//! | the writer comes back and fails again | 237 577 | 59 |
//! | two calls are throttled, a coordinator dies | 220 350 | 54 |
//! | a call is lost, another throttled, its target becomes unfit | 484 523 | 60 |
//! | three coordinators, no fault but the writer's | 216 543 | 45 |
//! | time between look and decision, 1 tick | 176 003 | 43 |
//! | a coordinator dies, a call is lost, then calm (P9) | 647 818 | 76 |
//! | switchover by the Data API: drainer dies, coordinator dies, call is lost | 830 492 | 139 |
//!
//! `cargo test --release -p steadfast-model -- --nocapture` prints the numbers, in about a minute and
//! less than 200 MB. To go deeper (about ten minutes, up to 700 MB; up to 5.5 million states a mix):
//! `cargo test --release -p steadfast-model -- --ignored --nocapture --test-threads 1`.
//! A build that is not optimised takes a glance only: the first thirty thousand states, fewer histories.
//!
//! # What is taken for granted
//!
//! * Reads of the state table are consistent, and its writes are atomic. A second guard of the real
//!   table, that no evidence is written twice, is left out: the promises hold without it.
//! * A call to the control plane takes effect within `CALL_LIMIT` or never, and nothing stands still
//!   between the last look at the clock and the call. `guards` shows what happens otherwise; then only
//!   the control plane's own refusals are left.
//! * The control plane accepts no failover during another, nor one to the writer; what it describes is
//!   true when it is described; all witnesses see the truth.
//! * Runs of a coordinator never share a name. Leases that ended long ago are alike, so the model lets
//!   somebody take a lease over an older end than he saw; that is more than can happen.
//! * Messages to people arrive. Nobody deletes a lease by hand.

pub mod check;
pub mod failover;
pub mod scale;
pub mod switchover;
