//! Every commit of every client around the outage: one dot each.

use maud::Markup;
use plotters::chart::ChartBuilder;
use plotters::element::{Circle, Cross, PathElement, Rectangle};

use super::{Ink, figure, on_axis, text};
use crate::ReportError;
use crate::facts::Run;
use crate::load::Client;

/// Before the zero and after the last event that is shown, in seconds.
const AROUND_S: f64 = 0.5;
/// The height of one client's row in pixels.
const ROW: u32 = 26;
/// Commits that are nearer than this, in pixels, are drawn as one line.
const APART: f64 = 5.0;
/// Errors beyond this number on a row are not drawn; the table has them all.
const CROSSES_MAX: usize = 300;

/// Draws it. None without clients.
pub(crate) fn clients(run: &Run) -> Result<Option<Markup>, ReportError> {
    let Some(load) = run.load.as_ref().filter(|load| !load.clients.is_empty()) else { return Ok(None) };
    let (from, to) = around(run, load.from_s, load.to_s);
    let rows = load.clients.len();
    let says = format!(
        "Every transfer of {rows} clients from {from:.1} s to {to:.1} s: a dot for each acknowledged commit, a cross for \
         each error. The table below holds the same in numbers."
    );
    let height = u32::try_from(rows).unwrap_or(1).saturating_mul(ROW) + 40;
    let drawn = figure(
        &says,
        |_| height,
        |sheet, area| {
            let mut chart = ChartBuilder::on(area)
                .margin_right(14)
                .margin_top(8)
                .x_label_area_size(26)
                .y_label_area_size(if sheet.is_narrow() { 34 } else { 44 })
                .build_cartesian_2d(from..to, (rows as f64 - 0.5)..-0.5)?;
            chart
                .configure_mesh()
                .disable_mesh()
                .axis_style(Ink::Muted.line(1))
                .label_style(text(Ink::Muted))
                .x_labels(sheet.ticks())
                .y_labels(rows.min(12))
                .x_label_formatter(&on_axis)
                .y_label_formatter(&|row: &f64| format!("{:.0}", row + 1.0))
                .draw()?;
            if let Some(outage) = run.outage {
                let corners = [(outage.from_s.max(from), -0.5), (outage.to_s.min(to), rows as f64 - 0.5)];
                chart.draw_series([Rectangle::new(corners, Ink::Outage.filled())])?;
            }
            chart.draw_series(load.clients.iter().zip(0_u32..).map(|(_, row)| {
                PathElement::new(vec![(from, f64::from(row)), (to, f64::from(row))], Ink::Grid.line(1))
            }))?;
            let moments = run.phases.iter().map(|phase| phase.at_s).filter(|at| (from..=to).contains(at));
            chart.draw_series(
                std::iter::once(0.0)
                    .chain(moments)
                    .map(|at| PathElement::new(vec![(at, -0.5), (at, rows as f64 - 0.5)], Ink::Mark.line(1))),
            )?;
            let shown = |at: &&f64| (from..=to).contains(*at);
            for (client, row) in load.clients.iter().zip(0_u32..) {
                let row = f64::from(row);
                let apart = APART * (to - from) / f64::from(sheet.width);
                let commits = client.acknowledged_s.iter().filter(shown).copied();
                for (first, last) in runs(commits, apart) {
                    let line = vec![(first, row), (last, row)];
                    chart.draw_series([PathElement::new(line, Ink::Commit.line(4))])?;
                    chart.draw_series([Circle::new((first, row), 2, Ink::Commit.filled())])?;
                }
                let failed = client.failed_s.iter().filter(shown).take(CROSSES_MAX);
                chart.draw_series(failed.map(|at| Cross::new((*at, row), 4, Ink::Failed.line(2))))?;
                let doubt = client.in_doubt_s.iter().filter(shown).take(CROSSES_MAX);
                chart.draw_series(doubt.map(|at| Circle::new((*at, row), 5, Ink::Doubt.line(2))))?;
            }
            Ok(())
        },
    )?;
    Ok(Some(drawn))
}

/// Stretches in which no two neighbours are further apart: first and last moment of each.
fn runs(moments: impl Iterator<Item = f64>, apart: f64) -> Vec<(f64, f64)> {
    let mut runs: Vec<(f64, f64)> = Vec::new();
    for at in moments {
        match runs.last_mut() {
            Some((_, last)) if at - *last <= apart => *last = at,
            Some(_) | None => runs.push((at, at)),
        }
    }
    runs
}

/// The time that tells the most: from just before the failure until every client works again.
fn around(run: &Run, from: f64, to: f64) -> (f64, f64) {
    let pause = |client: &Client| client.longest.map(|pause| pause.to_s);
    let clients = run.load.iter().flat_map(|load| &load.clients).filter_map(pause);
    let phases = run.phases.iter().map(|phase| phase.at_s);
    let last = clients.chain(phases).chain(run.outage.map(|outage| outage.to_s)).fold(0.0, f64::max);
    let first = run.outage.map_or(0.0, |outage| outage.from_s.min(0.0));
    ((first - AROUND_S).max(from), (last + AROUND_S).min(to).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_lie_close_are_one_line_and_a_gap_stays_a_gap() {
        assert_eq!(runs([0.0, 0.1, 0.2, 1.5, 3.0].into_iter(), 0.15), [(0.0, 0.2), (1.5, 1.5), (3.0, 3.0)]);
        assert_eq!(runs(std::iter::empty(), 1.0), []);
    }
}
