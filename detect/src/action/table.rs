//! The providers' references, as they are compiled in, and how a provider names its actions. Parsed once, into slices of the text itself.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::Class;

/// The rows of one provider: by service, the classes and the names of each.
type Table = FxHashMap<&'static str, Vec<(Class, &'static str)>>;

static AWS: LazyLock<Table> = LazyLock::new(|| parse(&[include_str!("../../data/action/aws_events.tsv"), include_str!("../../data/action/aws.tsv")]));
static GCP: LazyLock<Table> = LazyLock::new(|| parse(&[include_str!("../../data/action/gcp.tsv")]));
static AZURE: LazyLock<Table> = LazyLock::new(|| parse(&[include_str!("../../data/action/azure.tsv")]));
static K8S: LazyLock<Table> = LazyLock::new(|| parse(&[include_str!("../../data/action/k8s.tsv")]));
static VAULT: LazyLock<Table> = LazyLock::new(|| parse(&[include_str!("../../data/action/vault.tsv")]));
static PLANT: LazyLock<Table> = LazyLock::new(|| parse(&[include_str!("../../data/action/plant.tsv")]));

/// `CloudTrail`'s event sources whose permissions carry another prefix.
const AWS_ALIASES: &[(&str, &str)] = &[
    ("monitoring", "cloudwatch"),
    ("email", "ses"),
    ("tagging", "tag"),
    ("bedrock-runtime", "bedrock"),
    ("runtime.sagemaker", "sagemaker"),
    ("mwaa", "airflow"),
    ("amazonmq", "mq"),
    ("a4b", "alexaforbusiness"),
    ("aws-marketplace", "aws-marketplace-catalog"),
    ("efs", "elasticfilesystem"),
    ("streams.dynamodb", "dynamodb"),
    ("kinesisanalytics", "kinesisanalytics"),
];

fn parse(files: &[&'static str]) -> Table {
    let mut table = Table::default();
    for line in files.iter().flat_map(|file| file.lines()).filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        if let (Some(service), Some(class), Some(names)) = (columns.next(), columns.next().and_then(Class::of_word), columns.next()) {
            table.entry(service).or_default().push((class, names));
        }
    }
    table
}

fn find(table: &Table, service: &str, is: impl Fn(&str) -> bool) -> Option<Class> {
    table.get(service)?.iter().find(|(_, names)| names.split(' ').any(&is)).map(|(class, _)| *class)
}

/// The row of `service`, or else of every other one.
fn find_or_any(table: &Table, service: &str, name: &str) -> Option<Class> {
    find(table, service, |known| known == name).or_else(|| find(table, service, |known| known == "*")).or_else(|| find(table, "*", |known| known == name))
}

/// The class of an action that a reference lists.
pub(super) fn listed(action: &str) -> Option<Class> {
    if let Some((service, name)) = action.split_once(':') {
        return aws(service, name);
    }
    if let Some((provider, operation)) = action.split_once('/').filter(|(provider, _)| provider.contains('.')) {
        let (provider, operation) = (provider.to_ascii_lowercase(), operation.to_ascii_lowercase());
        return find(&AZURE, &provider, |known| known == operation);
    }
    let (first, rest) = action.split_once('.')?;
    if PLANT.contains_key(first) {
        return find_or_any(&PLANT, first, &rest.to_ascii_lowercase());
    }
    if VAULT.contains_key(first) {
        return find_or_any(&VAULT, first, rest);
    }
    match action.rsplit_once('.') {
        Some((resource, verb)) if !resource.contains('.') => find_or_any(&K8S, resource, verb),
        _ => gcp(action),
    }
}

fn aws(service: &str, name: &str) -> Option<Class> {
    let service = AWS_ALIASES.iter().find(|(alias, _)| *alias == service).map_or(service, |(_, service)| service);
    find(&AWS, service, |known| known == name).or_else(|| {
        let plain = without_version(name);
        if plain == name { None } else { find(&AWS, service, |known| known == plain) }
    })
}

/// `CreateFunction20150331`, `UpdateFunctionCode20150331v2`: the name without the date of its API and what follows.
fn without_version(name: &str) -> &str {
    let end = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = end.strip_suffix('v').filter(|stem| end.len() < name.len() && stem.ends_with(|c: char| c.is_ascii_digit())).unwrap_or(name);
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if name.len() - stem.len() >= 8 { stem } else { name }
}

/// Methods of Google's APIs: `compute.instances.insert`, with a version before it or not, or `google.iam.admin.v1.CreateServiceAccountKey`. The reference
/// holds permissions, `iam.serviceAccountKeys.create`.
fn gcp(action: &str) -> Option<Class> {
    let mut parts: Vec<&str> = action.split('.').filter(|part| !matches!(*part, "alpha" | "beta" | "google" | "cloud") && !is_version(part)).collect();
    let last = parts.pop()?;
    let service = *parts.first()?;
    let rows = GCP.get(service)?;
    let of = |noun: &str, verb: &str| {
        let (noun, verb) = (singular(noun), synonym(verb));
        rows.iter().find(|(_, names)| {
            names.split(' ').filter_map(|name| name.split_once('.')).any(|(known, does)| {
                let known = singular(known);
                does.eq_ignore_ascii_case(&verb) && (known == noun || (noun.ends_with(&known) && !known.is_empty()))
            })
        })
    };
    let any = || rows.iter().find(|(_, names)| names.split(' ').filter_map(|name| name.split_once('.')).any(|(_, does)| does.eq_ignore_ascii_case(last)));
    let rest = parts.get(1..).unwrap_or_default();
    let found = if last.starts_with(|c: char| c.is_ascii_uppercase()) {
        let end = last.char_indices().skip(1).find(|(_, c)| c.is_ascii_uppercase()).map_or(last.len(), |(at, _)| at);
        let (verb, noun) = last.split_at(end);
        of(noun, verb).or_else(any)
    } else {
        rest.last().and_then(|noun| of(noun, last))
    };
    found.map(|(class, _)| *class)
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn singular(noun: &str) -> String {
    let noun = noun.to_ascii_lowercase();
    match noun.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => noun.strip_suffix('s').map_or_else(|| noun.clone(), Into::into),
    }
}

fn synonym(verb: &str) -> String {
    match verb.to_ascii_lowercase().as_str() {
        "insert" => "create".into(),
        "patch" => "update".into(),
        "aggregatedlist" => "list".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_whole() {
        for (table, services, names) in [(&AWS, 400, 22_000), (&GCP, 100, 4_000), (&AZURE, 100, 4_000), (&K8S, 40, 150), (&VAULT, 20, 150), (&PLANT, 10, 60)] {
            let count: usize = table.values().flatten().map(|(_, names)| names.split(' ').count()).sum();
            assert!(table.len() >= services && count >= names, "{} services, {count} names", table.len());
        }
        let lines = include_str!("../../data/action/k8s.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(K8S.values().map(Vec::len).sum::<usize>(), lines, "a row with an unknown class is passed over");
    }

    #[test]
    fn versions_of_names_are_left_out() {
        for (name, expected) in [
            ("CreateFunction20150331", "CreateFunction"),
            ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
            ("ListObjectsV2", "ListObjectsV2"),
            ("CreateStreamingDistribution2020_05_31", "CreateStreamingDistribution2020_05_31"),
            ("v2", "v2"),
            ("", ""),
        ] {
            assert_eq!(without_version(name), expected);
        }
    }
}
