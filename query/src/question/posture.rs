//! `posture()`: what is wrong with credentials and identities as they stand, each mapped to the controls it fails.

use std::sync::Arc;

use async_trait::async_trait;
use keytrail_schemas::{Column, ColumnType};

use super::function::{Answer, Argument, Function, Values};
use super::period::days;
use crate::Error;
use crate::column::{always, maybe, sorted};
use crate::engine::Engine;

/// Ages in days beyond which a credential of a kind is over-age, where no binding says otherwise.
pub(crate) const AGE_LIMIT_DAYS: [(&str, f64); 6] =
    [("access_key", 90.0), ("api_token", 90.0), ("password", 90.0), ("ssh_key", 365.0), ("x509", 398.0), ("oauth_token", 90.0)];
/// Days without use after which a credential in force is dormant.
pub(crate) const DORMANT_DAYS: f64 = 90.0;
/// Days after issue by which a credential should have been used.
pub(crate) const UNUSED_DAYS: f64 = 30.0;
/// Days that an old credential may stay in force beside its successor.
pub(crate) const OVERLAP_DAYS: f64 = 7.0;
/// Lifetime in days beyond which a credential is long-lived.
pub(crate) const LIFETIME_DAYS: f64 = 398.0;

const COLUMNS: &[Column] = &[
    always("problem", ColumnType::Utf8, "over_age, never_rotated, dormant, never_used, shared, not_revoked, used_after_rotation, long_lived, ownerless."),
    always("identity", ColumnType::Utf8, "Whose problem it is."),
    maybe("credential", ColumnType::Utf8, "The credential, where it is one's problem."),
    maybe("kind", ColumnType::Utf8, "What kind of credential, or of identity."),
    maybe("age_days", ColumnType::Float64, "The credential's age in days."),
    always("detail", ColumnType::Utf8, "What was found."),
    maybe("last_used", ColumnType::Timestamp, "The last use, or the identity's last event."),
    always("owasp_nhi", ColumnType::Utf8, "OWASP Non-Human Identities Top 10 (2025)."),
    always("nist_800_53", ColumnType::Utf8, "NIST SP 800-53 rev. 5 controls."),
    always("nist_csf", ColumnType::Utf8, "NIST CSF 2.0 subcategory."),
    always("pci_dss", ColumnType::Utf8, "PCI DSS 4.0.1 requirement."),
    always("iso_27001", ColumnType::Utf8, "ISO/IEC 27001:2022 annex A control."),
    always("iec_62443", ColumnType::Utf8, "IEC 62443-3-3 system requirement."),
];

/// The columns of [`CONTROLS`] behind the problem.
pub(crate) const CONTROL_NAMES: [&str; 6] = ["owasp_nhi", "nist_800_53", "nist_csf", "pci_dss", "iso_27001", "iec_62443"];

/// Problem, OWASP NHI, NIST 800-53, NIST CSF, PCI DSS, ISO 27001, IEC 62443.
pub(crate) const CONTROLS: [[&str; 7]; 9] = [
    ["over_age", "NHI7:2025", "IA-5(1)", "PR.AA-01", "8.6.3", "A.5.17", "SR 1.5"],
    ["never_rotated", "NHI7:2025", "IA-5", "PR.AA-01", "8.6.3", "A.5.17", "SR 1.5"],
    ["dormant", "NHI1:2025", "AC-2(3)", "PR.AA-01", "8.2.6", "A.5.18", "SR 1.3"],
    ["never_used", "NHI1:2025", "AC-2(3)", "PR.AA-01", "8.2.6", "A.5.18", "SR 1.3"],
    ["shared", "NHI9:2025", "IA-2(5)", "PR.AA-03", "8.2.2", "A.5.16", "SR 1.2"],
    ["not_revoked", "NHI1:2025", "IA-5", "PR.AA-01", "8.6.3", "A.5.18", "SR 1.5"],
    ["used_after_rotation", "NHI1:2025", "IA-5", "PR.AA-01", "8.6.3", "A.5.17", "SR 1.5"],
    ["long_lived", "NHI7:2025", "IA-5(1)", "PR.AA-01", "8.6.3", "A.5.17", "SR 1.5"],
    ["ownerless", "NHI1:2025", "AC-2", "ID.AM-08", "8.6.1", "A.5.9", "SR 1.3"],
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Posture;

#[async_trait]
impl Function for Posture {
    fn name(&self) -> &'static str {
        "posture"
    }

    fn doc(&self) -> &'static str {
        "Credentials that are over-age, never rotated, dormant, shared or not revoked, and identities without an owner, with the controls they fail."
    }

    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    async fn answer(&self, engine: &Arc<Engine>, _values: &Values) -> Result<Answer, Error> {
        let limits: String = AGE_LIMIT_DAYS.iter().map(|(kind, days)| format!(" WHEN '{kind}' THEN {days:.1}")).collect();
        let idle = days("last_used", "as_of");
        let unused = days("issued_at", "as_of");
        let overlap = days("superseded_at", "as_of");
        let overlap_use = days("superseded_at", "last_used");
        let lifetime = days("issued_at", "expires_at");
        let controls: Vec<String> = CONTROLS.iter().map(|row| format!("('{}')", row.join("', '"))).collect();
        let one = |problem: &str, detail: &str, condition: &str| {
            format!("SELECT '{problem}' AS problem, identity, credential, kind, age_days, {detail} AS detail, last_used FROM force WHERE {condition}")
        };
        let checks = [
            one("over_age", "'older than ' || CAST(CAST(age_limit AS BIGINT) AS VARCHAR) || ' days'", "age_days > age_limit"),
            one(
                "never_rotated",
                "'in force for ' || CAST(CAST(age_days AS BIGINT) AS VARCHAR) || ' days, and it follows no other'",
                "age_limit IS NOT NULL AND age_days > 365 AND superseded_at IS NULL AND follows IS NULL",
            ),
            one("dormant", &format!("'not used for ' || CAST(CAST({idle} AS BIGINT) AS VARCHAR) || ' days'"), &format!("{idle} > {DORMANT_DAYS:.1}")),
            one(
                "never_used",
                &format!("'issued ' || CAST(CAST({unused} AS BIGINT) AS VARCHAR) || ' days ago and never used'"),
                &format!("last_used IS NULL AND issued_is_exact AND {unused} > {UNUSED_DAYS:.1}"),
            ),
            one("shared", "'used by ' || CAST(holders AS VARCHAR) || ' identities'", "holders > 1"),
            one(
                "not_revoked",
                &format!("'superseded ' || CAST(CAST({overlap} AS BIGINT) AS VARCHAR) || ' days ago and still not revoked'"),
                &format!("superseded_at IS NOT NULL AND {overlap} > {OVERLAP_DAYS:.1}"),
            ),
            one(
                "used_after_rotation",
                &format!("'used ' || CAST(CAST({overlap_use} AS BIGINT) AS VARCHAR) || ' days after its successor was issued'"),
                &format!("{overlap_use} > {OVERLAP_DAYS:.1}"),
            ),
            one("long_lived", &format!("'valid for ' || CAST(CAST({lifetime} AS BIGINT) AS VARCHAR) || ' days'"), &format!("{lifetime} > {LIFETIME_DAYS:.1}")),
            "SELECT 'ownerless', identity, NULL, kind, NULL, 'no owner is declared', last_seen FROM identities WHERE owner IS NULL AND kind <> 'human'"
                .to_owned(),
        ];
        let sql = format!(
            "WITH shown AS (SELECT credential AS shared_id, count(DISTINCT identity) AS holders FROM credentials GROUP BY credential),
             followed AS (SELECT DISTINCT successor AS follows FROM credentials WHERE successor IS NOT NULL),
             humans AS (SELECT DISTINCT identity AS human FROM identities WHERE kind = 'human'),
             force AS (
                SELECT c.*, holders, follows, CASE c.kind{limits} END AS age_limit
                FROM credentials c JOIN shown ON c.credential = shared_id LEFT JOIN followed ON c.credential = follows LEFT JOIN humans ON c.identity = human
                WHERE human IS NULL AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > c.as_of))
             SELECT checks.*, owasp_nhi, nist_800_53, nist_csf, pci_dss, iso_27001, iec_62443
             FROM ({}) checks JOIN (VALUES {}) AS controls(name, owasp_nhi, nist_800_53, nist_csf, pci_dss, iso_27001, iec_62443) ON problem = name",
            checks.join(" UNION ALL "),
            controls.join(", ")
        );
        // Sorted here: the planner of DataFusion 55 takes the constant `problem` of one branch for that of the whole union.
        let rows = engine.rows(&sql, Vec::new()).await?;
        Ok(Answer::Batch(sorted(&rows, &["problem", "identity", "credential"], COLUMNS)?))
    }
}
