//! Behaviour of the baselines as a whole.
