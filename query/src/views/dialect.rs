//! What engines say differently: how a table is found, how a question takes its arguments, how times are compared.

use keytrail_schemas::ColumnType;

use super::Place;
use crate::Error;

/// What a statement of Trino's is asked with, once.
const ASKED: &str = "asked(asked_value, asked_since, asked_until) AS (VALUES (CAST(? AS varchar), CAST(? AS timestamp(6) with time zone), CAST(? AS timestamp(6) with time zone)))";

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
    /// DataFusion 55, and Ballista, which plans as it does: prepared statements over the files.
    DataFusion,
}

impl std::str::FromStr for Dialect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "duckdb" => Ok(Self::DuckDb),
            "clickhouse" => Ok(Self::ClickHouse),
            "spark" => Ok(Self::Spark),
            "trino" => Ok(Self::Trino),
            "datafusion" => Ok(Self::DataFusion),
            _ => Err(Error::Unknown {
                what: "dialect",
                text: text.chars().take(64).collect(),
                nearest: ["duckdb", "clickhouse", "spark", "trino", "datafusion"].map(str::to_owned).into(),
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
            Self::DataFusion => "DataFusion",
        }
    }

    pub(super) const fn usage(self) -> &'static str {
        match self {
            Self::DuckDb => "Ask: FROM touched('ID'); FROM timeline('ID', since := TIMESTAMPTZ '2026-01-01 00:00:00+00'); FROM posture()",
            Self::ClickHouse => {
                "Ask: SELECT * FROM touched(value='ID', since=NULL, until=NULL), or with times such as since='2026-01-01 00:00:00' (UTC); SELECT * FROM posture"
            }
            Self::Spark => "Ask: SELECT * FROM touched('ID', NULL, NULL); times are TIMESTAMP; SELECT * FROM posture()",
            Self::Trino => "Ask: EXECUTE touched USING 'ID', NULL, NULL; times are such as TIMESTAMP '2026-01-01 00:00:00 UTC'; EXECUTE posture",
            Self::DataFusion => {
                "Ask: EXECUTE touched('ID', NULL, NULL); times are such as arrow_cast('2026-01-01T00:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))'); SELECT * FROM posture"
            }
        }
    }

    /// How the table is read where it stands.
    fn source(self, name: &str, place: &Place) -> Result<String, Error> {
        let refused =
            |problem: &str| Err(Error::Arguments { function: "views", problem: problem.to_owned(), usage: "keytrail views --dialect …".to_owned() });
        Ok(match (self, place) {
            (_, Place::Empty(columns)) => self.nothing(columns),
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
            (Self::DataFusion, Place::Delta(_)) => return refused("DataFusion reads the files: add --files"),
            (Self::DataFusion, Place::Files(files)) => format!("STORED AS PARQUET LOCATION ({})", self.texts(files)),
        })
    }

    /// A relation of these columns without rows.
    fn nothing(self, columns: &[(&'static str, ColumnType)]) -> String {
        let cell = |(name, ty): &(&'static str, ColumnType)| match ty {
            ColumnType::Utf8List => format!("{} AS {}", self.list(None), self.quoted(name)),
            ColumnType::Timestamp if self == Self::DataFusion => format!("{} AS {}", self.micros("NULL"), self.quoted(name)),
            _ => format!("CAST(NULL AS {}) AS {}", self.type_of(*ty), self.quoted(name)),
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        format!("(SELECT {} WHERE 1 = 0)", cells.join(", "))
    }

    const fn type_of(self, ty: ColumnType) -> &'static str {
        match (self, ty) {
            (Self::ClickHouse, ColumnType::Timestamp) => "Nullable(DateTime64(6, 'UTC'))",
            (Self::ClickHouse, ColumnType::Int32 | ColumnType::Int64) => "Nullable(Int64)",
            (Self::ClickHouse, ColumnType::Float64) => "Nullable(Float64)",
            (Self::ClickHouse, ColumnType::Boolean) => "Nullable(Bool)",
            (Self::ClickHouse, _) => "Nullable(String)",
            (Self::DuckDb, ColumnType::Timestamp) => "TIMESTAMPTZ",
            (Self::Spark, ColumnType::Timestamp) => "TIMESTAMP",
            (Self::Trino, ColumnType::Timestamp) => "timestamp(3) with time zone",
            (_, ColumnType::Int32 | ColumnType::Int64) => "BIGINT",
            (_, ColumnType::Float64) => "DOUBLE",
            (_, ColumnType::Boolean) => "BOOLEAN",
            (Self::Spark, _) => "STRING",
            (_, _) => "VARCHAR",
        }
    }

    /// A view of that name over the table. Trino has none over a table that it was told of: there it is the table itself.
    pub(super) fn relation(self, name: &str, place: &Place) -> Result<String, Error> {
        let source = self.source(name, place)?;
        Ok(match (self, place) {
            (Self::Trino, Place::Delta(at)) => {
                let table = name.trim_start_matches("keytrail_");
                format!("-- Once: CALL delta.system.register_table(schema_name => 'keytrail', table_name => '{table}', table_location => {});\n", self.text(at))
            }
            (Self::Trino, _) => String::new(),
            (Self::DataFusion, Place::Files(_)) => format!("CREATE OR REPLACE EXTERNAL TABLE {name} {source};\n"),
            (Self::Spark, _) => format!("CREATE OR REPLACE TEMPORARY VIEW {name} AS SELECT * FROM {source};\n"),
            _ => format!("CREATE OR REPLACE VIEW {name} AS SELECT * FROM {source};\n"),
        })
    }

    /// A question of that name, about `column` and a period, or about nothing.
    pub(super) fn question(self, name: &str, column: Option<&str>, body: &str, relations: &[(&str, &Place)]) -> Result<String, Error> {
        Ok(match (self, column) {
            (Self::DuckDb, Some(_)) => format!("CREATE OR REPLACE MACRO {name}(value, since := NULL, until := NULL) AS TABLE {body};\n"),
            (Self::DuckDb, None) => format!("CREATE OR REPLACE MACRO {name}() AS TABLE {body};\n"),
            (Self::ClickHouse, _) | (Self::DataFusion, None) => format!("CREATE OR REPLACE VIEW {name} AS {body};\n"),
            (Self::DataFusion, Some(_)) => {
                format!("PREPARE {name}(VARCHAR, TIMESTAMP WITH TIME ZONE, TIMESTAMP WITH TIME ZONE) AS {body};\n")
            }
            (Self::Spark, column) => {
                let arguments = column.map(|column| format!("{column}_asked STRING, since TIMESTAMP, until TIMESTAMP")).unwrap_or_default();
                format!("CREATE OR REPLACE TEMPORARY FUNCTION {name}({arguments}) RETURNS TABLE RETURN {body};\n")
            }
            (Self::Trino, column) => {
                let mut body = body.to_owned();
                for (relation, place) in relations {
                    body = body.replace(relation, &self.source(relation, place)?);
                }
                match (column, body.strip_prefix("WITH ")) {
                    (None, _) => format!("PREPARE {name} FROM {body};\n"),
                    (Some(_), Some(rest)) => format!("PREPARE {name} FROM WITH {ASKED}, {rest};\n"),
                    (Some(_), None) => format!("PREPARE {name} FROM WITH {ASKED} {body};\n"),
                }
            }
        })
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
            Self::DataFusion => ["$1".to_owned(), self.micros("$2"), self.micros("$3")],
            Self::Trino => ["(SELECT asked_value FROM asked)", "(SELECT asked_since FROM asked)", "(SELECT asked_until FROM asked)"].map(str::to_owned),
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
            Self::DataFusion => "last_value(credential_issued_at ORDER BY \"time\", credential_issued_at) FILTER (WHERE credential_issued_at IS NOT NULL)",
            Self::Trino => "max(ROW(\"time\", credential_issued_at)) FILTER (WHERE credential_issued_at IS NOT NULL)[2]",
        }
    }

    /// Days with a fraction, from times to the microsecond; Trino's are to the millisecond.
    pub(super) fn days_between(self, from: &str, to: &str) -> String {
        match self {
            Self::DuckDb => format!("((epoch_us({to}) - epoch_us({from})) / 8.64e10)"),
            Self::ClickHouse => format!("((toUnixTimestamp64Micro({to}) - toUnixTimestamp64Micro({from})) / 8.64e10)"),
            Self::Spark => format!("((unix_micros({to}) - unix_micros({from})) / 8.64e10)"),
            Self::DataFusion => format!("((CAST({} AS BIGINT) - CAST({} AS BIGINT)) / 8.64e10)", self.micros(to), self.micros(from)),
            Self::Trino => format!("(date_diff('millisecond', {from}, {to}) / 8.64e7)"),
        }
    }

    /// DataFusion's times are of many units; these are to the microsecond.
    fn micros(self, time: &str) -> String {
        format!("arrow_cast({time}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
    }

    /// The whole part of a number that is not negative, as text.
    pub(super) fn whole(self, number: &str) -> String {
        match self {
            Self::DuckDb => format!("CAST(CAST(trunc({number}) AS BIGINT) AS VARCHAR)"),
            Self::ClickHouse => format!("toString(toInt64OrNull(toString(trunc({number}))))"),
            Self::Spark => format!("CAST(CAST({number} AS BIGINT) AS STRING)"),
            Self::DataFusion => format!("CAST(CAST({number} AS BIGINT) AS VARCHAR)"),
            Self::Trino => format!("CAST(CAST(truncate({number}) AS BIGINT) AS VARCHAR)"),
        }
    }

    /// Whether a list of texts holds one.
    pub(super) fn holds(self, list: &str, text: &str) -> String {
        match self {
            Self::DuckDb => format!("list_contains({list}, {text})"),
            Self::ClickHouse => format!("has({list}, {text})"),
            Self::Spark => format!("array_contains({list}, {text})"),
            Self::Trino => format!("contains({list}, {text})"),
            Self::DataFusion => format!("array_has({list}, {text})"),
        }
    }

    /// One row for each text of a list, beside another column.
    pub(super) fn unnested(self, from: &str, kept: &str, list: &str, name: &str) -> String {
        match self {
            Self::DuckDb | Self::DataFusion => format!("SELECT {kept}, unnest({list}) AS {name} FROM {from}"),
            Self::ClickHouse => format!("SELECT {kept}, arrayJoin({list}) AS {name} FROM {from}"),
            Self::Spark => format!("SELECT {kept}, explode({list}) AS {name} FROM {from}"),
            Self::Trino => format!("SELECT {kept}, one.{name} AS {name} FROM {from} CROSS JOIN UNNEST({list}) AS one({name})"),
        }
    }

    /// The texts of a group, sorted.
    pub(super) fn gathered(self, text: &str) -> String {
        match self {
            Self::DuckDb | Self::Trino | Self::DataFusion => format!("array_agg({text} ORDER BY {text})"),
            Self::ClickHouse => format!("arraySort(groupArray({text}))"),
            Self::Spark => format!("array_sort(collect_list({text}))"),
        }
    }

    /// A list of one text, or of none.
    pub(super) fn list(self, text: Option<&str>) -> String {
        let text = text.unwrap_or_default();
        match self {
            Self::DuckDb => format!("CAST([{text}] AS VARCHAR[])"),
            Self::ClickHouse => format!("CAST([{text}] AS Array(Nullable(String)))"),
            Self::Spark => format!("CAST(array({text}) AS ARRAY<STRING>)"),
            Self::Trino => format!("CAST(ARRAY[{text}] AS array(varchar))"),
            Self::DataFusion => format!("arrow_cast(make_array({text}), 'List(Utf8)')"),
        }
    }

    /// That list, or one of none. `ClickHouse` has no list that is not there.
    pub(super) fn list_or_none(self, list: &str) -> String {
        match self {
            Self::ClickHouse => list.to_owned(),
            _ => format!("coalesce({list}, {})", self.list(None)),
        }
    }

    /// One record of each credential: the one that is exact, else the earlier.
    pub(super) const fn ledger(self) -> &'static str {
        "SELECT credential, issued_at, issued_is_exact FROM (SELECT credential, issued_at, issued_is_exact, row_number() OVER (PARTITION BY credential ORDER BY issued_is_exact DESC, issued_at) AS place FROM keytrail_credentials WHERE issued_at IS NOT NULL) ranked WHERE place = 1"
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
