//! The protocol is weaker than the identity ever used: an interposed client negotiates an old one, or asks for a ticket that
//! can be cracked.

use super::{Planner, Technique};
use crate::clock::MINUTE;
use crate::roster::actor::Kind;
use crate::roster::place::PlaceKind;
use crate::world::{Guise, Touched};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "protocol_downgrade",
        variant: "TLS 1.0 with 3DES",
        tactic: "defense-evasion",
        id: "T1562.010",
        description: "A service that always spoke TLS 1.2 connects to its usual server over TLS 1.0 with 3DES, from its usual host.",
        seen_by: "a protocol weaker than the identity ever used",
        source: "MITRE ATT&CK T1562.010, downgrade attack",
        plan: |p, t| downgrade(p, t, Kind::Mtls),
    },
    Technique {
        attack: "protocol_downgrade",
        variant: "Kerberos with RC4",
        tactic: "credential-access",
        id: "T1558.003",
        description: "A service account that always got AES tickets asks for RC4 tickets for several services: kerberoasting.",
        seen_by: "a cipher weaker than the account ever used; services that are new to it",
        source: "MITRE ATT&CK T1558.003; Microsoft's guidance on RC4, CVE-2022-37966",
        plan: |p, t| downgrade(p, t, Kind::Kerberos),
    },
];

fn downgrade(planner: &mut Planner<'_>, technique: &'static Technique, kind: Kind) -> Option<()> {
    let victim = planner.victim(|a| a.kind == kind)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let mut places: Vec<_> = planner.world.actors[victim].habits.iter().map(|h| h.place).collect();
    if kind == Kind::Kerberos {
        places = planner.world.estate.all(PlaceKind::Principal);
        places.truncate(6);
    }
    let address = planner.world.actors[victim].address();
    planner.burst(label, at, 8, MINUTE / 2, move |world, n, time| {
        let Some(place) = places.get(n % places.len().max(1)) else { return Touched::nothing(time) };
        world.touch(victim, *place, 0, time, Guise { address: Some(&address), weak: true, ..Guise::default() })
    });
    Some(())
}
