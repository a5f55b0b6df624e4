//! `keytrail tokens`: who may ask through the doors.

use keytrail_schemas::Micros;
use keytrail_serve::access::{Role, Token, TokenFile};

use crate::cli::{TokenAction, Tokens};
use crate::clock;
use crate::config::Config;
use crate::exit::{Code, Usage, of_door};
use crate::home::Home;
use crate::output::Writer;

/// Makes, lists, revokes.
pub fn run(config: &Config, output: &Writer, arguments: &Tokens) -> anyhow::Result<Code> {
    let now = clock::now();
    let file = TokenFile::of(&config.dir);
    match &arguments.action {
        TokenAction::Create { name, role, question, expires } => {
            Home::open(config)?;
            let role: Role = role.parse().map_err(Usage)?;
            let questions = question.iter().map(|question| known(question)).collect::<anyhow::Result<Vec<_>>>()?;
            if name.is_empty() || name.len() > 64 || name.chars().any(|letter| letter.is_control()) {
                return Err(Usage("a token's name has 1 to 64 characters that can be shown".to_owned()).into());
            }
            let expires = expires.as_deref().map(|text| after(text, now)).transpose()?;
            let (token, shown) = Token::new(name, role, questions, now, expires).map_err(of_door)?;
            file.add(token, now).map_err(of_door)?;
            output.note(&format!("token of {name}, {}; it is shown this once:", role.as_str()));
            println!("{shown}");
            Ok(Code::Done)
        }
        TokenAction::List => {
            #[derive(serde::Serialize)]
            struct Row {
                id: String,
                name: String,
                role: &'static str,
                state: &'static str,
                questions: String,
                created: String,
                expires: Option<String>,
            }
            let rows: Vec<Row> = file
                .read()
                .map_err(of_door)?
                .into_iter()
                .map(|token| Row {
                    state: token.state(now),
                    role: token.role.as_str(),
                    questions: if token.questions.is_empty() { "all".to_owned() } else { token.questions.join(" ") },
                    created: Micros(token.created).to_rfc3339(),
                    expires: token.expires.map(|time| Micros(time).to_rfc3339()),
                    id: token.id,
                    name: token.name,
                })
                .collect();
            output.records(&rows)?;
            Ok(Code::Done)
        }
        TokenAction::Revoke { token } => {
            let ended = file.revoke(token, now).map_err(of_door)?;
            output.note(&format!("{ended} revoked; running servers refuse it within a second"));
            Ok(Code::Done)
        }
    }
}

/// A question that can stand in a scope.
fn known(question: &str) -> anyhow::Result<String> {
    let name = question.replace('-', "_");
    let known: Vec<&str> = keytrail_query::functions().iter().map(|function| function.name).chain(["sql", "explain"]).collect();
    if known.contains(&name.as_str()) {
        return Ok(name);
    }
    Err(Usage(format!("{question:?} is no question: {} are", known.join(", "))).into())
}

/// `90d` or a time: when a token ends.
fn after(text: &str, now: Micros) -> anyhow::Result<Micros> {
    let units = [('h', Micros::HOUR), ('d', Micros::DAY), ('w', 7 * Micros::DAY)];
    let span = units.iter().find_map(|(unit, micros)| text.strip_suffix(*unit)?.parse::<i64>().ok()?.checked_mul(*micros));
    let time = match span.filter(|span| *span > 0).and_then(|span| now.0.checked_add(span)) {
        Some(time) => Micros(time),
        None => keytrail_query::parse_time(text, now)?,
    };
    if time.0 <= now.0 {
        return Err(Usage(format!("--expires {text}: that is past already; write 90d, 12h or a time to come")).into());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_after_a_span_or_at_a_time_to_come() {
        let now = Micros::parse_rfc3339("2026-03-10T00:00:00Z").unwrap();
        assert_eq!(after("90d", now).unwrap().0 - now.0, 90 * Micros::DAY);
        assert_eq!(after("2026-03-11", now).unwrap().0 - now.0, Micros::DAY);
        for text in ["2026-03-09", "-7d", "0d", "soon", "99999999999999d"] {
            assert!(after(text, now).is_err(), "{text}");
        }
        assert_eq!(known("blast-radius").unwrap(), "blast_radius");
        assert!(known("everything").is_err());
    }
}
