//! One identity, one hour of event time: what it has met so far, and the evidence in it.

use serde::{Deserialize, Serialize};

use super::aspect::Aspect;
use super::facet::Facet;
use super::incident::Cause;
use super::rate::Class;

/// A value that the window met and the identity did not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Of which facet.
    pub facet: Facet,
    /// The value.
    pub value: u32,
    /// The template that is learned beside it.
    pub template: u32,
    /// How new it was when it was met.
    pub class: Class,
}

/// The evidence of one aspect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Before it is shared out among the members of an incident.
    pub own: f32,
    /// After.
    pub shared: f32,
    /// What it rests on.
    pub cause: Option<Cause>,
}

/// An open window. Laid out so that what each event looks at lies together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct Window {
    /// Hours since 1970.
    pub hour: u32,
    /// Events so far.
    pub events: u32,
    /// Those of which the outcome is known.
    pub outcomes: u32,
    /// Those that failed or were denied.
    pub failures: u32,
    /// Distinct destinations.
    pub destinations: u32,
    /// Facets that could be assessed, as bits.
    pub assessed: u32,
    /// Facets that met something new to the identity.
    pub met_identity: u32,
    /// Facets that met something new to everyone.
    pub met_everyone: u32,
    /// New values, in the order in which they were met.
    pub news: Vec<News>,
    /// Counts at which volume, failures and destinations are judged next.
    pub check_events: u32,
    /// See `check_events`.
    pub check_failures: u32,
    /// See `check_events`.
    pub check_destinations: u32,
    /// By how much the age of a credential multiplies surprise.
    pub weight: f64,
    /// Sum of the evidence, weighed.
    pub total: f64,
    /// The highest it has been.
    pub total_max: f64,
    /// Calibrated.
    pub p_value: f64,
    /// The highest evidence of its events that was looked at, before it was calibrated.
    pub volume: f64,
    /// The same of its destinations.
    pub spread: f64,
    /// One of the day's findings was spent on it.
    pub spent: bool,
    /// Evidence per aspect.
    pub evidence: [Evidence; Aspect::COUNT],
}

impl Window {
    /// Clears a window for another hour; its memory is kept.
    pub fn reset(&mut self, hour: u32) {
        let mut news = std::mem::take(&mut self.news);
        news.clear();
        *self = Self { hour, news, check_failures: 1, weight: 1.0, p_value: 1.0, ..Self::default() };
    }

    /// The class of a new value that the window has met already.
    #[must_use]
    pub fn class_of(&self, facet: Facet, value: u32) -> Option<Class> {
        self.news.iter().find(|news| news.value == value && news.facet == facet).map(|news| news.class)
    }

    /// Destinations new to the identity that it met.
    #[must_use]
    pub fn new_destinations(&self) -> u32 {
        u32::try_from(self.news.iter().filter(|news| news.facet == Facet::Destination).count()).unwrap_or(u32::MAX)
    }

    /// How new what it met in `facet` was; `None` where nothing was new.
    #[must_use]
    pub const fn met(&self, facet: Facet) -> Option<Class> {
        if self.met_everyone & facet.bit() != 0 {
            Some(Class::Everyone)
        } else if self.met_identity & facet.bit() != 0 {
            Some(Class::Identity)
        } else {
            None
        }
    }

    /// Notes that it met something new in `facet`.
    pub const fn meet(&mut self, facet: Facet, class: Class) {
        self.met_identity |= facet.bit();
        if matches!(class, Class::Everyone) {
            self.met_everyone |= facet.bit();
        }
    }

    /// Raises the evidence of an aspect; what is less than before changes nothing. True when it rose.
    pub fn raise(&mut self, aspect: Aspect, own: f64, cause: Option<Cause>) -> bool {
        let Some(evidence) = self.evidence.get_mut(aspect as usize) else { return false };
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for evidence")]
        let own = own as f32;
        if own <= evidence.own {
            return false;
        }
        *evidence = Evidence { own, shared: own, cause };
        true
    }

    /// Sets the evidence of an aspect that may also fall, as a share of failures does.
    pub fn set(&mut self, aspect: Aspect, own: f64, cause: Option<Cause>) {
        if let Some(evidence) = self.evidence.get_mut(aspect as usize) {
            *evidence = Evidence::default();
        }
        self.raise(aspect, own, cause);
    }
}
