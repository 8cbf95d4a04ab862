//! The known word that somebody probably meant.

/// Longer words are no slip of the finger.
const LONGEST: usize = 32;

/// What to write instead of `word`: the known word that is nearest to it, else all of them.
pub(crate) fn remedy(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write one of: {}", known.join(", ")),
    }
}

fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let length = word.chars().count();
    // A number that is near another one means something else.
    if length > LONGEST || word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let allowed = (length / 3).max(1);
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|known| (distance(&lower, known), *known))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, known)| known)
}

/// How many characters must be added, removed or replaced (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (done, from) in left.chars().enumerate() {
        let mut next = vec![done + 1];
        for (at, to) in right.iter().enumerate() {
            let replaced = row[at] + usize::from(from != *to);
            next.push(replaced.min(row[at + 1] + 1).min(next[at] + 1));
        }
        row = next;
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_a_stranger_is_not() {
        let known = ["kill-host", "kill-postgres", "freeze", "cut"];
        for (word, meant) in [("kil-host", "kill-host"), ("Freeze", "freeze"), ("fereze", "freeze"), ("cu", "cut")] {
            assert_eq!(remedy(word, &known), format!("did you mean `{meant}`?"));
        }
        for word in ["explode", "", "12", &"kill-host".repeat(50)] {
            assert_eq!(remedy(word, &known), "write one of: kill-host, kill-postgres, freeze, cut");
        }
    }
}
