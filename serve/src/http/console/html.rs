//! HTML from rows: everything that comes from a log is escaped, and nothing else is written.

use std::fmt::Write as _;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Characters of a cell; the rest is cut off.
const CELL_CHARS_MAX: usize = 160;

/// A page around `body`; neither title nor coverage line need be escaped.
pub fn page(title: &str, body: &str, coverage: &str) -> String {
    let (title, coverage) = (escaped(title), escaped(coverage));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title} · keytrail</title>\
        <link rel=\"stylesheet\" href=\"/console/style.css\"></head><body><nav><a href=\"/console\">keytrail</a> <a href=\"/console/posture\">posture</a> \
        <form action=\"/console/identity\" method=\"get\"><input name=\"name\" placeholder=\"an identity\" required> <button>what did it touch?</button></form></nav>\
        <main><h1>{title}</h1>{body}</main><footer>{coverage}</footer></body></html>\n"
    )
}

/// Text in HTML, within quotation marks too. Control characters are left out.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() && letter != '\n' => {}
            letter => out.push(letter),
        }
    }
    out
}

/// Percent-encoded, for a path's segment or a query's value.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The page `to` of a name.
pub fn path(to: &str, name: &str) -> String {
    format!("{to}?name={}", encoded(name))
}

/// Where a cell leads.
#[derive(Debug, Clone, Copy)]
pub enum Link {
    /// To a path that ends in the value of column `of`.
    Path { to: &'static str, of: &'static str },
    /// To a page of the name in column `of`.
    Name { to: &'static str, of: &'static str },
}

/// Rows as a table.
#[derive(Debug)]
pub struct Table<'a> {
    batches: &'a [RecordBatch],
    columns: &'a [&'static str],
    links: Vec<(&'static str, Link)>,
}

impl<'a> Table<'a> {
    /// A table of these rows.
    pub const fn of(batches: &'a [RecordBatch]) -> Self {
        Self { batches, columns: &[], links: Vec::new() }
    }

    /// The columns that are shown.
    pub const fn columns(mut self, columns: &'a [&'static str]) -> Self {
        self.columns = columns;
        self
    }

    /// Makes a column lead somewhere.
    pub fn linked(mut self, column: &'static str, link: Link) -> Self {
        self.links.push((column, link));
        self
    }

    /// The table in HTML.
    pub fn written(self) -> String {
        if self.batches.iter().all(|batch| batch.num_rows() == 0) {
            return "<p>Nothing.</p>".to_owned();
        }
        let mut out = "<table><thead><tr>".to_owned();
        for column in self.columns {
            let _ = write!(out, "<th>{}</th>", escaped(&column.replace('_', " ")));
        }
        out.push_str("</tr></thead><tbody>");
        let format = FormatOptions::default().with_null("").with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S"));
        for batch in self.batches {
            let value = |column: &str, row: usize| {
                let array = batch.column_by_name(column)?;
                Some(ArrayFormatter::try_new(array.as_ref(), &format).ok()?.value(row).to_string())
            };
            for row in 0..batch.num_rows() {
                out.push_str("<tr>");
                for column in self.columns {
                    let text = value(column, row).unwrap_or_default();
                    let class = if *column == "severity" || *column == "outcome" { format!(" class=\"{}\"", escaped(&text)) } else { String::new() };
                    let link = self.links.iter().find(|(linked, _)| linked == column).and_then(|(_, link)| {
                        Some(match link {
                            Link::Path { to, of } => format!("{to}{}", encoded(&value(of, row)?)),
                            Link::Name { to, of } => path(to, &value(of, row)?),
                        })
                    });
                    let shown = escaped(&short(&text, batch.column_by_name(column).is_some_and(|array| array.data_type().is_floating())));
                    let _ = match link {
                        Some(link) => write!(out, "<td{class}><a href=\"{link}\">{shown}</a></td>"),
                        None => write!(out, "<td{class}>{shown}</td>"),
                    };
                }
                out.push_str("</tr>");
            }
        }
        out + "</tbody></table>"
    }
}

fn short(text: &str, is_number: bool) -> String {
    if is_number {
        return text.parse::<f64>().map_or_else(|_| text.to_owned(), |number| format!("{number:.1}"));
    }
    if text.chars().count() > CELL_CHARS_MAX { text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn nothing_of_a_log_becomes_markup() {
        let schema = Arc::new(Schema::new(vec![Field::new("severity", DataType::Utf8, true), Field::new("identity", DataType::Utf8, true)]));
        let evil = "\"><script>alert(1)</script>'\u{1b}[2J";
        let cells = Arc::new(StringArray::from(vec![evil]));
        let batch = RecordBatch::try_new(schema, vec![cells.clone(), cells]).unwrap();
        let table = Table::of(std::slice::from_ref(&batch))
            .columns(&["severity", "identity"])
            .linked("identity", Link::Name { to: "/console/identity", of: "identity" });
        let page = page(evil, &table.written(), evil);
        assert!(!page.contains("<script>") && !page.contains('\u{1b}'), "{page}");
        assert!(page.contains("href=\"/console/identity?name=%22%3E%3Cscript%3E"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 6, "title twice, two cells, a class, the footer: {page}");
    }
}
