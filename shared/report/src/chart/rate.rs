//! Commits per second through the whole run.

use maud::Markup;
use plotters::chart::ChartBuilder;
use plotters::element::{PathElement, Rectangle, Text};

use super::{Ink, Sheet, figure, on_axis, text};
use crate::ReportError;
use crate::facts::Run;
use crate::load::{Bin, Load, Pause};
use crate::words::duration;

/// At most so many columns, by the width of the sheet.
fn columns(sheet: Sheet) -> u16 {
    if sheet.is_narrow() { 60 } else { 160 }
}

/// Draws it. None without clients.
pub(crate) fn rate(run: &Run) -> Result<Option<Markup>, ReportError> {
    let Some(load) = &run.load else { return Ok(None) };
    let says = says(load, run.outage);
    let drawn = figure(
        &says,
        |sheet| if sheet.is_narrow() { 220 } else { 260 },
        |sheet, area| {
            let (width, bins) = load.bins(columns(sheet));
            let top = bins.iter().map(|bin| bin.commits).fold(1.0, f64::max) * 1.12;
            let mut chart = ChartBuilder::on(area)
                .margin_right(14)
                .margin_top(8)
                .x_label_area_size(26)
                .y_label_area_size(if sheet.is_narrow() { 34 } else { 44 })
                .build_cartesian_2d(load.from_s..load.to_s, 0.0..top)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(Ink::Grid.line(0))
                .bold_line_style(Ink::Grid.line(1))
                .axis_style(Ink::Muted.line(1))
                .label_style(text(Ink::Muted))
                .x_labels(sheet.ticks())
                .y_labels(5)
                .x_label_formatter(&on_axis)
                .y_label_formatter(&|commits: &f64| format!("{commits:.0}"))
                .draw()?;
            if let Some(outage) = run.outage.filter(|outage| outage.lasted_s() > width) {
                let area = [(outage.from_s.max(load.from_s), top), (outage.to_s.min(load.to_s), 0.0)];
                chart.draw_series([Rectangle::new(area, Ink::Outage.filled())])?;
            }
            let gap = width * 0.12;
            chart.draw_series(bins.iter().filter(|bin| bin.commits > 0.0).map(|bin| {
                let corners = [(bin.from_s + gap, 0.0), (bin.from_s + width - gap, bin.commits)];
                Rectangle::new(corners, Ink::Commit.filled())
            }))?;
            let troubles = bins.iter().filter(|bin| bin.troubles > 0.0);
            chart.draw_series(troubles.map(|bin| {
                let middle = bin.from_s + width / 2.0;
                PathElement::new(vec![(middle, 0.0), (middle, top * 0.06)], Ink::Failed.line(3))
            }))?;
            if load.from_s < 0.0 {
                chart.draw_series([PathElement::new(vec![(0.0, 0.0), (0.0, top)], Ink::Mark.line(2))])?;
                let label = Text::new(zero(run), (load_step(load), top * 0.985), text(Ink::Text));
                chart.draw_series([label])?;
            }
            Ok(())
        },
    )?;
    Ok(Some(drawn))
}

/// A little to the right of the zero.
fn load_step(load: &Load) -> f64 {
    (load.to_s - load.from_s) * 0.008
}

fn zero(run: &Run) -> String {
    run.zero.strip_prefix("the ").unwrap_or(&run.zero).to_owned()
}

fn says(load: &Load, outage: Option<Pause>) -> String {
    let (_, bins) = load.bins(160);
    let usual = typical(&bins);
    let gap = outage.map_or_else(String::new, |outage| {
        format!(
            " The longest time without a commit begins at {:.2} s and lasts {}.",
            outage.from_s,
            duration(outage.lasted_s())
        )
    });
    format!("Acknowledged commits per second of all clients together. Typically {usual:.0} per second.{gap}")
}

/// The middle value.
fn typical(bins: &[Bin]) -> f64 {
    let mut values: Vec<f64> = bins.iter().map(|bin| bin.commits).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
