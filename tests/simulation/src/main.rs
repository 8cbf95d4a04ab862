//! `sim`.
fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (from, to) = (args[0], args.get(1).copied().unwrap_or(args[0] + 1));
    let began = std::time::Instant::now();
    let (mut bad, mut failovers, mut calls, mut flips) = (0, 0, 0, 0);
    for seed in from..to {
        let mut plan = steadfast_simulation::chaos::plan(seed);
        plan.trace = args.len() == 1;
        if plan.trace { println!("{:#?}", plan); }
        let report = steadfast_simulation::run::run(plan);
        for line in &report.trace { println!("{line}"); }
        failovers += report.failovers; calls += report.calls; flips += report.flips;
        if !report.violations.is_empty() {
            bad += 1;
            if bad < 30 { for v in report.violations.iter().take(2) { println!("seed {seed}: {v}"); } }
        }
        if args.len() == 1 { println!("{report:#?}"); }
    }
    println!("{} seeds, {bad} bad, {failovers} failovers, {calls} calls, {flips} flips, {:?}", to - from, began.elapsed());
}
