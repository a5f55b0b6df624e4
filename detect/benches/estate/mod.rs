//! Two estates to measure with, the same in every run.
//!
//! *Steady*: 2,000 machine identities that act twenty times an hour each, with access keys (one in ten over age), hourly sessions and
//! certificates; a handful of destinations, actions and clients each; no surprises. *Mixed*: 1,200 identities of five providers that
//! work in bursts, most of them by the clock, with ephemeral names, deployments, outages and jobs that go astray.

#![expect(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

use std::{cmp::Reverse, collections::BinaryHeap};

use keytrail_schemas::{Activity, CredentialKind, Event, EventId, IdentityKind, Micros, Outcome};

const START: Micros = Micros(1_767_571_200_000_000);
const IDENTITIES: u64 = 2_000;
const PER_HOUR: u64 = 20;
const MIXED_IDENTITIES: u64 = 1_200;

/// SplitMix64: the estates are the same in every run.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The steady estate's event of that number.
pub fn steady(n: u64) -> Event {
    let step_us = Micros::HOUR.unsigned_abs() / (IDENTITIES * PER_HOUR);
    let time = Micros(START.0 + i64::try_from(n * step_us).unwrap());
    let who = mix(n) % IDENTITIES;
    let draw = mix(n ^ 0xABCD);
    let hour = n * step_us / Micros::HOUR.unsigned_abs();
    let (credential, kind, issued) = match who % 5 {
        0 | 1 => (format!("AKIA{:016X}", mix(who)), CredentialKind::AccessKey, START.0 - i64::try_from(mix(who) % 100).unwrap() * Micros::DAY),
        2 | 3 => (format!("ASIA{:016X}", mix(who ^ hour << 20)), CredentialKind::Session, START.0 + i64::try_from(hour).unwrap() * Micros::HOUR),
        _ => (format!("x509:{:032x}", mix(who)), CredentialKind::X509, START.0 - 20 * Micros::DAY),
    };
    let service = ["s3", "dynamodb", "sqs", "kms"][usize::try_from(who % 4).unwrap()];
    Event {
        event_id: EventId::of_provider("bench", "", "", u32::try_from(n).unwrap()),
        time,
        ingested_at: time,
        activity: Activity::Use,
        outcome: if draw.is_multiple_of(50) { Outcome::Failure } else { Outcome::Success },
        identity: format!("aws:123456789012:role/team-{}/service-{who}", who % 40).into(),
        identity_kind: IdentityKind::Service,
        identity_provider: "aws".into(),
        identity_account: "123456789012".into(),
        credential: Some(credential.into()),
        credential_kind: kind,
        credential_issued_at: Some(Micros(issued)),
        source_ip: Some(format!("10.{}.{}.{}", who % 40, who / 200, 1 + draw % 2).into()),
        user_agent: Some("aws-sdk-java/2.20.1 Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0".into()),
        destination: Some(format!("aws:{service}/team-{}-data-{}", who % 40, (draw >> 8) % 5).into()),
        destination_kind: Some("bucket".into()),
        destination_service: Some(service.into()),
        environment: Some("prod".into()),
        protocol: Some("https".into()),
        auth_method: Some("sigv4".into()),
        action: Some(format!("{service}:Get{}", (draw >> 16) % 4).into()),
        source: "trail".into(),
        format: "cloudtrail".into(),
        log_offset: i64::try_from(n).unwrap(),
        ..Event::default()
    }
}

/// The mixed estate: its events in the order of their time.
pub struct Mixed {
    /// When each identity acts next, and how many events of its burst are left.
    due: BinaryHeap<Reverse<(i64, u64, u64)>>,
    n: u64,
}

impl Mixed {
    /// From its first event.
    pub fn new() -> Self {
        let due = (0..MIXED_IDENTITIES).map(|who| Reverse((START.0 + i64::try_from(mix(who) % 3_600_000_000).unwrap(), who, 0))).collect();
        Self { due, n: 0 }
    }
}

impl Iterator for Mixed {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let Reverse((at, who, left)) = self.due.pop()?;
        let draw = mix(self.n ^ 0x5EED_0000_0000);
        let hours = u64::try_from((at - START.0) / Micros::HOUR).unwrap();
        let left = if left == 0 { 4 + mix(who ^ 0xB0) % 24 + if mix(who ^ (hours << 24)).is_multiple_of(400) { 300 } else { 0 } } else { left };
        let minutes = [5, 15, 15, 60, 60, 240, 1_440][usize::try_from(mix(who ^ 0xA0) % 7).unwrap()];
        let next = if left > 1 {
            at + i64::try_from(200_000 + draw % 3_000_000).unwrap()
        } else if who.is_multiple_of(8) {
            // Not by the clock.
            at + i64::try_from(60_000_000 + (draw % 1_000) * (draw >> 32) % 1_000 * 7_000_000).unwrap()
        } else {
            at + minutes * Micros::MINUTE + i64::try_from(draw % 4_000_000).unwrap()
        };
        self.due.push(Reverse((next, who, left - 1)));
        let event = act(self.n, who, hours, draw, Micros(at));
        self.n += 1;
        Some(event)
    }
}

fn act(n: u64, who: u64, hours: u64, draw: u64, time: Micros) -> Event {
    let team = who % 16;
    // A deployment gives a team's clients a new version every three days; an outage lasts an hour.
    let version = (hours + team * 5) / 72;
    let out = hours % 97 == 40 && team.is_multiple_of(3);
    let failed = if out { !draw.is_multiple_of(4) } else { draw.is_multiple_of(60) };
    let part = (draw >> 8) % (2 + mix(who) % 6);
    let verb = ["Get", "List", "Describe", "Put"][usize::try_from((draw >> 16) % (1 + mix(who ^ 1) % 4)).unwrap()];
    let base = Event {
        event_id: EventId::of_provider("mixed", "", "", u32::try_from(n).unwrap()),
        time,
        ingested_at: time,
        activity: Activity::Use,
        outcome: if failed { Outcome::Failure } else { Outcome::Success },
        reason: failed.then(|| if out { "ServiceUnavailable" } else { "AccessDenied" }.into()),
        identity_kind: IdentityKind::Service,
        source_ip: Some(format!("10.{team}.{}.{}", who % 7, 1 + mix(who ^ version) % 250).into()),
        log_offset: i64::try_from(n).unwrap(),
        ..Event::default()
    };
    match who % 5 {
        0 | 1 => {
            let service = ["s3", "dynamodb", "sqs", "kms", "secretsmanager"][usize::try_from(part % 5).unwrap()];
            Event {
                identity: format!("aws:111122223333:role/{team}-team/job-{who}").into(),
                identity_provider: "aws".into(),
                identity_account: "111122223333".into(),
                credential: Some(format!("ASIA{:016X}", mix(who ^ ((hours / 6) << 20))).into()),
                credential_kind: CredentialKind::Session,
                credential_issued_at: Some(Micros(START.0 + i64::try_from(hours / 6 * 6).unwrap() * Micros::HOUR)),
                user_agent: Some(format!("Boto3/1.34.{version} md/Botocore#1.34.{version} ua/2.0 os/linux#5.10.224 lang/python#3.12.3").into()),
                destination: Some(format!("arn:aws:{service}:eu-central-1:111122223333:team-{team}/part-{part}").into()),
                destination_kind: Some("bucket".into()),
                destination_service: Some(service.into()),
                environment: Some("prod".into()),
                protocol: Some("https".into()),
                auth_method: Some("sigv4".into()),
                action: Some(format!("{service}:{verb}Object").into()),
                source: "trail".into(),
                format: "cloudtrail".into(),
                ..base
            }
        }
        2 => Event {
            identity: format!("k8s:works:serviceaccount/team-{team}/worker-{who}").into(),
            identity_kind: IdentityKind::Workload,
            identity_provider: "k8s".into(),
            identity_account: "works".into(),
            credential: Some(format!("k8s:{:08x}-{:04x}-4{:03x}-8000-{:012x}", mix(who ^ hours) >> 32, team, part, mix(who ^ (hours << 8)) >> 16).into()),
            credential_kind: CredentialKind::Jwt,
            user_agent: Some(format!("kubelet/v1.29.{version} (linux/amd64) kubernetes/{:07x}", mix(version) >> 36).into()),
            destination: Some(format!("k8s:works/team-{team}/pods/worker-{:010x}-{:05x}", mix(who ^ (hours / 12)) >> 24, draw >> 44).into()),
            destination_kind: Some("pod".into()),
            destination_service: Some("pods".into()),
            protocol: Some("https".into()),
            auth_method: Some("token".into()),
            action: Some(verb.to_ascii_lowercase().into()),
            source: "audit".into(),
            format: "k8s_audit".into(),
            ..base
        },
        3 => Event {
            identity: format!("vault:works:approle/team-{team}-{who}").into(),
            identity_provider: "vault".into(),
            identity_account: "works".into(),
            credential: Some(format!("vault:accessor/{:016x}", mix(who ^ ((hours / 24) << 20))).into()),
            credential_kind: CredentialKind::ApiToken,
            destination: Some(format!("vault:secret/data/team-{team}/config-{part}").into()),
            destination_kind: Some("secret".into()),
            destination_service: Some("kv".into()),
            protocol: Some("https".into()),
            auth_method: Some("approle".into()),
            action: Some("read".into()),
            source: "vault".into(),
            format: "vault_audit".into(),
            ..base
        },
        _ => Event {
            identity: format!("x509:2b19abdb10359e9a/CN=svc-{who}.works.example").into(),
            identity_kind: IdentityKind::Device,
            identity_provider: "x509".into(),
            credential: Some(format!("x509:{:032x}", mix(who ^ (hours / 700))).into()),
            credential_kind: CredentialKind::X509,
            credential_expires_at: Some(Micros(START.0 + 400 * Micros::DAY)),
            destination: Some(format!("tls:10.{team}.200.{part}:8443").into()),
            destination_kind: Some("host".into()),
            protocol: Some(if who.is_multiple_of(2) { "mtls" } else { "mqtts" }.into()),
            auth_method: Some("x509".into()),
            source: "zeek".into(),
            format: "zeek_ssl".into(),
            ..base
        },
    }
}
