//! The lake's tables: their columns, the order of rows within a file, and which columns are worth statistics, dictionaries and bloom
//! filters. It does no I/O.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use keytrail_schemas::{Column, ColumnType, CredentialRecord, DeadLetter, Detection, Event, Finding, IdentityRecord, Table, Touch};

/// The partition column of `events`: the UTC day of `time`, as `Date32`.
pub const DAY: &str = "day";

/// A table of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableName {
    /// Every event, partitioned by day.
    Events,
    /// Every revision of every finding.
    Findings,
    /// Every revision of every detection.
    Detections,
    /// What could not be understood.
    DeadLetters,
    /// The ledger's credentials, replaced as a whole.
    Credentials,
    /// The identities as seen, replaced as a whole.
    Identities,
    /// The roll-up of `events`, sorted by identity: an index, which holds where its files say that it does.
    Touches,
    /// The same rows, sorted by destination.
    TouchesByDestination,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl TableName {
    /// Every table.
    pub const ALL: [Self; 8] =
        [Self::Events, Self::Findings, Self::Detections, Self::DeadLetters, Self::Credentials, Self::Identities, Self::Touches, Self::TouchesByDestination];

    /// The table's name, and its folder in the lake.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => Event::NAME,
            Self::Findings => Finding::NAME,
            Self::Detections => Detection::NAME,
            Self::DeadLetters => DeadLetter::NAME,
            Self::Credentials => CredentialRecord::NAME,
            Self::Identities => IdentityRecord::NAME,
            Self::Touches => Touch::NAME,
            Self::TouchesByDestination => "touches_by_destination",
        }
    }

    /// Columns of the vocabulary, without the partition column.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Events => Event::COLUMNS,
            Self::Findings => Finding::COLUMNS,
            Self::Detections => Detection::COLUMNS,
            Self::DeadLetters => DeadLetter::COLUMNS,
            Self::Credentials => CredentialRecord::COLUMNS,
            Self::Identities => IdentityRecord::COLUMNS,
            Self::Touches | Self::TouchesByDestination => Touch::COLUMNS,
        }
    }

    /// Whether the table is partitioned by [`DAY`].
    #[must_use]
    pub const fn by_day(self) -> bool {
        matches!(self, Self::Events)
    }

    /// The schema of a data file: the columns without the partition column.
    #[must_use]
    pub fn file_schema(self) -> SchemaRef {
        match self {
            Self::Events => Event::arrow_schema(),
            Self::Findings => Finding::arrow_schema(),
            Self::Detections => Detection::arrow_schema(),
            Self::DeadLetters => DeadLetter::arrow_schema(),
            Self::Credentials => CredentialRecord::arrow_schema(),
            Self::Identities => IdentityRecord::arrow_schema(),
            Self::Touches | Self::TouchesByDestination => Touch::arrow_schema(),
        }
    }

    /// The schema of the table, with each column's documentation as its `comment`, and the partition column last.
    #[must_use]
    pub fn table_schema(self) -> Schema {
        let comment = |field: Field, text: &str| field.with_metadata(HashMap::from([("comment".to_owned(), text.trim().to_owned())]));
        let mut fields: Vec<Arc<Field>> = self.columns().iter().map(|c| Arc::new(comment(c.field(), c.doc))).collect();
        if self.by_day() {
            fields.push(Arc::new(comment(Field::new(DAY, DataType::Date32, false), "UTC day of `time`: the partition.")));
        }
        Schema::new(fields)
    }

    /// The columns that order rows within a file, all ascending; the last ones only make the order total.
    #[must_use]
    pub const fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["identity", "time", "log_partition", "log_offset"],
            Self::Findings => &["identity", "time", "log_partition", "log_offset", "rule_index"],
            Self::Detections => &["identity", "first_event_time", "log_partition", "log_offset", "detection_id", "revision"],
            Self::DeadLetters => &["ingested_at", "log_partition", "log_offset"],
            Self::Credentials => &["credential", "log_partition"],
            Self::Identities => &["identity", "log_partition"],
            Self::Touches => &["identity", "day", "destination"],
            Self::TouchesByDestination => &["destination", "day", "identity"],
        }
    }

    /// The columns by which queries prune: they have statistics in the Delta log, per row group, and per page.
    #[must_use]
    pub const fn pruned_columns(self) -> &'static [&'static str] {
        match self {
            Self::Events => &[
                "identity",
                "time",
                "ingested_at",
                "credential",
                "destination",
                "activity",
                "outcome",
                "identity_kind",
                "action",
                "protocol",
                "source_ip",
                "source",
                "format",
                "log_partition",
                "log_offset",
            ],
            Self::Findings => {
                &["finding_id", "rule", "severity", "identity", "credential", "time", "first_event_time", "last_event_time", "log_partition", "log_offset"]
            }
            Self::Detections => &[
                "detection_id",
                "finding_id",
                "rule",
                "technique",
                "identity",
                "credential",
                "first_event_time",
                "last_event_time",
                "log_partition",
                "log_offset",
            ],
            Self::DeadLetters => &["ingested_at", "source", "format", "reason", "log_partition", "log_offset"],
            Self::Credentials => &["credential", "identity", "state"],
            Self::Identities => &["identity", "kind"],
            Self::Touches | Self::TouchesByDestination => &["identity", "day", "destination", "credential", "credential_parent"],
        }
    }

    /// The columns with bloom filters in compacted files.
    #[must_use]
    pub const fn bloom_columns(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["identity", "credential", "destination"],
            Self::Findings => &["finding_id", "identity"],
            Self::Detections => &["detection_id", "finding_id", "identity"],
            Self::Touches => &["destination", "credential", "credential_parent"],
            Self::TouchesByDestination => &["identity"],
            Self::DeadLetters | Self::Credentials | Self::Identities => &[],
        }
    }

    /// Whether rows are looked up by their first column alone, a few at a time: then pages are small, and names that sorting brings together
    /// are written as what they differ in from the one before, without a dictionary that every look-up would have to read.
    #[must_use]
    pub const fn is_index(self) -> bool {
        matches!(self, Self::Touches | Self::TouchesByDestination)
    }

    /// Whether a column has few values, or few within one identity, so that a dictionary is worth its page.
    #[must_use]
    pub fn has_dictionary(self, column: &Column) -> bool {
        const REPEATED: &[&str] = &[
            "identity",
            "identity_provider",
            "identity_account",
            "credential",
            "credential_parent",
            "issuer",
            "source_ip",
            "source_host",
            "source_country",
            "user_agent",
            "destination",
            "destination_kind",
            "destination_service",
            "environment",
            "protocol",
            "auth_method",
            "action",
            "source",
            "format",
            "rule",
            "title",
            "path",
            "provider",
            "account",
            "owner",
        ];
        if self.is_index() {
            return column.ty == ColumnType::Dict || matches!(column.name, "environment" | "protocol" | "action");
        }
        column.ty == ColumnType::Dict || (column.ty == ColumnType::Utf8 && REPEATED.contains(&column.name))
    }
}

#[cfg(test)]
mod tests {
    use super::TableName;

    #[test]
    fn every_named_column_exists() {
        for table in TableName::ALL {
            for name in table.sort_columns().iter().chain(table.pruned_columns()).chain(table.bloom_columns()) {
                assert!(table.columns().iter().any(|c| c.name == *name), "{table} has no column {name}");
            }
        }
    }
}
