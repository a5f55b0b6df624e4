//! keytrail-lake
