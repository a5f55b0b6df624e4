//! Rows that own nothing: a record of the log whose texts stay where they lie among its bytes, and the Arrow columns that such rows go into in the
//! order in which they are read. From bytes to columns every text is copied once, and nothing is allocated for a row.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Builder, StringArray, StringViewBuilder};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

use crate::texts::{Texts, keyed};
use crate::{Activity, Cell, CredentialKind, EventId, Hash32, IdentityKind, Micros, Outcome, Text};

/// A cell that can be lent: read out of a record's bytes, or of a row that owns it, without a copy.
pub trait Lent: Cell {
    /// What stands for the cell.
    type Of<'a>: Copy;
    /// Collects such cells.
    type Column;
    /// The cell of a row that owns it.
    fn lend(&self) -> Self::Of<'_>;
    /// The type of the collected column: the cell's own, or one that holds the same texts otherwise.
    #[must_use]
    fn arrow() -> DataType;
    /// A column with room for `rows` cells.
    fn column(rows: usize) -> Self::Column;
    /// Adds a cell.
    fn put(cell: Self::Of<'_>, column: &mut Self::Column);
    /// The array of all cells added.
    ///
    /// # Errors
    /// When they are no array: a defect.
    fn close(column: Self::Column) -> Result<ArrayRef, ArrowError>;
}

/// Cells of one width are lent and collected as they are.
macro_rules! lent_copy {
    ($($ty:ty: $bytes:literal),+) => {$(
        impl Lent for $ty {
            type Of<'a> = Self;
            type Column = <Self as Cell>::Builder;
            fn lend(&self) -> Self {
                *self
            }
            fn arrow() -> DataType {
                Self::TYPE.arrow()
            }
            fn column(rows: usize) -> Self::Column {
                <Self as Cell>::builder(rows, rows * $bytes)
            }
            fn put(cell: Self, column: &mut Self::Column) {
                Cell::append(&cell, column);
            }
            fn close(column: Self::Column) -> Result<ArrayRef, ArrowError> {
                Ok(<Self as Cell>::finish(column))
            }
        }
    )+};
}

lent_copy!(EventId: 32, Hash32: 32, Micros: 0, Option<Micros>: 0, Option<i64>: 0, i32: 0, i64: 0);

/// Words of a closed vocabulary are collected as their numbers.
macro_rules! lent_word {
    ($($ty:ty),+) => {$(
        impl Lent for $ty {
            type Of<'a> = Self;
            type Column = Int32Builder;
            fn lend(&self) -> Self {
                *self
            }
            fn arrow() -> DataType {
                keyed()
            }
            fn column(rows: usize) -> Int32Builder {
                Int32Builder::with_capacity(rows)
            }
            fn put(cell: Self, column: &mut Int32Builder) {
                column.append_value(cell as i32);
            }
            fn close(mut column: Int32Builder) -> Result<ArrayRef, ArrowError> {
                let words = StringArray::from_iter_values(Self::ALL.iter().map(|word| word.as_str()));
                Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(column.finish(), Arc::new(words))?))
            }
        }
    )+};
}

lent_word!(Activity, Outcome, IdentityKind, CredentialKind);

impl Lent for Text {
    type Of<'a> = &'a str;
    type Column = Texts;
    fn lend(&self) -> &str {
        self.as_str()
    }
    fn arrow() -> DataType {
        keyed()
    }
    fn column(rows: usize) -> Texts {
        Texts::new(rows)
    }
    fn put(cell: &str, column: &mut Texts) {
        column.push(cell);
    }
    fn close(column: Texts) -> Result<ArrayRef, ArrowError> {
        column.finish()
    }
}

impl Lent for Option<Text> {
    type Of<'a> = Option<&'a str>;
    type Column = Texts;
    fn lend(&self) -> Option<&str> {
        self.as_deref()
    }
    fn arrow() -> DataType {
        keyed()
    }
    fn column(rows: usize) -> Texts {
        Texts::new(rows)
    }
    fn put(cell: Option<&str>, column: &mut Texts) {
        match cell {
            Some(text) => column.push(text),
            None => column.push_null(),
        }
    }
    fn close(column: Texts) -> Result<ArrayRef, ArrowError> {
        column.finish()
    }
}

/// Long texts are viewed: putting rows in order then moves what points to a text, and not the text.
impl Lent for Option<String> {
    type Of<'a> = Option<&'a str>;
    type Column = StringViewBuilder;
    fn lend(&self) -> Option<&str> {
        self.as_deref()
    }
    fn arrow() -> DataType {
        DataType::Utf8View
    }
    fn column(rows: usize) -> StringViewBuilder {
        StringViewBuilder::with_capacity(rows)
    }
    fn put(cell: Option<&str>, column: &mut StringViewBuilder) {
        column.append_option(cell);
    }
    fn close(mut column: StringViewBuilder) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(column.finish()))
    }
}

/// Declares, beside a table, its rows as they are lent, and its columns as they are collected.
macro_rules! lent {
    ($name:ident, $row:ident, $columns:ident { $($(#[doc = $doc:literal])+ $field:ident: $ty:ty,)+ }) => {
        #[doc = concat!("One [`", stringify!($name), "`] that owns nothing.")]
        #[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
        pub struct $row<'a> {
            $($(#[doc = $doc])+ #[serde(borrow)] pub $field: <$ty as $crate::Lent>::Of<'a>,)+
        }

        impl<'a> From<&'a $name> for $row<'a> {
            fn from(row: &'a $name) -> Self {
                Self { $($field: $crate::Lent::lend(&row.$field),)+ }
            }
        }

        #[doc = concat!("The columns of [`", stringify!($name), "`], collected row by row in the order of reading.")]
        pub struct $columns {
            rows: usize,
            $($field: <$ty as $crate::Lent>::Column,)+
        }

        impl $columns {
            /// Columns with room for so many rows; they grow.
            #[must_use]
            pub fn new(rows: usize) -> Self {
                Self { rows: 0, $($field: <$ty as $crate::Lent>::column(rows),)+ }
            }

            /// Adds a row.
            pub fn push(&mut self, row: &$row<'_>) {
                self.rows += 1;
                $(<$ty as $crate::Lent>::put(row.$field, &mut self.$field);)+
            }

            /// How many rows there are.
            #[must_use]
            pub const fn rows(&self) -> usize {
                self.rows
            }

            /// The rows as one batch: the table's columns, texts as keys of the texts that there are, and long ones as views.
            ///
            /// # Errors
            /// When the columns are no batch: a defect.
            pub fn finish(self) -> Result<arrow::array::RecordBatch, arrow::error::ArrowError> {
                arrow::array::RecordBatch::try_new(Self::schema(), vec![$(<$ty as $crate::Lent>::close(self.$field)?,)+])
            }

            /// The schema of [`finish`](Self::finish).
            #[must_use]
            pub fn schema() -> std::sync::Arc<arrow::datatypes::Schema> {
                std::sync::Arc::new(arrow::datatypes::Schema::new(vec![
                    $(arrow::datatypes::Field::new(stringify!($field), <$ty as $crate::Lent>::arrow(), <$ty as $crate::Cell>::NULLABLE),)+
                ]))
            }
        }
    };
}
