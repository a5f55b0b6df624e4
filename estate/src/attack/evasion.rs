//! Somebody switches off what would have seen them.

use super::{Planner, Technique};
use crate::clock::MINUTE;
use crate::provider::cloudtrail::Request;
use crate::roster::ACCOUNTS;
use crate::roster::actor::Kind;
use crate::roster::place::Op;
use crate::world::Guise;

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "logging_off",
        variant: "trail stopped",
        tactic: "defense-evasion",
        id: "T1562.008",
        description: "A role stops the account's trail and, two minutes later, starts it again.",
        seen_by: "the call itself: a fact, whoever makes it",
        source: "Stratus Red Team, aws.defense-evasion.cloudtrail-stop",
        plan: |p, t| trail(p, t, "StopLogging"),
    },
    Technique {
        attack: "logging_off",
        variant: "trail no longer sees data events",
        tactic: "defense-evasion",
        id: "T1562.008",
        description: "A role changes the trail's event selectors so that reads of objects are no longer logged.",
        seen_by: "the call itself: a fact, whoever makes it",
        source: "Stratus Red Team, aws.defense-evasion.cloudtrail-event-selectors",
        plan: |p, t| trail(p, t, "PutEventSelectors"),
    },
    Technique {
        attack: "logging_off",
        variant: "Vault's audit device removed",
        tactic: "defense-evasion",
        id: "T1562.008",
        description: "An AppRole disables Vault's audit device; the request is the last thing that the device writes, and another one sees the rest.",
        seen_by: "the call itself: a fact, whoever makes it",
        source: "HashiCorp, Vault audit devices: disabling one is itself an audited request; Elastic and Datadog ship rules for it",
        plan: audit_device,
    },
];

fn trail(planner: &mut Planner<'_>, technique: &'static Technique, name: &'static str) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AwsRole)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = planner.thief_address(victim);
    let account = ACCOUNTS[usize::from(planner.world.actors[victim].account)];
    let trail = format!("arn:aws:cloudtrail:{}:{}:trail/org-trail", account.region, account.id);
    let parameters = if name == "StopLogging" {
        format!(r#"{{"name":"{trail}"}}"#)
    } else {
        format!(r#"{{"trailName":"{trail}","eventSelectors":[{{"readWriteType":"WriteOnly","includeManagementEvents":true,"dataResources":[]}}]}}"#)
    };
    let calls = [(0, name), (2 * MINUTE, "StartLogging")];
    for (after, name) in calls.into_iter().take(if name == "StopLogging" { 2 } else { 1 }) {
        let op = Op { source: "cloudtrail.amazonaws.com", name, read_only: false, data: false };
        let request = Request { op, parameters: parameters.clone(), response: String::from("null"), resource: Some(("AWS::CloudTrail::Trail", trail.clone())) };
        let here = address.clone();
        planner
            .script
            .at(at + after, Some(label), move |world, time| vec![world.aws(victim, &request, time, Guise { address: Some(&here), ..Guise::default() })]);
    }
    Some(())
}

fn audit_device(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AppRole)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    planner.script.at(at, Some(label), move |world, time| vec![world.vault(victim, ("delete", "sys/audit/file", ""), time, Guise::default())]);
    Some(())
}
