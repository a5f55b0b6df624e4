//! Behaviour of the baselines as a whole: scenes of a small estate, told in events.

mod bounds;
mod calibrated;
mod detection;
mod estate;
mod scene;
mod silence;
mod snapshot;
mod stage;
