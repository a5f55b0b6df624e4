//! What rules said of texts of many values, a few thousand texts of each field: who acts comes back, on what it acted before. No outcome depends on what is
//! remembered.

use keytrail_schemas::Text;
use rsigma_eval::CompiledDetectionItem;

use super::says;
use crate::ledger::distinct::hash_of;

/// Texts remembered of each field: a power of two.
const PLACES: usize = 1_024;
/// A longer text is not remembered.
const TEXT_BYTES_MAX: usize = 256;

/// See the module.
#[derive(Default)]
pub struct Said {
    fields: Vec<Field>,
    /// The number of the observation.
    turn: u64,
}

#[derive(Default)]
struct Field {
    /// The observation whose text stands at `at`.
    turn: u64,
    at: usize,
    places: Vec<Place>,
}

#[derive(Default, Clone)]
struct Place {
    text: Text,
    /// Items that were asked, and those that hold, as bits.
    asked: u64,
    held: u64,
}

/// An item as it is remembered.
pub struct Item {
    /// The number of its field.
    pub field: usize,
    /// Its number among the field's.
    pub number: u32,
    /// What it says.
    pub item: Box<CompiledDetectionItem>,
}

impl Said {
    /// Another observation comes.
    pub fn turn(&mut self) {
        self.turn += 1;
    }

    /// Whether `item` holds for `text`, its field's in this observation.
    pub fn holds(&mut self, item: &Item, text: Option<&str>) -> bool {
        let Some(known) = text.filter(|text| item.number < u64::BITS && text.len() <= TEXT_BYTES_MAX) else { return says(&item.item, text) };
        if self.fields.len() <= item.field {
            self.fields.resize_with(item.field + 1, Field::default);
        }
        let Some(field) = self.fields.get_mut(item.field) else { return says(&item.item, text) };
        if field.turn != self.turn {
            field.turn = self.turn;
            field.find(known);
        }
        let Some(place) = field.places.get_mut(field.at) else { return says(&item.item, text) };
        let bit = 1_u64 << item.number;
        if place.asked & bit == 0 {
            place.asked |= bit;
            place.held |= if says(&item.item, text) { bit } else { 0 };
        }
        place.held & bit != 0
    }
}

impl Field {
    /// Goes to the place of a text, which is its from here on.
    fn find(&mut self, text: &str) {
        if self.places.is_empty() {
            self.places.resize(PLACES, Place::default());
        }
        #[expect(clippy::cast_possible_truncation, reason = "its last bits are asked for")]
        let at = hash_of(text) as usize % PLACES;
        self.at = at;
        if let Some(place) = self.places.get_mut(at).filter(|place| place.text != text) {
            place.text.clear();
            place.text.push_str(text);
            (place.asked, place.held) = (0, 0);
        }
    }
}
