//! One identity reads many secrets: at once, or slowly enough not to be noticed.

use super::super::clock::{HOUR, SECOND};
use super::super::cloudtrail::Failure;
use super::super::estate::actor::{Actor, Kind};
use super::super::estate::place::PlaceKind;
use super::super::world::Guise;
use super::{ANY, Kit, NIGHT, OFFICE, Planner};

const KIT: Kit = Kit { attack: "secret_harvest", variant: "", technique: "T1555.006", description: "" };

struct Variant {
    kit: Kit,
    kind: Kind,
    target: PlaceKind,
    times: usize,
    gap: i64,
    hours: std::ops::Range<i64>,
    refused: f64,
}

fn variant(n: usize) -> Variant {
    let (variant, technique, description, kind, target, times, gap, hours, refused) = match n % 4 {
        0 => (
            "Vault, at once",
            "T1555.006",
            "An AppRole reads the secrets of one team after the other within minutes; some are refused.",
            Kind::AppRole,
            PlaceKind::Path,
            34,
            9 * SECOND,
            NIGHT,
            0.2,
        ),
        1 => (
            "Secrets Manager, at once",
            "T1555.006",
            "A role lists the account's secrets and reads them all.",
            Kind::AwsRole,
            PlaceKind::Secret,
            28,
            6 * SECOND,
            ANY,
            0.1,
        ),
        2 => (
            "Vault, slowly",
            "T1555.006",
            "An AppRole reads a dozen secrets of other teams over an office day, one at a time.",
            Kind::AppRole,
            PlaceKind::Path,
            12,
            HOUR / 3,
            OFFICE,
            0.0,
        ),
        _ => (
            "Kubernetes secrets",
            "T1552.007",
            "A service account lists secrets in one namespace after the other.",
            Kind::ServiceAccount,
            PlaceKind::Object,
            16,
            15 * SECOND,
            ANY,
            0.5,
        ),
    };
    Variant { kit: Kit { variant, technique, description, ..KIT }, kind, target, times, gap, hours, refused }
}

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(4.0) {
        let Variant { kit, kind, target, times, gap, hours, refused } = variant(n);
        let Some(victim) = planner.victim(|a: &Actor| a.kind == kind) else { continue };
        let at = planner.moment(hours, true);
        let label = planner.label(&kit, victim, at);
        let account = planner.world.actors[victim].account;
        let mut places: Vec<_> = planner.world.estate.all(target);
        places.retain(|p| {
            let place = planner.world.estate.place(*p);
            (target != PlaceKind::Secret || place.account == account) && (target != PlaceKind::Object || place.name.starts_with("secrets/"))
        });
        let offset = planner.chance.below(places.len());
        let whole = planner.world.estate.account_place(account);
        let refusals: Vec<bool> = (0..times).map(|_| planner.chance.happens(refused)).collect();
        planner.burst(label, at, times, gap, move |world, n, time| {
            let failure = refusals.get(n).copied().unwrap_or(false).then_some(Failure::Denied);
            if target == PlaceKind::Secret && n == 0 {
                return world.touch(victim, whole, 2, time, Guise::default());
            }
            let place = places.get((offset + n) % places.len().max(1)).copied().unwrap_or(0);
            world.touch(victim, place, 0, time, Guise { failure, ..Guise::default() })
        });
    }
}
