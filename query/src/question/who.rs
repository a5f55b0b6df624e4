//! Machines, humans, or all: the inventories show machines unless told otherwise.

use keytrail_schemas::IdentityKind;

use crate::Error;

/// The SQL condition on `column` (an identity's kind) for `machines` (the default), `humans` or `all`.
pub(crate) fn condition(who: Option<&str>, column: &str) -> Result<String, Error> {
    let human = IdentityKind::Human;
    match who.unwrap_or("machines") {
        "machines" => Ok(format!("({column} IS NULL OR {column} <> '{human}')")),
        "humans" => Ok(format!("{column} = '{human}'")),
        "all" => Ok("TRUE".to_owned()),
        other => Err(Error::Unknown { what: "choice", text: other.to_owned(), nearest: ["machines", "humans", "all"].map(str::to_owned).into() }),
    }
}
