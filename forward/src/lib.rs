//! keytrail-forward
