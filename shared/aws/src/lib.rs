//! The world as the core needs it: AWS, PostgreSQL, DNS and the clock.
//!
//! Every function reads its settings with [`settings`], makes its clients with [`clients`], and
//! hands them to the core as one [`coordinator::World`] or uses them one by one. How each is deployed
//! stands in [`functions`].

pub mod clients;
pub mod clock;
pub mod control_plane;
pub mod coordinator;
pub mod data_api;
pub mod functions;
pub mod game_day;
pub mod grant;
pub mod log;
pub mod names;
pub mod notifier;
pub mod postgres;
pub mod resolver;
pub mod rotation;
pub mod secret;
pub mod settings;
pub mod siblings;
pub mod startup;
pub mod state;
pub mod subnets;
pub mod verification;
pub mod watched;
