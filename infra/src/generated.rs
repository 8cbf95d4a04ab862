//! The module's generated files as they are committed, for whoever installs the same without Terraform.
//!
//! A test holds them to [`crate::generate`].

/// Functions with their limits and settings.
pub const FUNCTIONS: &str = include_str!("../module/generated/functions.json");
/// Patterns of the rules that wake the router.
pub const EVENTS: &str = include_str!("../module/generated/events.json");
