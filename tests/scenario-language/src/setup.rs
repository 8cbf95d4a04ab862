//! The set-up lines: all of them optional, each at most once.

use std::time::Duration;

use crate::error::Complaint;
use crate::line::{READERS_MAX, Words};
use crate::nearest;
use crate::scenario::{Interpreter, Only, Threshold};
use crate::vocabulary::Vocabulary;

/// `readers 2`
pub(crate) fn readers(words: &mut Words<'_>) -> Result<u8, Complaint> {
    let number = words.number("a number of readers", u64::from(READERS_MAX))?;
    Ok(u8::try_from(number).unwrap_or(READERS_MAX))
}

/// `platform fails over after 12s`, `platform never fails over`
pub(crate) fn platform(words: &mut Words<'_>) -> Result<Option<Duration>, Complaint> {
    match words.next("`fails over after 12s` or `never fails over`")? {
        "never" => words.literally(&["fails", "over"]).map(|()| None),
        "fails" => {
            words.literally(&["over", "after"])?;
            words.duration().map(Some)
        }
        word => Err(Complaint::new(
            word,
            "is nothing that the platform's line says",
            "write `platform fails over after 12s` or `platform never fails over`; what it does at a given time \
             belongs to the timeline: `at 5s platform fails-over`",
        )),
    }
}

/// `policy platform_grace 20s`
pub(crate) fn policy(words: &mut Words<'_>) -> Result<(Threshold, Duration), Complaint> {
    Ok((words.named()?, words.duration()?))
}

/// `only simulation: the lab cannot skew a clock`
pub(crate) fn only(words: &mut Words<'_>) -> Result<Only, Complaint> {
    let text = words.remainder();
    let (place, because) = text.split_once(':').unwrap_or((text, ""));
    let (place, because) = (place.trim(), because.trim());
    let Some((_, interpreter)) = Interpreter::WORDS.iter().find(|(word, _)| *word == place) else {
        let known: Vec<&str> = Interpreter::WORDS.iter().map(|(word, _)| *word).collect();
        let problem = format!("is not {}", Interpreter::WHAT);
        return Err(Complaint::new(place, problem, nearest::remedy(place, &known)));
    };
    if because.is_empty() {
        return Err(Complaint::new(place, "no reason is given", format!("write `only {place}: ` and the reason")));
    }
    Ok(Only { place: *interpreter, because: because.to_owned() })
}
