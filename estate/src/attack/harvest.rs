//! One identity reads many secrets: at once, over an office day, or one every two hours.

use super::{ANY, NIGHT, OFFICE, Planner, Technique};
use crate::clock::{HOUR, SECOND};
use crate::level::Level;
use crate::provider::cloudtrail::Failure;
use crate::roster::actor::{Actor, Kind};
use crate::roster::place::PlaceKind;
use crate::world::Guise;

/// How it is done.
struct How {
    kind: Kind,
    target: PlaceKind,
    times: usize,
    gap: i64,
    hours: std::ops::Range<i64>,
    refused: f64,
}

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "secret_harvest",
        variant: "Vault, at once",
        tactic: "credential-access",
        id: "T1555.006",
        description: "An AppRole reads the secrets of one team after the other within minutes; some are refused.",
        seen_by: "many paths that are new to the role within one window; refusals",
        source: "Scattered Spider enumerates vaults with the pipeline's role: CISA AA23-320A",
        plan: |p, t| harvest(p, t, How { kind: Kind::AppRole, target: PlaceKind::Path, times: 34, gap: 9 * SECOND, hours: NIGHT, refused: 0.2 }),
    },
    Technique {
        attack: "secret_harvest",
        variant: "Secrets Manager, at once",
        tactic: "credential-access",
        id: "T1555.006",
        description: "A role lists the account's secrets and reads them all.",
        seen_by: "a listing, then many secrets that are new to the role within one window",
        source: "Stratus Red Team, aws.credential-access.secretsmanager-retrieve-secrets",
        plan: |p, t| harvest(p, t, How { kind: Kind::AwsRole, target: PlaceKind::Secret, times: 28, gap: 6 * SECOND, hours: ANY, refused: 0.1 }),
    },
    Technique {
        attack: "secret_harvest",
        variant: "Vault, over an office day",
        tactic: "credential-access",
        id: "T1555.006",
        description: "An AppRole reads a dozen secrets of other teams over an office day, one at a time.",
        seen_by: "one path after the other that is new to the role, hour after hour",
        source: "Pacing below a threshold: MITRE ATT&CK T1029, scheduled transfer, for the same idea in exfiltration",
        plan: |p, t| harvest(p, t, How { kind: Kind::AppRole, target: PlaceKind::Path, times: 12, gap: HOUR / 3, hours: OFFICE, refused: 0.0 }),
    },
    Technique {
        attack: "secret_harvest",
        variant: "one new secret every two hours",
        tactic: "credential-access",
        id: "T1555.006",
        description: "A role reads one secret that it never read every two hours, for a day: no window of an hour holds more than one.",
        seen_by: "the sum of new secrets over a day; no single hour shows it",
        source: "Pacing below a threshold: MITRE ATT&CK T1029, scheduled transfer, for the same idea in exfiltration",
        plan: |p, t| harvest(p, t, How { kind: Kind::AwsRole, target: PlaceKind::Secret, times: 12, gap: 2 * HOUR, hours: 0..6, refused: 0.0 }),
    },
    Technique {
        attack: "secret_harvest",
        variant: "Kubernetes secrets, namespace by namespace",
        tactic: "credential-access",
        id: "T1552.007",
        description: "A service account lists secrets in one namespace after the other.",
        seen_by: "namespaces that are new to the account; refusals",
        source: "Microsoft's threat matrix for Kubernetes, List K8S secrets; Stratus Red Team, k8s.credential-access.dump-secrets",
        plan: |p, t| harvest(p, t, How { kind: Kind::ServiceAccount, target: PlaceKind::Object, times: 16, gap: 15 * SECOND, hours: ANY, refused: 0.5 }),
    },
];

fn harvest(planner: &mut Planner<'_>, technique: &'static Technique, how: How) -> Option<()> {
    let How { kind, target, times, gap, hours, refused } = how;
    let victim = planner.victim(|a: &Actor| a.kind == kind)?;
    let hours = if planner.level == Level::Hard && gap < HOUR { OFFICE } else { hours };
    let at = planner.moment(hours, true);
    let label = planner.label(technique, victim, at);
    let account = planner.world.actors[victim].account;
    let usual: Vec<_> = planner.world.actors[victim].habits.iter().map(|h| h.place).collect();
    let mut places: Vec<_> = planner.world.estate.all(target);
    places.retain(|p| {
        let place = planner.world.estate.place(*p);
        !usual.contains(p) && (target != PlaceKind::Secret || place.account == account) && (target != PlaceKind::Object || place.name.starts_with("secrets/"))
    });
    let offset = planner.chance.below(places.len());
    let whole = planner.world.estate.account_place(account);
    let refusals: Vec<bool> = (0..times).map(|_| planner.chance.happens(refused)).collect();
    let listed = target == PlaceKind::Secret && gap < HOUR;
    let act = move |world: &mut crate::world::World, n: usize, time: i64| {
        let failure = refusals.get(n).copied().unwrap_or(false).then_some(Failure::Denied);
        if listed && n == 0 {
            return world.touch(victim, whole, 2, time, Guise::default());
        }
        let place = places.get((offset + n) % places.len().max(1)).copied().unwrap_or(0);
        world.touch(victim, place, 0, time, Guise { failure, ..Guise::default() })
    };
    if gap < HOUR {
        planner.burst(label, at, times, gap, act);
        return Some(());
    }
    // By the clock, so that no hour ever holds two.
    for n in 0..times {
        let (time, act) = (at + gap * n as i64 + planner.chance.range(0, HOUR / 3), act.clone());
        planner.script.at(time, Some(label), move |world, time| vec![act(world, n, time)]);
    }
    Some(())
}
