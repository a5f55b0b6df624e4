//! Pictures of answers, for a report: what was touched over time, when an identity is at work, and what could be reached, as SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use keytrail_schemas::Micros;
use plotters::prelude::*;
use serde_json::Value;

use crate::exit::Usage;
use crate::server::Answer;

/// Destinations of one picture, or of one hop; what is more is counted.
const NAMES_MAX: usize = 40;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 44;
/// An age in days that is drawn as the oldest.
const AGE_DAYS_MAX: f64 = 365.0;
const LINE: i32 = 18;
const LEFT: i32 = 320;
const TOP: i32 = 56;
const INK: RGBColor = RGBColor(27, 31, 36);
const SOFT: RGBColor = RGBColor(150, 157, 165);
/// One for each environment; they begin again behind the last.
const PALETTE: [RGBColor; 6] =
    [RGBColor(11, 92, 173), RGBColor(176, 60, 20), RGBColor(30, 125, 60), RGBColor(125, 60, 160), RGBColor(150, 105, 0), RGBColor(0, 120, 130)];

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Writes the picture of a question's answer to `path`.
///
/// # Errors
/// When it cannot be drawn or written, or there is no picture of this question.
pub fn write(question: &str, answer: &Answer, path: &Path) -> anyhow::Result<()> {
    let rows = rows(answer)?;
    let drawn = match question {
        "touched" => touched(&rows, &answer.coverage),
        "timeline" => timeline(&rows, &answer.coverage),
        "blast_radius" => blast_radius(&rows, &answer.coverage),
        other => return Err(Usage(format!("--plot: there is no picture of {other}; touched, timeline and blast-radius have one")).into()),
    };
    let svg = drawn.map_err(|error| anyhow::anyhow!("drawing {}: {error}", path.display()))?;
    std::fs::write(path, svg).with_context(|| path.display().to_string())
}

fn rows(answer: &Answer) -> anyhow::Result<Vec<Value>> {
    let mut encoder = keytrail_serve::format::Encoder::new(keytrail_serve::format::Format::Ndjson, &answer.schema, "")?;
    let mut rows = Vec::new();
    for batch in &answer.batches {
        for line in encoder.batch(batch)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            rows.push(serde_json::from_slice(line)?);
        }
    }
    Ok(rows)
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

fn count(row: &Value) -> i64 {
    row.get("count").and_then(Value::as_i64).unwrap_or(1)
}

fn time(row: &Value, column: &str) -> Option<i64> {
    Micros::parse_rfc3339(text(row, column)).ok().map(|time| time.0)
}

fn short(name: &str) -> String {
    let letters = name.chars().count();
    if letters <= NAME_CHARS_MAX { name.to_owned() } else { std::iter::once('…').chain(name.chars().skip(letters - NAME_CHARS_MAX + 1)).collect() }
}

/// A white sheet with a title and the coverage line; `draw` fills the rest.
fn sheet(width: i32, height: i32, title: &str, coverage: &str, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (u32::try_from(width)?, u32::try_from(height)?)).into_drawing_area();
        area.fill(&WHITE).map_err(|error| error.to_string())?;
        write_text(&area, title, (16, 12), 18, INK)?;
        write_text(&area, coverage, (16, height - 20), 11, SOFT)?;
        draw(&area)?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

fn write_text(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, color: RGBColor) -> Drawn {
    Ok(area.draw(&Text::new(text.to_owned(), at, ("sans-serif", size).into_font().color(&color))).map_err(|error| error.to_string())?)
}

fn write_box(area: &Area<'_>, corners: [(i32, i32); 2], color: RGBColor) -> Drawn {
    Ok(area.draw(&Rectangle::new(corners, color.filled())).map_err(|error| error.to_string())?)
}

/// From young (blue) to old (red).
fn age_color(days: Option<f64>) -> RGBColor {
    let Some(days) = days else { return SOFT };
    let part = (days / AGE_DAYS_MAX).clamp(0.0, 1.0);
    let mix = |from: f64, to: f64| (from + (to - from) * part).round() as u8;
    RGBColor(mix(45.0, 200.0), mix(125.0, 40.0), mix(210.0, 35.0))
}

/// A bar for each destination and credential, from its first time to its last; its colour is the credential's age.
fn touched(rows: &[Value], coverage: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows {
        *totals.entry(text(row, "destination")).or_default() += count(row);
    }
    let mut names: Vec<(&str, i64)> = totals.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let hidden = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let (from, to) = (rows.iter().filter_map(|row| time(row, "first")).min().unwrap_or(0), rows.iter().filter_map(|row| time(row, "last")).max().unwrap_or(1));
    let width = 1_100;
    let span = (to - from).max(1) as f64;
    let x = |time: i64| LEFT + ((time - from) as f64 / span * f64::from(width - LEFT - 40)) as i32;
    let height = TOP + LINE * i32::try_from(names.len())? + 72;
    let more = if hidden > 0 { format!(", the {NAMES_MAX} most touched of {}", names.len() + hidden) } else { String::new() };
    let title = format!("{}: what it touched{more}", rows.first().map_or("", |row| text(row, "identity")));
    sheet(width, height, &title, coverage, |area| {
        for (line, (name, total)) in names.iter().enumerate() {
            let y = TOP + LINE * i32::try_from(line)?;
            write_text(area, &format!("{}  {total}", short(name)), (16, y), 12, INK)?;
            for row in rows.iter().filter(|row| text(row, "destination") == *name) {
                let (Some(first), Some(last)) = (time(row, "first"), time(row, "last")) else { continue };
                write_box(
                    area,
                    [(x(first), y + 3), (x(last).max(x(first) + 3), y + LINE - 5)],
                    age_color(row.get("credential_age_days").and_then(Value::as_f64)),
                )?;
            }
        }
        let y = height - 62;
        write_text(area, &Micros(from).to_rfc3339(), (LEFT, y), 11, SOFT)?;
        write_text(area, &Micros(to).to_rfc3339(), (width - 170, y), 11, SOFT)?;
        for (index, (days, label)) in
            [(Some(0.0), "new"), (Some(90.0), "90 d"), (Some(AGE_DAYS_MAX), "a year or older"), (None, "age not known")].into_iter().enumerate()
        {
            let at = 16 + 120 * i32::try_from(index)?;
            write_box(area, [(at, y + 20), (at + 12, y + 32)], age_color(days))?;
            write_text(area, label, (at + 18, y + 20), 11, INK)?;
        }
        Ok(())
    })
}

/// Events by hour of the day and day of the week, in UTC.
fn timeline(rows: &[Value], coverage: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut cells = [[0_i64; 24]; 7];
    let events = rows.iter().filter(|row| text(row, "origin") == "event");
    for at in events.filter_map(|row| time(row, "time")) {
        // 1970-01-01 was a Thursday.
        let (day, hour) = ((at.div_euclid(Micros::DAY) + 3).rem_euclid(7), at.rem_euclid(Micros::DAY) / Micros::HOUR);
        if let Some(cell) = cells.get_mut(usize::try_from(day)?).and_then(|row| row.get_mut(usize::try_from(hour).unwrap_or(0))) {
            *cell += 1;
        }
    }
    let most = cells.iter().flatten().copied().max().unwrap_or(0).max(1);
    let title = rows.first().map_or("", |row| text(row, "identity"));
    let side = 40;
    sheet(80 + 24 * side, TOP + 7 * side + 80, title, coverage, |area| {
        write_text(area, &format!("events by hour of the week (UTC), {most} in the fullest"), (16, 36), 11, SOFT)?;
        for (day, (name, hours)) in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().zip(&cells).enumerate() {
            let y = TOP + side * i32::try_from(day)?;
            write_text(area, name, (16, y + 13), 12, INK)?;
            for (hour, events) in hours.iter().enumerate() {
                let x = 56 + side * i32::try_from(hour)?;
                // By its root: a few events are told from none.
                let part = (*events as f64 / most as f64).sqrt();
                let mix = |from: f64, to: f64| (from + (to - from) * part).round() as u8;
                write_box(area, [(x, y), (x + side - 2, y + side - 2)], RGBColor(mix(240.0, 8.0), mix(242.0, 81.0), mix(245.0, 156.0)))?;
            }
        }
        for hour in (0..24).step_by(3) {
            write_text(area, &format!("{hour:02}"), (56 + side * hour + 8, TOP + 7 * side + 6), 11, SOFT)?;
        }
        Ok(())
    })
}

/// Of one hop: who, and what was touched with how many events in which environment.
type Hop<'r> = (BTreeSet<&'r str>, BTreeMap<&'r str, (i64, &'r str)>);

/// Hop by hop: who, and what was touched; destinations of one environment have one colour, and a red line leads to who was reached with a credential obtained.
fn blast_radius(rows: &[Value], coverage: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut hops: BTreeMap<i64, Hop<'_>> = BTreeMap::new();
    for row in rows {
        let (who, what) = hops.entry(row.get("hop").and_then(Value::as_i64).unwrap_or(1)).or_default();
        who.insert(text(row, "identity"));
        let (total, environment) = what.entry(text(row, "destination")).or_default();
        *total += count(row);
        *environment = text(row, "environment");
    }
    let environments: BTreeSet<&str> = rows.iter().map(|row| text(row, "environment")).collect();
    let color = |environment: &str| match environments.iter().position(|known| *known == environment) {
        Some(index) if !environment.is_empty() => PALETTE.get(index % PALETTE.len()).copied().unwrap_or(INK),
        _ => INK,
    };
    // Who had the credential that another one was obtained with, on the hop before.
    let holders: BTreeMap<&str, &str> = rows.iter().map(|row| (text(row, "credential"), text(row, "identity"))).collect();
    let lines = hops.values().map(|(who, what)| who.len().max(what.len().min(NAMES_MAX + 1))).max().unwrap_or(1);
    let column = 360;
    let (width, height) = (40 + 2 * column * i32::try_from(hops.len().max(1))?, TOP + LINE * i32::try_from(lines)? + 90);
    sheet(width, height, "What could be reached, hop by hop", coverage, |area| {
        let mut before: BTreeMap<&str, (i32, i32)> = BTreeMap::new();
        for (index, (hop, (who, what))) in hops.iter().enumerate() {
            let x = 16 + 2 * column * i32::try_from(index)?;
            write_text(area, &format!("hop {hop}"), (x, 38), 12, SOFT)?;
            let mut shown: Vec<_> = what.iter().collect();
            shown.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
            shown.truncate(NAMES_MAX);
            let place = |line: usize, x: i32| Ok::<_, std::num::TryFromIntError>((x, TOP + LINE * i32::try_from(line)?));
            let who: BTreeMap<&str, (i32, i32)> =
                who.iter().enumerate().map(|(line, name)| Ok((*name, place(line, x)?))).collect::<Result<_, std::num::TryFromIntError>>()?;
            let what_at: BTreeMap<&str, (i32, i32)> =
                shown.iter().enumerate().map(|(line, (name, _))| Ok((**name, place(line, x + column)?))).collect::<Result<_, std::num::TryFromIntError>>()?;
            let mut edges = BTreeSet::new();
            for row in rows.iter().filter(|row| row.get("hop").and_then(Value::as_i64) == Some(*hop)) {
                if let (Some(a), Some(b)) = (who.get(text(row, "identity")), what_at.get(text(row, "destination"))) {
                    edges.insert((*a, *b));
                }
            }
            for (a, b) in edges {
                let line = PathElement::new(vec![(a.0 + 290, a.1 + 7), (b.0 - 6, b.1 + 7)], SOFT.mix(0.45));
                area.draw(&line).map_err(|error| error.to_string())?;
            }
            for (name, at) in &who {
                write_text(area, &short(name), *at, 12, INK)?;
            }
            let mut obtained = BTreeSet::new();
            for row in rows.iter().filter(|row| row.get("hop").and_then(Value::as_i64) == Some(*hop)) {
                let from = holders.get(text(row, "via")).and_then(|holder| before.get(holder));
                obtained.extend(from.zip(who.get(text(row, "identity"))).map(|(from, to)| (*from, *to)));
            }
            for (from, to) in obtained {
                let line = PathElement::new(vec![(from.0 + 290, from.1 + 12), (to.0 - 6, to.1 + 7)], RGBColor(200, 40, 35).mix(0.5));
                area.draw(&line).map_err(|error| error.to_string())?;
            }
            for (name, (total, environment)) in &shown {
                let Some(at) = what_at.get(**name) else { continue };
                write_text(area, &format!("{}  {total}", short(name)), *at, 12, color(environment))?;
            }
            if what.len() > shown.len() {
                write_text(area, &format!("and {} more", what.len() - shown.len()), place(shown.len(), x + column)?, 12, SOFT)?;
            }
            before = who;
        }
        let mut x = 16;
        for environment in environments.iter().filter(|environment| !environment.is_empty()) {
            write_text(area, environment, (x, height - 42), 12, color(environment))?;
            x += 14 + 8 * i32::try_from(environment.chars().count())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_a_log_are_text_in_a_picture() {
        let rows = vec![
            json!({ "hop": 1, "identity": "<script>a", "credential": "k1", "via": null, "destination": "s3://b&c", "environment": "prod", "count": 3, "first": "2026-03-01T00:00:00Z", "last": "2026-03-02T00:00:00Z", "credential_age_days": 400.0, "origin": "event", "time": "2026-03-01T05:00:00Z" }),
            json!({ "hop": 2, "identity": "b", "credential": "k2", "via": "k1", "destination": "x", "environment": null, "count": 1, "first": "2026-03-01T00:00:00Z", "last": "2026-03-01T00:00:00Z", "credential_age_days": null, "origin": "event", "time": "2026-03-01T05:00:00Z" }),
        ];
        for svg in [touched(&rows, "coverage <1>").unwrap(), timeline(&rows, "coverage <1>").unwrap(), blast_radius(&rows, "coverage <1>").unwrap()] {
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && !svg.contains("<script>"), "{svg}");
            assert!(svg.contains("coverage &lt;1&gt;"), "{svg}");
        }
        let svg = touched(&rows, "").unwrap();
        // A credential of 400 days is drawn as the oldest.
        assert!(svg.contains("#C82823") && svg.contains("s3://b&amp;c"), "{svg}");
        assert!(
            timeline(&[], "").unwrap().contains("</svg>") && touched(&[], "").unwrap().contains("</svg>") && blast_radius(&[], "").unwrap().contains("</svg>")
        );
    }
}
