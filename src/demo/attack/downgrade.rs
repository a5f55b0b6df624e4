//! The protocol is weaker than the identity ever used: an interposed client negotiates an old one, or asks for a ticket that
//! can be cracked.

use super::super::clock::MINUTE;
use super::super::estate::actor::Kind;
use super::super::estate::place::PlaceKind;
use super::super::world::{Guise, Touched};
use super::{ANY, Kit, OFFICE, Planner};

const TLS: Kit = Kit {
    attack: "protocol_downgrade",
    variant: "TLS 1.0 with 3DES",
    technique: "T1562.010",
    description: "A service that always spoke TLS 1.2 connects to its usual server over TLS 1.0 with 3DES, from its usual host.",
};
const KERBEROS: Kit = Kit {
    attack: "protocol_downgrade",
    variant: "Kerberos with RC4",
    technique: "T1558.003",
    description: "A service account that always got AES tickets asks for RC4 tickets for several services: kerberoasting.",
};

pub(super) fn plan(planner: &mut Planner<'_>) {
    for n in 0..planner.count(3.0) {
        let kerberos = n % 3 == 1;
        let kind = if kerberos { Kind::Kerberos } else { Kind::Mtls };
        let Some(victim) = planner.victim(|a| a.kind == kind) else { continue };
        let at = planner.moment(if n % 2 == 0 { OFFICE } else { ANY }, false);
        let label = planner.label(if kerberos { &KERBEROS } else { &TLS }, victim, at);
        let mut places: Vec<_> = planner.world.actors[victim].habits.iter().map(|h| h.place).collect();
        if kerberos {
            places = planner.world.estate.all(PlaceKind::Principal);
            places.truncate(6);
        }
        let address = planner.world.actors[victim].address();
        planner.burst(label, at, 8, MINUTE / 2, move |world, n, time| {
            let Some(place) = places.get(n % places.len().max(1)) else { return Touched { time, id: String::new(), credential: None } };
            world.touch(victim, *place, 0, time, Guise { address: Some(&address), weak: true, ..Guise::default() })
        });
    }
}
