//! The providers' own raw formats, field by field. Each file knows how one system writes what it sees; none knows why it happened.

pub mod cloudtrail;
pub mod k8s_audit;
pub mod vault_audit;
pub mod zeek;
