//! Reading and writing agree, whatever is written.

use proptest::prelude::*;

use super::any::scenario;
use crate::expectation::EXPECTATIONS;
use crate::fault::FAULTS;
use crate::parse;
use crate::scenario::Scenario;

/// The scenario as it is, but for where its lines stand.
fn unnumbered(mut scenario: Scenario) -> Scenario {
    scenario.timeline.iter_mut().for_each(|event| event.line = 0);
    scenario
}

/// Words of the language in any order, with strangers between them.
fn soup() -> impl Strategy<Value = String> {
    let mut words: Vec<&str> = FAULTS.iter().map(|(word, _)| *word).collect();
    words.extend(EXPECTATIONS.iter().map(|(word, _)| *word));
    words.extend(
        "at after 0s 500ms 12s for until opened called writer reader-1 reader-300 target az-a from \n".split(' '),
    );
    words.extend("readers mode armed platform never fails over policy lag_max lasts only simulation: # \n".split(' '));
    words.extend(
        "expect at most 1 640 rds stale throttle slow silence FailoverDBCluster 99999999999999999999h \n".split(' '),
    );
    proptest::collection::vec(
        prop_oneof![9 => proptest::sample::select(words).prop_map(str::to_owned), 1 => ".{0,6}"],
        0..60,
    )
    .prop_map(|words| format!("# soup\n{}", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(scenario in scenario()) {
        let text = scenario.to_string();
        let read = parse(&scenario.name, &text).map_err(|errors| TestCaseError::fail(format!("{errors}\nin\n{text}")))?;
        for event in &read.timeline {
            let line = text.lines().nth(event.line - 1).unwrap_or_default();
            prop_assert_eq!(line, event.to_string());
        }
        prop_assert_eq!(&unnumbered(read.clone()), &scenario, "in\n{}", text);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![any::<String>(), soup(), "(?s).{0,200}"], name in "[a-z-]{0,9}") {
        match parse(&name, &text) {
            Ok(scenario) => prop_assert_eq!(parse(&name, &scenario.to_string()).map(unnumbered), Ok(unnumbered(scenario))),
            Err(errors) => prop_assert!(errors.iter().all(|error| error.line >= 1 && !error.remedy.is_empty()), "{}", errors),
        }
    }
}
