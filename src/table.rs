//! An answer for a person: an aligned table that fits its terminal. Columns that do not fit are named and not shown; those that auditors look up (controls,
//! coordinates) come last, and what is empty in every row is left out first.

use std::io::Write;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

/// Most characters of one cell.
const CELL_CHARS_MAX: usize = 72;
/// Spaces between two columns.
const GAP: usize = 2;
/// Columns that are looked up rather than read.
const LOOKED_UP: &[&str] = &[
    "owasp_nhi",
    "nist_800_53",
    "nist_csf",
    "pci_dss",
    "iso_27001",
    "iec_62443",
    "log_partition",
    "log_offset",
    "rule_index",
    "revision",
    "rule_version",
    "raw",
    "raw_hash",
    "event_ids",
    "detection_id",
    "as_of",
    "p_value",
    "rank_parts",
    "features",
    "issued_is_exact",
    "below_line",
    "day",
];

/// Writes the rows; within `width` characters, where there is a terminal.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut impl Write, schema: &SchemaRef, batches: &[RecordBatch], width: Option<usize>) -> anyhow::Result<()> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        writeln!(out, "(nothing)")?;
        return Ok(());
    }
    let columns = columns(schema, batches)?;
    let shown = match width {
        Some(width) => fitting(&columns, width),
        None => vec![true; columns.len()],
    };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let visible = || columns.iter().zip(&shown).filter_map(|(column, shown)| shown.then_some(column));
    table.set_header(visible().map(|column| Cell::new(column.name).add_attribute(Attribute::Bold)));
    for row in 0..rows {
        table.add_row(visible().map(|column| cell(column, row)));
    }
    writeln!(out, "{table}")?;
    let hidden: Vec<&str> = columns.iter().zip(&shown).filter(|(column, shown)| !**shown && !column.is_empty).map(|(column, _)| column.name).collect();
    if !hidden.is_empty() {
        writeln!(out, "not shown: {} (--wide)", hidden.join(", "))?;
    }
    Ok(())
}

/// One column, as text.
struct Column<'a> {
    name: &'a str,
    is_number: bool,
    is_empty: bool,
    cells: Vec<String>,
    width: usize,
}

fn columns<'a>(schema: &'a SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<Vec<Column<'a>>> {
    let format = FormatOptions::default().with_null("").with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S"));
    let column = |(index, field): (usize, &'a arrow::datatypes::FieldRef)| {
        let mut cells = Vec::new();
        for array in batches.iter().filter_map(|batch| batch.columns().get(index)) {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &format)?;
            cells.extend((0..array.len()).map(|row| text(&formatter.value(row).to_string(), field.data_type())));
        }
        let longest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        Ok(Column {
            name: field.name(),
            is_number: field.data_type().is_numeric(),
            is_empty: cells.iter().all(|cell| cell.is_empty() || cell == "[]"),
            width: longest.max(field.name().chars().count()) + GAP,
            cells,
        })
    };
    schema.fields().iter().enumerate().map(column).collect()
}

/// Which columns there is room for: those that are read before those that are looked up, each in the answer's order. The first is always shown.
fn fitting(columns: &[Column<'_>], width: usize) -> Vec<bool> {
    let mut order: Vec<(usize, &Column<'_>)> = columns.iter().enumerate().filter(|(_, column)| !column.is_empty).collect();
    order.sort_by_key(|(index, column)| (LOOKED_UP.contains(&column.name), *index));
    let mut shown = vec![false; columns.len()];
    let mut room = width;
    for (at, (index, column)) in order.into_iter().enumerate() {
        if at > 0 && column.width > room {
            continue;
        }
        room = room.saturating_sub(column.width);
        if let Some(shown) = shown.get_mut(index) {
            *shown = true;
        }
    }
    shown
}

fn cell(column: &Column<'_>, row: usize) -> Cell {
    let text = column.cells.get(row).map_or("", String::as_str);
    let color = match (column.name, text) {
        ("severity", "critical" | "high") | ("outcome", "denied" | "failure") | ("state", "revoked" | "expired") => Some(Color::Red),
        ("severity", "medium") | ("state", "superseded") | ("first_ever", "true") => Some(Color::Yellow),
        _ => None,
    };
    let cell = Cell::new(text).set_alignment(if column.is_number { CellAlignment::Right } else { CellAlignment::Left });
    match color {
        Some(color) => cell.fg(color),
        None => cell,
    }
}

fn text(text: &str, ty: &DataType) -> String {
    let text = match ty {
        DataType::Float64 => text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| format!("{number:.1}")),
        _ => text.replace(['\n', '\r', '\t'], " "),
    };
    // Control characters of a log must not reach a terminal.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().count() > CELL_CHARS_MAX { text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn written(width: Option<usize>) -> String {
        let names = ["problem", "identity", "owasp_nhi", "credential", "detail"];
        let schema = Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()));
        let cells = ["shared", "svc-deploy\u{1b}[2J", "NHI9:2025", "", "used from three places"];
        let batch = RecordBatch::try_new(schema.clone(), cells.iter().map(|cell| Arc::new(StringArray::from(vec![*cell])) as _).collect()).unwrap();
        let mut out = Vec::new();
        write(&mut out, &schema, &[batch], width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_fits_is_shown_and_the_rest_is_named() {
        let text = written(Some(55));
        assert!(text.contains("detail") && text.contains("not shown: owasp_nhi (--wide)"), "{text}");
        assert!(!text.contains("credential"), "what is empty is not missed: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= 55), "{text}");
        let narrow = written(Some(10));
        assert!(narrow.contains("problem") && narrow.contains("not shown: identity, owasp_nhi, detail"), "{narrow}");
        let wide = written(None);
        assert!(wide.contains("NHI9:2025") && wide.contains("credential") && !wide.contains("not shown"), "{wide}");
        assert!(!wide.contains('\u{1b}'), "{wide}");
    }
}
