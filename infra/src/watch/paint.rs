//! Lines with tones. A tone only underlines what the words say already.

use std::fmt::Write as _;

use termion::{color, style};

/// How a piece of a line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Warning,
    Quiet,
    Strong,
}

/// One line of the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(String, Tone)>);

impl Line {
    /// A line with one piece.
    pub(crate) fn of(text: impl Into<String>, tone: Tone) -> Self {
        Self::default().with(text, tone)
    }

    /// The same with one more piece at its end. What would move the cursor is left out.
    pub(crate) fn with(mut self, text: impl Into<String>, tone: Tone) -> Self {
        let text: String = text.into();
        self.0.push((text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(), tone));
        self
    }

    /// Its words.
    pub fn text(&self) -> String {
        self.0.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// How many columns it takes.
    fn width(&self) -> usize {
        self.0.iter().map(|(text, _)| text.chars().count()).sum()
    }

    /// The same filled with spaces to this many columns.
    fn filled(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        self.with(" ".repeat(missing), Tone::Plain)
    }

    /// No more of it than fits.
    pub(crate) fn cut(self, width: usize) -> Self {
        let mut left = width;
        let mut cut = Self::default();
        for (text, tone) in self.0 {
            let part: String = text.chars().take(left).collect();
            left = left.saturating_sub(part.chars().count());
            cut.0.push((part, tone));
        }
        cut
    }

    /// As a terminal takes it.
    pub(crate) fn escaped(&self) -> String {
        let mut escaped = String::new();
        for (text, tone) in &self.0 {
            // Writing to a string does not fail.
            let _ = match tone {
                Tone::Plain => write!(escaped, "{text}"),
                Tone::Good => write!(escaped, "{}{text}", color::Fg(color::Green)),
                Tone::Bad => write!(escaped, "{}{}{text}", color::Fg(color::Red), style::Bold),
                Tone::Warning => write!(escaped, "{}{text}", color::Fg(color::Yellow)),
                Tone::Quiet => write!(escaped, "{}{text}", style::Faint),
                Tone::Strong => write!(escaped, "{}{text}", style::Bold),
            };
            let _ = write!(escaped, "{}{}", style::Reset, color::Fg(color::Reset));
        }
        escaped
    }
}

/// A text in as many lines as it takes.
pub(crate) fn wrapped(text: &str, tone: Tone, width: usize) -> Vec<Line> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(width.max(1)).map(|part| Line::of(part.iter().collect::<String>(), tone)).collect()
}

/// Rows whose cells stand below each other.
pub(crate) fn table(rows: Vec<Vec<(String, Tone)>>) -> Vec<Line> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0).saturating_add(2)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: Vec<(String, Tone)>| {
        let cells = row.into_iter().zip(&widths);
        cells.fold(Line::default(), |line, ((text, tone), width)| {
            let end = line.width().saturating_add(*width);
            line.with(text, tone).filled(end)
        })
    };
    rows.into_iter().map(line).collect()
}
