//! The pure decision core of Steadfast: no clock, no runtime, no AWS, no SQL driver.
//!
//! The modules stand in the order of the data:
//!
//! 1. [`hint`], [`route`]: something woke us. Never a fact.
//! 2. [`witness`] through [`board`], [`topology`]: what was seen.
//! 3. [`snapshot`]: all facts looked at now, frozen, with `now` in it.
//! 4. [`diagnosis`], [`candidate`]: what the facts mean, who could take over.
//! 5. [`decision`]: **what we do**: [`decision::decide`] over the numbered rules of [`rules`].
//! 6. [`step`], [`episode`], [`lease`], [`executor`] over [`ports`]: how it is done, and by whom; [`switchover`]
//!    behind the [`gate`]: the same on purpose; [`drain`]: until when the drainer's orders count.
//! 7. [`pin`]: a stable name for the writer, when nothing is wrong.
//! 8. [`rotation`]: passwords that change while nobody notices, and never in an episode; [`verification`]: backups that were
//!    opened; [`game_day`]: what is broken on purpose, once a week, and whether it went as expected; [`application`]: what
//!    an application felt.
//! 9. [`evidence`], [`metric`], [`notice`] with its [`remedy`], [`debris`]: what can be proved and told afterwards.

pub mod application;
pub mod board;
pub mod candidate;
pub mod classify;
pub mod debris;
pub mod decision;
pub mod diagnosis;
pub mod drain;
pub mod episode;
pub mod evidence;
pub mod executor;
pub mod facts;
pub mod game_day;
pub mod gate;
pub mod hint;
pub mod lease;
pub mod metric;
pub mod mode;
pub mod notice;
pub mod pattern;
pub mod pin;
pub mod policy;
pub mod ports;
pub mod rds_event;
pub mod remedy;
pub mod rotation;
pub mod route;
pub mod rules;
pub mod snapshot;
pub mod step;
pub mod switchover;
pub mod time;
pub mod topology;
pub mod verification;
pub mod witness;
