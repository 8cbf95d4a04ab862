//! From the failure to the proof, one bar for each step.

use maud::Markup;
use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Ink, figure, on_axis, text};
use crate::ReportError;
use crate::facts::Run;
use crate::phases::Phase;
use crate::words::duration;

/// The height of one bar with its distance, in pixels.
const ROW: u32 = 28;
/// Of the whole time: where a bar ends so far to the right that its number stands before it.
const LATE: f64 = 0.8;

/// Draws it. None when there is no step.
pub(crate) fn steps(run: &Run) -> Result<Option<Markup>, ReportError> {
    let Some(last) = run.phases.last().map(|phase| phase.at_s).filter(|last| *last > 0.0) else { return Ok(None) };
    let bars = bars(&run.phases);
    let rows = bars.len() as f64;
    let told: Vec<String> = bars.iter().map(|bar| format!("{} after {}", bar.name, duration(bar.to))).collect();
    let says = format!("Steps in seconds after {}: {}.", run.zero, told.join(", "));
    let height = u32::try_from(bars.len()).unwrap_or(1).saturating_mul(ROW) + 32;
    let from = bars.first().map_or(0.0, |bar| bar.from.min(0.0));
    let (span, to) = (last - from, last + (last - from) * 0.04);
    let drawn = figure(
        &says,
        |_| height,
        |sheet, area| {
            let labels = 88;
            let mut chart = ChartBuilder::on(area)
                .margin_right(18)
                .margin_top(6)
                .margin_left(labels)
                .x_label_area_size(26)
                .build_cartesian_2d(from..to, rows..0.0)?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .disable_y_axis()
                .light_line_style(Ink::Grid.line(0))
                .bold_line_style(Ink::Grid.line(1))
                .axis_style(Ink::Muted.line(1))
                .label_style(text(Ink::Muted))
                .x_labels(sheet.ticks().min(8))
                .x_label_formatter(&on_axis)
                .draw()?;
            for (bar, row) in bars.iter().zip(0_u32..) {
                let row = f64::from(row);
                let corners = [(bar.from, row + 0.2), (bar.to.max(bar.from + span * 0.002), row + 0.8)];
                chart.draw_series([Rectangle::new(corners, Ink::Mark.filled())])?;
                if row + 1.0 < rows {
                    let line = vec![(bar.to, row + 0.8), (bar.to, row + 1.2)];
                    chart.draw_series([PathElement::new(line, Ink::Mark.line(1))])?;
                }
                let late = bar.to - from > span * LATE;
                let (at, side) =
                    if late { (bar.from - span * 0.01, HPos::Right) } else { (bar.to + span * 0.01, HPos::Left) };
                let number = text(Ink::Text).pos(Pos::new(side, VPos::Center));
                chart.draw_series([Text::new(format!("+{}", duration(bar.to - bar.from)), (at, row + 0.5), number)])?;
            }
            let name = text(Ink::Text).pos(Pos::new(HPos::Left, VPos::Top));
            for (bar, row) in bars.iter().zip(0_i32..) {
                let row_height = i32::try_from(ROW).unwrap_or(28);
                area.draw_text(&bar.name, &name, (0, 6 + row * row_height + 8))?;
            }
            Ok(())
        },
    )?;
    Ok(Some(drawn))
}

struct Bar {
    name: String,
    from: f64,
    to: f64,
}

fn bars(phases: &[Phase]) -> Vec<Bar> {
    let mut before = 0.0;
    let bar = |phase: &Phase| {
        let from = f64::min(before, phase.at_s);
        before = phase.at_s;
        Bar { name: phase.name.clone(), from, to: phase.at_s }
    };
    phases.iter().map(bar).collect()
}
