//! Tables that can be scrolled by keyboard where they are wider than the screen.

use maud::{Markup, html};

/// A column: its head, and whether it holds numbers.
pub(super) type Column<'a> = (&'a str, bool);

/// A table; each row has one cell for each column.
pub(super) fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll role="group" aria-label=(caption) tabindex="0" {
            table {
                caption { (caption) }
                thead {
                    tr { @for (head, number) in columns { th scope="col" class=[number.then_some("number")] { (head) } } }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, (_, number)) in row.iter().zip(columns) {
                                td class=[number.then_some("number")] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A cell of plain text.
pub(super) fn cell(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

/// A section with its heading.
pub(super) fn section(id: &str, heading: &str, inner: &Markup) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (heading) }
            (inner)
        }
    }
}
