//! What engines say differently: how a table is found, how a question takes its arguments, how times are compared.

use std::fmt::Write as _;

use super::Place;
use crate::Error;

/// An engine that reads the lake without keytrail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// DuckDB: table macros.
    DuckDb,
    /// ClickHouse and chDB: parameterised views.
    ClickHouse,
    /// Spark 4: SQL table functions.
    Spark,
    /// Trino: prepared statements, for it has no functions that give tables.
    Trino,
}

impl std::str::FromStr for Dialect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "duckdb" => Ok(Self::DuckDb),
            "clickhouse" => Ok(Self::ClickHouse),
            "spark" => Ok(Self::Spark),
            "trino" => Ok(Self::Trino),
            _ => Err(Error::Unknown {
                what: "dialect",
                text: text.chars().take(64).collect(),
                nearest: ["duckdb", "clickhouse", "spark", "trino"].map(str::to_owned).into(),
            }),
        }
    }
}

impl Dialect {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "DuckDB",
            Self::ClickHouse => "ClickHouse",
            Self::Spark => "Spark",
            Self::Trino => "Trino",
        }
    }

    pub(super) const fn usage(self) -> &'static str {
        match self {
            Self::DuckDb => "Ask: FROM touched('ID'); FROM touched('ID', since := TIMESTAMPTZ '2026-01-01 00:00:00+00')",
            Self::ClickHouse => "Ask: SELECT * FROM touched(value='ID', since=NULL, until=NULL), or with times such as since='2026-01-01 00:00:00' (UTC)",
            Self::Spark => "Ask: SELECT * FROM touched('ID', NULL, NULL); times are TIMESTAMP",
            Self::Trino => "Ask: EXECUTE touched USING 'ID', CAST(NULL AS timestamp(6) with time zone), … (value, then since and until as often as they stand)",
        }
    }

    /// A view of that name over the table.
    pub(super) fn relation(self, name: &str, place: &Place) -> Result<String, Error> {
        let refused =
            |problem: &str| Err(Error::Arguments { function: "views", problem: problem.to_owned(), usage: "keytrail views --dialect …".to_owned() });
        let source = match (self, place) {
            (Self::DuckDb, Place::Delta(at)) => format!("delta_scan({})", self.text(at)),
            (Self::DuckDb, Place::Files(files)) => format!("read_parquet([{}], union_by_name = true, hive_partitioning = false)", self.texts(files)),
            (Self::ClickHouse, Place::Delta(at)) => format!("deltaLakeLocal({})", self.text(at)),
            (Self::ClickHouse, Place::Files(files)) => {
                let all = files.iter().map(|file| format!("SELECT * FROM file({}, 'Parquet')", self.text(file))).collect::<Vec<_>>().join(" UNION ALL ");
                format!("({all})")
            }
            (Self::Spark, Place::Delta(at)) => format!("delta.`{}`", at.replace('`', "``").replace('\'', "\\'")),
            (Self::Spark, Place::Files(_)) => return refused("Spark reads the Delta table: leave --files out"),
            (Self::Trino, Place::Delta(_)) => format!("delta.keytrail.{}", name.trim_start_matches("keytrail_")),
            (Self::Trino, Place::Files(_)) => return refused("Trino reads the Delta table: leave --files out"),
        };
        let create = match self {
            Self::Spark => "CREATE OR REPLACE TEMPORARY VIEW",
            _ => "CREATE OR REPLACE VIEW",
        };
        let mut text = String::new();
        if let (Self::Trino, Place::Delta(at)) = (self, place) {
            let table = name.trim_start_matches("keytrail_");
            let _ = writeln!(
                text,
                "-- Once: CALL delta.system.register_table(schema_name => 'keytrail', table_name => '{table}', table_location => {});",
                self.text(at)
            );
            return Ok(text);
        }
        let _ = writeln!(text, "{create} {name} AS SELECT * FROM {source};");
        Ok(text)
    }

    /// A question of that name.
    pub(super) fn question(self, name: &str, column: &str, body: &str) -> String {
        match self {
            Self::DuckDb => format!("CREATE OR REPLACE MACRO {name}(value, since := NULL, until := NULL) AS TABLE {body};\n"),
            Self::ClickHouse => format!("CREATE OR REPLACE VIEW {name} AS {body};\n"),
            Self::Spark => {
                format!("CREATE OR REPLACE TEMPORARY FUNCTION {name}({column}_asked STRING, since TIMESTAMP, until TIMESTAMP) RETURNS TABLE RETURN {body};\n")
            }
            Self::Trino => format!(
                "PREPARE {name} FROM {};\n",
                body.replace("keytrail_events", "delta.keytrail.events").replace("keytrail_credentials", "delta.keytrail.credentials")
            ),
        }
    }

    /// How the body names what it is asked with: the value, since, until.
    pub(super) fn arguments(self, column: &str) -> [String; 3] {
        match self {
            Self::DuckDb => ["value", "CAST(since AS TIMESTAMPTZ)", "CAST(until AS TIMESTAMPTZ)"].map(str::to_owned),
            Self::ClickHouse => [
                "{value:String}".to_owned(),
                "parseDateTime64BestEffort({since:Nullable(String)}, 6, 'UTC')".to_owned(),
                "parseDateTime64BestEffort({until:Nullable(String)}, 6, 'UTC')".to_owned(),
            ],
            Self::Spark => [format!("{column}_asked"), "since".to_owned(), "until".to_owned()],
            Self::Trino => ["?", "?", "?"].map(str::to_owned),
        }
    }

    pub(super) fn quoted(self, name: &str) -> String {
        match self {
            Self::Spark => format!("`{name}`"),
            _ => format!("\"{name}\""),
        }
    }

    /// The time of issue that the latest record says; of two at one time the later.
    pub(super) const fn latest_issue(self) -> &'static str {
        match self {
            Self::DuckDb => "arg_max(credential_issued_at, (\"time\", credential_issued_at)) FILTER (credential_issued_at IS NOT NULL)",
            Self::ClickHouse => "argMaxIf(credential_issued_at, (\"time\", credential_issued_at), credential_issued_at IS NOT NULL)",
            Self::Spark => "max_by(credential_issued_at, struct(`time`, credential_issued_at)) FILTER (WHERE credential_issued_at IS NOT NULL)",
            Self::Trino => "max(ROW(\"time\", credential_issued_at)) FILTER (WHERE credential_issued_at IS NOT NULL)[2]",
        }
    }

    pub(super) fn seconds_between(self, from: &str, to: &str) -> String {
        match self {
            Self::DuckDb => format!("((epoch_us({to}) - epoch_us({from})) / 1000000.0)"),
            Self::ClickHouse => format!("((toUnixTimestamp64Micro({to}) - toUnixTimestamp64Micro(assumeNotNull({from}))) / 1000000.0)"),
            Self::Spark => format!("((unix_micros({to}) - unix_micros({from})) / 1000000.0)"),
            Self::Trino => format!("(to_unixtime({to}) - to_unixtime({from}))"),
        }
    }

    /// One record of each credential: the one that is exact, else the earlier.
    pub(super) const fn ledger(self) -> &'static str {
        "SELECT credential, issued_at, issued_is_exact FROM (SELECT credential, issued_at, issued_is_exact, row_number() OVER (PARTITION BY credential ORDER BY issued_is_exact DESC, issued_at) AS place FROM keytrail_credentials WHERE issued_at IS NOT NULL) ranked WHERE place = 1"
    }

    /// Whether the other side was never seen before the period.
    pub(super) fn never_before(self, other: &str, column: &str, value: &str, since: &str) -> String {
        let time = self.quoted("time");
        format!("g.{other} NOT IN (SELECT {other} FROM keytrail_events WHERE {column} = {value} AND {other} IS NOT NULL AND {time} < {since})")
    }

    fn text(self, text: &str) -> String {
        match self {
            Self::ClickHouse => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
            _ => format!("'{}'", text.replace('\'', "''")),
        }
    }

    fn texts(self, all: &[String]) -> String {
        all.iter().map(|text| self.text(text)).collect::<Vec<_>>().join(", ")
    }
}
