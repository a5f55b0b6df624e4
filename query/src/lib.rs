//! keytrail-query
