//! `posture` for other engines.

use super::Dialect;
use crate::question::posture::{AGE_LIMIT_DAYS, CONTROL_NAMES, CONTROLS, DORMANT_DAYS, LIFETIME_DAYS, OVERLAP_DAYS, UNUSED_DAYS};

/// What [`crate::Question::Posture`] answers.
pub(super) fn body(dialect: Dialect) -> String {
    let limits: String = AGE_LIMIT_DAYS.iter().map(|(kind, days)| format!(" WHEN '{kind}' THEN {days:.1}")).collect();
    let (idle, unused) = (dialect.days_between("last_used", "as_of"), dialect.days_between("issued_at", "as_of"));
    let (overlap, overlap_use) = (dialect.days_between("superseded_at", "as_of"), dialect.days_between("superseded_at", "last_used"));
    let lifetime = dialect.days_between("issued_at", "expires_at");
    let whole = |number: &str| dialect.whole(number);
    let one = |problem: &str, detail: &str, condition: &str| {
        format!("SELECT '{problem}' AS problem, identity, credential, kind, age_days, {detail} AS detail, last_used FROM in_force WHERE {condition}")
    };
    let checks = [
        one("over_age", &format!("'older than ' || {} || ' days'", whole("age_limit")), "age_days > age_limit"),
        one(
            "never_rotated",
            &format!("'in force for ' || {} || ' days, and it follows no other'", whole("age_days")),
            "age_limit IS NOT NULL AND age_days > 365 AND superseded_at IS NULL AND NOT follows",
        ),
        one("dormant", &format!("'not used for ' || {} || ' days'", whole(&idle)), &format!("{idle} > {DORMANT_DAYS:.1}")),
        one(
            "never_used",
            &format!("'issued ' || {} || ' days ago and never used'", whole(&unused)),
            &format!("last_used IS NULL AND issued_is_exact AND {unused} > {UNUSED_DAYS:.1}"),
        ),
        one("shared", &format!("'used by ' || {} || ' identities'", whole("holders")), "holders > 1"),
        one(
            "not_revoked",
            &format!("'superseded ' || {} || ' days ago and still not revoked'", whole(&overlap)),
            &format!("superseded_at IS NOT NULL AND {overlap} > {OVERLAP_DAYS:.1}"),
        ),
        one(
            "used_after_rotation",
            &format!("'used ' || {} || ' days after its successor was issued'", whole(&overlap_use)),
            &format!("{overlap_use} > {OVERLAP_DAYS:.1}"),
        ),
        one("long_lived", &format!("'valid for ' || {} || ' days'", whole(&lifetime)), &format!("{lifetime} > {LIFETIME_DAYS:.1}")),
        "SELECT 'ownerless' AS problem, identity, NULL AS credential, kind, NULL AS age_days, 'no owner is declared' AS detail, last_seen AS last_used FROM keytrail_identities WHERE owner IS NULL AND kind <> 'human'".to_owned(),
    ];
    let controls = CONTROL_NAMES.iter().enumerate().map(|(column, name)| {
        let cases: String = CONTROLS.iter().filter_map(|row| Some(format!(" WHEN '{}' THEN '{}'", row.first()?, row.get(column + 1)?))).collect();
        format!("CASE problem{cases} END AS {name}")
    });
    format!(
        "WITH shown AS (SELECT credential AS shared_id, count(DISTINCT identity) AS holders FROM keytrail_credentials GROUP BY credential
), in_force AS (
  SELECT c.credential AS credential, c.identity AS identity, c.kind AS kind, c.age_days AS age_days, c.issued_at AS issued_at, c.issued_is_exact AS issued_is_exact, c.last_used AS last_used,
         c.expires_at AS expires_at, c.superseded_at AS superseded_at, c.as_of AS as_of, s.holders AS holders,
         f.followed IS NOT NULL AS follows, CASE c.kind{limits} END AS age_limit
  FROM keytrail_credentials c JOIN shown s ON c.credential = s.shared_id
  LEFT JOIN (SELECT DISTINCT successor AS followed FROM keytrail_credentials WHERE successor IS NOT NULL) f ON f.followed = c.credential
  WHERE c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > c.as_of) AND c.identity NOT IN (SELECT identity FROM keytrail_identities WHERE kind = 'human')
)
SELECT problem, identity, credential, kind, age_days, detail, last_used,
  {}
FROM (
  {}
) checks ORDER BY problem, identity, credential NULLS FIRST",
        controls.collect::<Vec<_>>().join(",\n  "),
        checks.join("\n  UNION ALL ")
    )
}
