//! What fails when: `at 5s FAULT [for D | until MILESTONE [D]]`, `after MILESTONE [D] FAULT ...`.

use crate::error::Complaint;
use crate::fault::fault;
use crate::line::Words;
use crate::scenario::{End, Event, Moment};

/// The line after `at`.
pub(crate) fn at(words: &mut Words<'_>, line: usize) -> Result<Event, Complaint> {
    let moment = Moment::At(words.duration()?);
    event(words, line, moment)
}

/// The line after `after`.
pub(crate) fn after(words: &mut Words<'_>, line: usize) -> Result<Event, Complaint> {
    let moment = Moment::After(words.named()?, words.optional_duration()?);
    event(words, line, moment)
}

fn event(words: &mut Words<'_>, line: usize, at: Moment) -> Result<Event, Complaint> {
    let fault = fault(words)?;
    let word = words.peek().unwrap_or_default();
    let end = if words.take("for") {
        End::For(words.some_time()?)
    } else if words.take("until") {
        End::Until(words.named()?, words.optional_duration()?)
    } else {
        End::Never
    };
    if end != End::Never && fault.is_over_at_once() {
        let problem = format!("cannot end `{fault}`, which is over at once");
        return Err(Complaint::new(word, problem, format!("leave out `{word}` and what follows")));
    }
    Ok(Event { line, at, fault, end })
}
