//! Generated records of every format, for measuring.

mod core;
mod plant;
mod templates;

/// Records of one format, as a file of them holds them.
pub struct Workload {
    /// The format's name, and what is particular behind a slash.
    pub name: &'static str,
    /// For formats whose kind stands there.
    pub file_name: &'static str,
    /// Lines that every file of them begins with.
    pub header: Vec<Vec<u8>>,
    pub records: Vec<Vec<u8>>,
}

/// So many records of every format whose name has `wanted` in it.
pub fn workloads(count: u64, wanted: &str) -> Vec<Workload> {
    type Record = fn(u64) -> String;
    let of = |name, file_name, record: &dyn Fn(u64) -> String| Workload {
        name,
        file_name,
        header: Vec::new(),
        records: (0..count).map(|n| record(n).into_bytes()).collect(),
    };
    let core: [(&str, &str, Record); 8] = [
        ("cloudtrail", "", |n| core::cloudtrail(n, n % 20 == 0).to_string()),
        ("cloudtrail/sessions", "", |n| core::cloudtrail(n, true).to_string()),
        ("k8s_audit", "", |n| core::k8s_audit(n).to_string()),
        ("vault_audit", "", |n| core::vault_audit(n).to_string()),
        ("keytrail", "", |n| core::keytrail(n).to_string()),
        ("zeek/json", "ssl.log", |n| core::zeek(n).to_string()),
        ("entra_signin", "", |n| core::entra_signin(n).to_string()),
        ("gcp_audit", "", |n| core::gcp_audit(n).to_string()),
    ];
    let others = templates::TEMPLATES.iter().filter(|(name, ..)| name.contains(wanted));
    core.into_iter()
        .filter(|(name, ..)| name.contains(wanted))
        .map(|(name, file_name, record)| of(name, file_name, &record))
        .chain(others.map(|(name, file_name, template)| of(name, file_name, &|n| templates::filled(template, n))))
        .chain(plant::workloads(count, wanted))
        .collect()
}
