//! One declaration per table: `table!` turns a documented struct into its Arrow schema, its JSON Schema, its
//! column list, and the conversions to and from Arrow record batches.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;

use crate::{Activity, CredentialKind, CredentialState, EventId, FindingKind, Hash32, IdentityKind, Micros, Outcome, Reason, Severity, Text};

/// The types that columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Utf8,
    /// UTF-8 text of few distinct values; Parquet writes it with a dictionary.
    Dict,
    /// Microseconds since the epoch, UTC.
    Timestamp,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit float.
    Float64,
    /// True or false.
    Boolean,
    /// Bytes (JSON: hex).
    Binary,
    /// A list of text.
    Utf8List,
}

impl ColumnType {
    /// The Arrow type.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Utf8 | Self::Dict => DataType::Utf8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Binary => DataType::Binary,
            Self::Utf8List => DataType::List(Arc::new(Field::new("element", DataType::Utf8, false))),
        }
    }

    fn json(self) -> serde_json::Value {
        match self {
            Self::Utf8 | Self::Dict => serde_json::json!({"type": "string"}),
            Self::Timestamp => serde_json::json!({"type": "string", "format": "date-time"}),
            Self::Int32 | Self::Int64 => serde_json::json!({"type": "integer"}),
            Self::Float64 => serde_json::json!({"type": "number"}),
            Self::Boolean => serde_json::json!({"type": "boolean"}),
            Self::Binary => serde_json::json!({"type": "string", "pattern": "^([0-9a-f]{2})*$"}),
            Self::Utf8List => serde_json::json!({"type": "array", "items": {"type": "string"}}),
        }
    }
}

/// One column: what it is called, what it holds, and what that means.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The name, the same in Rust, Arrow, JSON and SQL.
    pub name: &'static str,
    /// The type.
    pub ty: ColumnType,
    /// Whether it may be empty.
    pub nullable: bool,
    /// The words that the column may take, if its vocabulary is closed.
    pub words: &'static [&'static str],
    /// What it means, for a person.
    pub doc: &'static str,
}

impl Column {
    /// The Arrow field, with the documentation as metadata `comment`.
    #[must_use]
    pub fn field(&self) -> Field {
        Field::new(self.name, self.ty.arrow(), self.nullable)
    }

    /// The JSON Schema of the column's values.
    #[must_use]
    pub fn json_schema(&self) -> serde_json::Value {
        let mut schema = self.ty.json();
        if !self.words.is_empty() {
            schema["enum"] = self.words.iter().copied().map(serde_json::Value::from).chain(self.nullable.then_some(serde_json::Value::Null)).collect();
        }
        if self.nullable {
            schema["type"] = serde_json::json!([schema["type"], "null"]);
        }
        schema["description"] = self.doc.trim().into();
        schema
    }
}

/// A type that can stand in a column.
pub trait Cell: Sized {
    /// The column's type.
    const TYPE: ColumnType;
    /// Whether it may be empty.
    const NULLABLE: bool = false;
    /// The closed vocabulary, if it has one.
    const WORDS: &'static [&'static str] = &[];
    /// Collects cells into an Arrow array.
    type Builder;
    /// A builder with room for `rows` cells, and for texts of `bytes` bytes in all: growing it would copy every byte again.
    fn builder(rows: usize, bytes: usize) -> Self::Builder;
    /// How many bytes its text or binary has; 0 for what has a width of its own.
    fn text_bytes(&self) -> usize {
        0
    }
    /// Adds a cell.
    fn append(&self, builder: &mut Self::Builder);
    /// The array of all cells added.
    fn finish(builder: Self::Builder) -> ArrayRef;
    /// Reads a whole column.
    ///
    /// # Errors
    /// When the array does not hold this type, or a word is unknown.
    fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError>;
}

/// What `table!` derives.
pub trait Table: Sized {
    /// The columns in order.
    const COLUMNS: &'static [Column];
    /// The table's name.
    const NAME: &'static str;

    /// The Arrow schema.
    #[must_use]
    fn arrow_schema() -> Arc<arrow::datatypes::Schema> {
        Arc::new(arrow::datatypes::Schema::new(Self::COLUMNS.iter().map(Column::field).collect::<Vec<_>>()))
    }

    /// The JSON Schema (2020-12) of one row.
    #[must_use]
    fn json_schema() -> serde_json::Value {
        let properties: serde_json::Map<_, _> = Self::COLUMNS.iter().map(|c| (c.name.to_owned(), c.json_schema())).collect();
        let required: Vec<_> = Self::COLUMNS.iter().filter(|c| !c.nullable).map(|c| c.name).collect();
        serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": Self::NAME,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// Rows as one Arrow record batch.
    ///
    /// # Errors
    /// When a text column would pass Arrow's 2 GiB for one batch.
    fn to_batch<'a>(rows: impl IntoIterator<Item = &'a Self>) -> Result<arrow::array::RecordBatch, ArrowError>
    where
        Self: 'a;

    /// Rows out of a record batch; columns are found by name, and one that the batch lacks is an error.
    ///
    /// # Errors
    /// When a column is missing, has another type, or holds a word that is not in its vocabulary.
    fn from_batch(batch: &arrow::array::RecordBatch) -> Result<Vec<Self>, ArrowError>;
}

/// Reads the column `name` of `batch` as cells of `T`.
///
/// # Errors
/// As [`Cell::read`]; the message names the column.
pub(crate) fn read_column<T: Cell>(batch: &arrow::array::RecordBatch, name: &str) -> Result<Vec<T>, ArrowError> {
    let array = batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("the batch has no column {name:?}")))?;
    let array = if array.data_type() == &T::TYPE.arrow() { array.clone() } else { arrow::compute::cast(array, &T::TYPE.arrow())? };
    if !T::NULLABLE && array.null_count() > 0 {
        return Err(ArrowError::SchemaError(format!("column {name:?} holds a null, which it must not")));
    }
    T::read(&array).map_err(|e| ArrowError::SchemaError(format!("column {name:?}: {e}")))
}

/// Declares a table: a documented struct whose fields are [`Cell`]s. What stands under `beside` travels with a row in JSON, and is no column.
macro_rules! table {
    // With rows that own nothing, and columns that such rows are collected in.
    ($(#[doc = $sdoc:literal])* $vis:vis struct $name:ident = $table:literal, lent as $row:ident in $columns:ident { $($fields:tt)+ }) => {
        table! { $(#[doc = $sdoc])* $vis struct $name = $table { $($fields)+ } }
        lent! { $name, $row, $columns { $($fields)+ } }
    };
    ($(#[doc = $sdoc:literal])* $vis:vis struct $name:ident = $table:literal { $($(#[doc = $doc:literal])+ $field:ident: $ty:ty,)+ } $(beside { $($(#[doc = $bdoc:literal])+ $beside:ident: $bty:ty,)+ })?) => {
        $(#[doc = $sdoc])*
        #[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
        $vis struct $name {
            $($(#[doc = $doc])+ pub $field: $ty,)+
            $($($(#[doc = $bdoc])+ #[serde(default)] pub $beside: $bty,)+)?
        }

        impl $crate::Table for $name {
            const NAME: &'static str = $table;
            const COLUMNS: &'static [$crate::Column] = &[$($crate::Column {
                name: stringify!($field),
                ty: <$ty as $crate::Cell>::TYPE,
                nullable: <$ty as $crate::Cell>::NULLABLE,
                words: <$ty as $crate::Cell>::WORDS,
                doc: concat!($($doc),+),
            },)+];

            fn to_batch<'a>(rows: impl IntoIterator<Item = &'a Self>) -> Result<arrow::array::RecordBatch, arrow::error::ArrowError> {
                let rows: Vec<&'a Self> = rows.into_iter().collect();
                $(let mut $field = 0_usize;)+
                for row in &rows {
                    $($field += $crate::Cell::text_bytes(&row.$field);)+
                }
                $(let mut $field = <$ty as $crate::Cell>::builder(rows.len(), $field);)+
                for row in rows {
                    $($crate::Cell::append(&row.$field, &mut $field);)+
                }
                arrow::array::RecordBatch::try_new(<Self as $crate::Table>::arrow_schema(), vec![$(<$ty as $crate::Cell>::finish($field),)+])
            }

            fn from_batch(batch: &arrow::array::RecordBatch) -> Result<Vec<Self>, arrow::error::ArrowError> {
                $(let mut $field = $crate::column::read_column::<$ty>(batch, stringify!($field))?.into_iter();)+
                let mut rows = Vec::with_capacity(batch.num_rows());
                for _ in 0..batch.num_rows() {
                    rows.push(Self {
                        $($field: $field.next().ok_or_else(|| arrow::error::ArrowError::SchemaError(concat!("column ", stringify!($field), " is short").to_owned()))?,)+
                        $($($beside: Default::default(),)+)?
                    });
                }
                Ok(rows)
            }
        }
    };
}

macro_rules! text_cell {
    ($ty:ty, $column:expr, $words:expr, |$cell:ident| $as_str:expr, $bytes:expr, |$text:ident| $parse:expr) => {
        impl Cell for $ty {
            const TYPE: ColumnType = $column;
            const WORDS: &'static [&'static str] = $words;
            type Builder = StringBuilder;
            fn builder(rows: usize, bytes: usize) -> StringBuilder {
                StringBuilder::with_capacity(rows, bytes)
            }
            fn text_bytes(&self) -> usize {
                let $cell = self;
                $bytes
            }
            fn append(&self, builder: &mut StringBuilder) {
                let $cell = self;
                builder.append_value($as_str);
            }
            fn finish(mut builder: StringBuilder) -> ArrayRef {
                Arc::new(builder.finish())
            }
            fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
                array
                    .as_string::<i32>()
                    .iter()
                    .map(|cell| {
                        let $text = cell.unwrap_or_default();
                        $parse
                    })
                    .collect()
            }
        }
        impl Cell for Option<$ty> {
            const TYPE: ColumnType = $column;
            const NULLABLE: bool = true;
            const WORDS: &'static [&'static str] = $words;
            type Builder = StringBuilder;
            fn builder(rows: usize, bytes: usize) -> StringBuilder {
                StringBuilder::with_capacity(rows, bytes)
            }
            fn text_bytes(&self) -> usize {
                self.as_ref().map_or(0, Cell::text_bytes)
            }
            fn append(&self, builder: &mut StringBuilder) {
                match self {
                    Some($cell) => builder.append_value($as_str),
                    None => builder.append_null(),
                }
            }
            fn finish(mut builder: StringBuilder) -> ArrayRef {
                Arc::new(builder.finish())
            }
            fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
                array.as_string::<i32>().iter().map(|cell| cell.map(|$text| $parse).transpose()).collect()
            }
        }
    };
}

macro_rules! word_cell {
    ($($ty:ty),+) => {$(
        text_cell!($ty, ColumnType::Dict, {
            const WORDS: [&str; <$ty>::ALL.len()] = {
                let mut words = [""; <$ty>::ALL.len()];
                let mut i = 0;
                while i < words.len() {
                    words[i] = <$ty>::ALL[i].as_str();
                    i += 1;
                }
                words
            };
            &WORDS
        }, |cell| cell.as_str(), cell.as_str().len(), |text| text.parse::<$ty>().map_err(|e| ArrowError::ParseError(e.to_string())));
    )+};
}

text_cell!(Text, ColumnType::Utf8, &[], |cell| cell.as_str(), cell.len(), |text| Ok(Text::from(text)));
text_cell!(String, ColumnType::Utf8, &[], |cell| cell.as_str(), cell.len(), |text| Ok(text.to_owned()));
text_cell!(EventId, ColumnType::Utf8, &[], |cell| hex_digits(cell, &mut [0; 32]), 2 * cell.0.len(), |text| EventId::from_hex(text)
    .ok_or_else(|| ArrowError::ParseError(format!("{text:?} is not 32 hex digits"))));

/// The digits without an allocation: every event has an id.
fn hex_digits<'a>(id: &EventId, digits: &'a mut [u8; 32]) -> &'a str {
    // Neither can fail: 16 bytes have 32 digits, and digits are UTF-8.
    hex::encode_to_slice(id.0, digits).ok().and_then(|()| std::str::from_utf8(digits).ok()).unwrap_or_default()
}

word_cell!(Activity, Outcome, IdentityKind, CredentialKind, CredentialState, Severity, FindingKind, Reason);

macro_rules! primitive_cell {
    ($ty:ty, $column:expr, $builder:ty, $arrow:ty, |$cell:ident| $to:expr, |$value:ident| $from:expr) => {
        impl Cell for $ty {
            const TYPE: ColumnType = $column;
            type Builder = $builder;
            fn builder(rows: usize, _: usize) -> $builder {
                <$builder>::with_capacity(rows)
            }
            fn append(&self, builder: &mut $builder) {
                let $cell = self;
                builder.append_value($to);
            }
            fn finish(mut builder: $builder) -> ArrayRef {
                let array = builder.finish();
                if $column.arrow() == *array.data_type() { Arc::new(array) } else { Arc::new(array.with_data_type($column.arrow())) }
            }
            fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
                Ok(array
                    .as_primitive::<$arrow>()
                    .iter()
                    .map(|cell| {
                        let $value = cell.unwrap_or_default();
                        $from
                    })
                    .collect())
            }
        }
        impl Cell for Option<$ty> {
            const TYPE: ColumnType = $column;
            const NULLABLE: bool = true;
            type Builder = $builder;
            fn builder(rows: usize, _: usize) -> $builder {
                <$builder>::with_capacity(rows)
            }
            fn append(&self, builder: &mut $builder) {
                builder.append_option(self.as_ref().map(|$cell| $to));
            }
            fn finish(builder: $builder) -> ArrayRef {
                <$ty as Cell>::finish(builder)
            }
            fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
                Ok(array.as_primitive::<$arrow>().iter().map(|cell| cell.map(|$value| $from)).collect())
            }
        }
    };
}

primitive_cell!(Micros, ColumnType::Timestamp, TimestampMicrosecondBuilder, TimestampMicrosecondType, |cell| cell.0, |value| Micros(value));
primitive_cell!(i32, ColumnType::Int32, Int32Builder, Int32Type, |cell| *cell, |value| value);
primitive_cell!(i64, ColumnType::Int64, Int64Builder, Int64Type, |cell| *cell, |value| value);
primitive_cell!(f64, ColumnType::Float64, Float64Builder, Float64Type, |cell| *cell, |value| value);

impl Cell for bool {
    const TYPE: ColumnType = ColumnType::Boolean;
    type Builder = BooleanBuilder;
    fn builder(rows: usize, _: usize) -> BooleanBuilder {
        BooleanBuilder::with_capacity(rows)
    }
    fn append(&self, builder: &mut BooleanBuilder) {
        builder.append_value(*self);
    }
    fn finish(mut builder: BooleanBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
        Ok(array.as_boolean().iter().map(Option::unwrap_or_default).collect())
    }
}

impl Cell for Hash32 {
    const TYPE: ColumnType = ColumnType::Binary;
    type Builder = BinaryBuilder;
    fn builder(rows: usize, bytes: usize) -> BinaryBuilder {
        BinaryBuilder::with_capacity(rows, bytes)
    }
    fn text_bytes(&self) -> usize {
        self.0.len()
    }
    fn append(&self, builder: &mut BinaryBuilder) {
        builder.append_value(self.0);
    }
    fn finish(mut builder: BinaryBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
        array
            .as_binary::<i32>()
            .iter()
            .map(|cell| cell.unwrap_or_default().try_into().map(Self).map_err(|_| ArrowError::ParseError("expected 32 bytes".to_owned())))
            .collect()
    }
}

/// A list builder whose elements are not null.
pub struct TextListBuilder(ListBuilder<StringBuilder>);

impl Cell for Vec<Text> {
    const TYPE: ColumnType = ColumnType::Utf8List;
    type Builder = TextListBuilder;
    fn builder(rows: usize, _: usize) -> TextListBuilder {
        TextListBuilder(ListBuilder::with_capacity(StringBuilder::new(), rows).with_field(Field::new("element", DataType::Utf8, false)))
    }
    fn append(&self, builder: &mut TextListBuilder) {
        for text in self {
            builder.0.values().append_value(text);
        }
        builder.0.append(true);
    }
    fn finish(mut builder: TextListBuilder) -> ArrayRef {
        Arc::new(builder.0.finish())
    }
    fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
        Ok(array
            .as_list::<i32>()
            .iter()
            .map(|cell| cell.map(|list| list.as_string::<i32>().iter().flatten().map(Text::from).collect()).unwrap_or_default())
            .collect())
    }
}

impl Cell for Option<Vec<Text>> {
    const TYPE: ColumnType = ColumnType::Utf8List;
    const NULLABLE: bool = true;
    type Builder = TextListBuilder;
    fn builder(rows: usize, bytes: usize) -> TextListBuilder {
        <Vec<Text> as Cell>::builder(rows, bytes)
    }
    fn append(&self, builder: &mut TextListBuilder) {
        match self {
            Some(texts) => texts.append(builder),
            None => builder.0.append(false),
        }
    }
    fn finish(builder: TextListBuilder) -> ArrayRef {
        <Vec<Text> as Cell>::finish(builder)
    }
    fn read(array: &ArrayRef) -> Result<Vec<Self>, ArrowError> {
        Ok(array.as_list::<i32>().iter().map(|cell| cell.map(|list| list.as_string::<i32>().iter().flatten().map(Text::from).collect())).collect())
    }
}
