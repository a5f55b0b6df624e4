//! keytrail-detect
