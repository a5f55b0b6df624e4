//! A column of texts of which few differ: each row has the number of its text. A text is looked for among those met last, and not everywhere: where
//! it is not found it is written once more, so that a column of many texts costs little more than writing them.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Builder, StringBuilder};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

/// How many texts are remembered, each at a place that follows from it.
const PLACES: usize = 256;

/// Such a column.
pub struct Texts {
    /// The number of the text that was met last at each place, + 1; 0 where there was none.
    met: [u32; PLACES],
    keys: Int32Builder,
    texts: StringBuilder,
}

/// The type of such a column.
pub(crate) fn keyed() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

impl Texts {
    /// A column with room for `rows` rows.
    pub(crate) fn new(rows: usize) -> Self {
        Self { met: [0; PLACES], keys: Int32Builder::with_capacity(rows), texts: StringBuilder::with_capacity(0, 0) }
    }

    /// Adds a row with a text.
    pub(crate) fn push(&mut self, text: &str) {
        let place = place(text.as_bytes());
        let number = match self.met.get(place) {
            Some(&met) if met > 0 && self.text(met as usize - 1) == Some(text.as_bytes()) => met - 1,
            _ => self.write(text, place),
        };
        // A column has fewer texts than rows, and a batch fewer rows than 2^31.
        self.keys.append_value(i32::try_from(number).unwrap_or(i32::MAX));
    }

    /// Adds a row without one.
    pub(crate) fn push_null(&mut self) {
        self.keys.append_null();
    }

    /// The column.
    pub(crate) fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(self.keys.finish(), Arc::new(self.texts.finish()))?))
    }

    fn text(&self, number: usize) -> Option<&[u8]> {
        let ends = self.texts.offsets_slice();
        let (from, to) = (usize::try_from(*ends.get(number)?).ok()?, usize::try_from(*ends.get(number + 1)?).ok()?);
        self.texts.values_slice().get(from..to)
    }

    fn write(&mut self, text: &str, place: usize) -> u32 {
        let number = u32::try_from(self.texts.offsets_slice().len() - 1).unwrap_or(u32::MAX - 1);
        self.texts.append_value(text);
        if let Some(met) = self.met.get_mut(place) {
            *met = number + 1;
        }
        number
    }
}

/// Where a text is remembered: by its length, and its first and last bytes. That two share a place costs the one that is met less often a copy, and
/// is no error.
fn place(text: &[u8]) -> usize {
    let word = |bytes: Option<&[u8; 8]>| bytes.map(|bytes| u64::from_le_bytes(*bytes));
    let (first, last) = match (word(text.first_chunk()), word(text.last_chunk())) {
        (Some(first), Some(last)) => (first, last),
        _ => (text.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29)).wrapping_add(text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 56).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use proptest::prelude::*;

    use super::*;

    fn read(column: &ArrayRef) -> Vec<Option<String>> {
        let column = column.as_dictionary::<Int32Type>();
        let texts = column.downcast_dict::<arrow::array::StringArray>().unwrap();
        texts.into_iter().map(|text| text.map(str::to_owned)).collect()
    }

    proptest! {
        #[test]
        fn every_row_has_its_text(rows in prop::collection::vec(prop::option::of(prop_oneof!["[ab]{0,3}", "arn:[a-c]{0,9}:[xy]{9}", ".{0,30}"]), 0..600)) {
            let mut column = Texts::new(4);
            for row in &rows {
                match row {
                    Some(text) => column.push(text),
                    None => column.push_null(),
                }
            }
            prop_assert_eq!(read(&column.finish().unwrap()), rows);
        }
    }

    #[test]
    fn what_was_met_is_not_written_again() {
        let mut column = Texts::new(4);
        for round in 0..1_000 {
            column.push(["aws:111122223333:user/svc-1", "aws:111122223333:user/svc-2", "aws"][round % 3]);
        }
        let column = column.finish().unwrap();
        assert_eq!((column.len(), column.as_dictionary::<Int32Type>().values().len()), (1_000, 3));
    }
}
