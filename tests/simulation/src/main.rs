//! The simulation.
fn main() {}
