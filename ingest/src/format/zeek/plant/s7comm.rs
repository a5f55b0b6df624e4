//! `s7comm.log`: jobs and user data of the S7 protocol: read and write variables, control and stop the controller, set its clock. Transfers of blocks
//! and reads of system status lists have logs of their own.
//!
//! Source: CISA, ICSNPP S7COMM parser, `S7comm::Info`; the functions: `consts.zeek` there.

use super::super::kind::Kind;
use super::super::row::{OWN, Row};
use super::super::scene::{Scene, join};
use super::{action, by_client, command, key, settle, word};
use crate::format::Reject;

const TYPE: usize = OWN;
const REFERENCE: usize = OWN + 1;
const FUNCTION: usize = OWN + 2;
const SUBFUNCTION_CODE: usize = OWN + 3;
const SUBFUNCTION: usize = OWN + 4;
const ERROR_CLASS: usize = OWN + 5;

pub(in super::super) static KIND: Kind = Kind {
    path: "s7comm",
    fields: &["rosctr_name", "pdu_reference", "function_name", "subfunction_code", "subfunction_name", "error_class"],
    marks: &["rosctr_name", "rosctr_code"],
    read,
};

/// Functions with a log of their own.
const ELSEWHERE: [&str; 6] = ["request_download", "download_block", "download_ended", "start_upload", "upload", "end_upload"];

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let function = row.text(FUNCTION).unwrap_or_default();
    let user_data = function.strip_prefix("Request: ").or_else(|| function.strip_prefix("Response: "));
    let (name, asks) = match user_data {
        Some(name) => (name, function.starts_with("Request")),
        None => (&*function, row.text(TYPE).is_some_and(|kind| kind.starts_with("Job"))),
    };
    let (name, subfunction) = (word(name), row.text(SUBFUNCTION).map(|name| word(&name)));
    if ELSEWHERE.contains(&&*name) || subfunction.as_deref() == Some("read_szl") {
        return Ok(());
    }
    let key = key("s7", row, &row.text(REFERENCE).unwrap_or_default());
    if !asks {
        let class = row.owned(ERROR_CLASS);
        let good = class.as_deref().is_none_or(|class| class.eq_ignore_ascii_case("no error"));
        scene.answer(&key, |event| settle(event, good, class));
        return Ok(());
    }
    if !by_client(row) && user_data.is_none() {
        return Ok(());
    }
    // A control service goes by its own name, P_PROGRAM; what the documentation calls it is longer than helpful.
    let detail = match name.as_str() {
        "plc_control" => row.text(SUBFUNCTION_CODE).map(|code| word(&code)),
        _ => subfunction,
    };
    let action = match detail.filter(|detail| !detail.is_empty()) {
        Some(detail) => join(&["s7comm.", &name, ".", &detail]),
        None => action("s7comm", Some(&name)),
    };
    let event = command(row, scene, "s7comm", "s7comm", action)?;
    scene.ask(key, event);
    Ok(())
}
