//! Charts as SVG. They hold no script, and take their colours from the page's light or dark scheme.

mod clients;
mod rate;
mod steps;

use std::io;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::prelude::SVGBackend;
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

use crate::ReportError;

pub(crate) use clients::clients;
pub(crate) use rate::rate;
pub(crate) use steps::steps;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// What a stroke or an area stands for. The drawing holds a number in place of the colour; the style sheet of the page
/// gives each number the colour of its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Text and axes.
    Text,
    /// Lesser text.
    Muted,
    /// Lines behind the data.
    Grid,
    /// Acknowledged commits.
    Commit,
    /// The time without commits.
    Outage,
    /// What failed.
    Failed,
    /// What stayed in doubt.
    Doubt,
    /// Moments.
    Mark,
}

impl Ink {
    /// Each with the name of its colour in the style sheet.
    const ALL: [(Self, &'static str); 8] = [
        (Self::Text, "text"),
        (Self::Muted, "muted"),
        (Self::Grid, "grid"),
        (Self::Commit, "commit"),
        (Self::Outage, "outage"),
        (Self::Failed, "failed"),
        (Self::Doubt, "doubt"),
        (Self::Mark, "mark"),
    ];

    fn code(self) -> RGBColor {
        let number = match self {
            Self::Text => 0x10,
            Self::Muted => 0x11,
            Self::Grid => 0x12,
            Self::Commit => 0x13,
            Self::Outage => 0x14,
            Self::Failed => 0x15,
            Self::Doubt => 0x16,
            Self::Mark => 0x17,
        };
        RGBColor(0x01, 0x01, number)
    }

    fn filled(self) -> ShapeStyle {
        self.code().filled()
    }

    fn line(self, width: u32) -> ShapeStyle {
        self.code().stroke_width(width)
    }
}

/// The rules of the style sheet that give the drawings their colours.
pub(crate) fn style() -> String {
    let rule = |(ink, name): &(Ink, &str)| {
        let RGBColor(red, green, blue) = ink.code();
        let code = format!("#{red:02X}{green:02X}{blue:02X}");
        format!("svg [fill=\"{code}\"]{{fill:var(--{name})}}svg [stroke=\"{code}\"]{{stroke:var(--{name})}}\n")
    };
    Ink::ALL.iter().map(rule).collect()
}

/// A width to draw for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheet {
    width: u32,
    name: &'static str,
}

/// A page on a screen or on paper, and a telephone.
const SHEETS: [Sheet; 2] = [Sheet { width: 960, name: "wide" }, Sheet { width: 358, name: "narrow" }];
/// In pixels: the size of text in a drawing.
const TEXT: f64 = 13.0;
/// Between two marks of the time axis, in pixels.
const TICK_EVERY: u32 = 75;

impl Sheet {
    fn is_narrow(self) -> bool {
        self.width < 600
    }

    /// How many numbers have room on the axis of time.
    fn ticks(self) -> usize {
        usize::try_from(self.width / TICK_EVERY).unwrap_or(4)
    }
}

fn font<'a>() -> FontDesc<'a> {
    // What the library writes is four fifths of what it is given.
    FontDesc::new(FontFamily::SansSerif, TEXT * 1.24, FontStyle::Normal)
}

fn text<'a>(ink: Ink) -> TextStyle<'a> {
    font().into_font().color(&ink.code())
}

/// A drawing in both widths, of which the page shows one. `height` may depend on the sheet.
fn figure(
    says: &str,
    height: impl Fn(Sheet) -> u32,
    draw: impl Fn(Sheet, &Area<'_>) -> Drawn,
) -> Result<Markup, ReportError> {
    let mut drawings = Vec::new();
    for sheet in SHEETS {
        drawings.push((sheet, one(sheet, height(sheet), &draw)?));
    }
    Ok(html! {
        @for (sheet, inner) in &drawings {
            svg class=(sheet.name) role="img" aria-label=(says) viewBox={ "0 0 " (sheet.width) " " (height(*sheet)) }
                width=(sheet.width) height=(height(*sheet)) {
                (PreEscaped(inner))
            }
        }
    })
}

/// What stands within the outermost element of one drawing.
fn one(sheet: Sheet, height: u32, draw: impl Fn(Sheet, &Area<'_>) -> Drawn) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (sheet.width, height)).into_drawing_area();
        let failed = |error: DrawingAreaErrorKind<io::Error>| ReportError::Chart(error.to_string());
        draw(sheet, &area).map_err(failed)?;
        area.present().map_err(failed)?;
    }
    let inner = svg.split_once('>').map(|(_, rest)| rest.trim_end().trim_end_matches("</svg>"));
    inner.map(str::to_owned).ok_or_else(|| ReportError::Chart("the drawing is empty".to_owned()))
}

/// A number on the axis of time.
fn on_axis(seconds: &f64) -> String {
    if seconds.abs() < 1e-9 {
        return "0 s".to_owned();
    }
    let text = format!("{:.2}", seconds.abs());
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{text} s", if *seconds < 0.0 { "\u{2212}" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_a_colour_of_its_own() {
        let style = style();
        for (ink, name) in Ink::ALL {
            let RGBColor(_, _, blue) = ink.code();
            assert_eq!(style.matches(&format!("#0101{blue:02X}")).count(), 2, "{name}");
            assert!(style.contains(&format!("var(--{name})")), "{name}");
        }
    }

    #[test]
    fn numbers_on_the_axis_have_no_needless_digits() {
        assert_eq!([on_axis(&0.0), on_axis(&-1.5), on_axis(&10.0)], ["0 s", "\u{2212}1.5 s", "10 s"]);
    }
}
