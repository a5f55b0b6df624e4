//! Who administers by profession: the pipeline that applies infrastructure as code, the controller that deploys into the cluster, the
//! operator of Vault, and people with a shell in a pod. What an intruder does once, they do each week.

use std::collections::BTreeSet;

use super::decoy;
use crate::chance::Chance;
use crate::clock::{self, DAY, HOUR, MINUTE};
use crate::provider::cloudtrail::Request;
use crate::provider::k8s_audit;
use crate::roster::actor::{Credential, Kind, Trust};
use crate::roster::place::{Op, Place, PlaceKind};
use crate::world::{Guise, Script, World};

/// How many work days of ten a pipeline has something to apply: a medium cluster of DORA's "Accelerate State of DevOps" deploys between
/// once a week and once a month per service, and one pipeline serves dozens of services.
const BUSY_DAYS: f64 = 0.7;

pub(super) fn plan(world: &mut World, script: &mut Script, taken: &BTreeSet<usize>, chance: &mut Chance) {
    let free = |world: &World, i: usize| !taken.contains(&i) && !world.launches.contains_key(&i) && world.actors[i].until == i64::MAX;
    let find = |world: &World, fits: &dyn Fn(&crate::roster::actor::Actor) -> bool, skip: usize| {
        (0..world.actors.len()).filter(|i| free(world, *i) && fits(&world.actors[*i])).nth(skip)
    };
    let many = 1 + world.actors.len() / 500;
    let mut doers = Vec::new();
    for n in 0..many {
        for account in 0..3_u8 {
            let session = |a: &crate::roster::actor::Actor| {
                a.kind == Kind::AwsRole && a.account == account && matches!(a.credential, Credential::Session { trust: Trust::WebIdentity | Trust::Ec2, .. })
            };
            if let Some(i) = find(world, &session, n) {
                doers.push(i);
                pipeline(world, script, i, chance);
            }
        }
        if let Some(i) = find(world, &|a| a.kind == Kind::ServiceAccount, n) {
            doers.push(i);
            controller(world, script, i, chance);
        }
        if let Some(i) = find(world, &|a| a.kind == Kind::AppRole, n + 1) {
            doers.push(i);
            operator(world, script, i, chance);
        }
    }
    let people: Vec<_> = (0..world.actors.len()).filter(|i| world.actors[*i].kind == Kind::KubeHuman).collect();
    for i in people {
        shells(world, script, i, chance);
    }
    let (start, end) = (world.start, world.end);
    decoy(world, "administration", &doers, start, end, "They administer by profession: permissions, functions, policies, tokens.");
}

/// Work days with something to do: the moment, and how many acts.
fn sittings(world: &World, chance: &mut Chance) -> Vec<(i64, u32)> {
    let mut found = Vec::new();
    let mut day = clock::midnight(world.start);
    while day < world.end {
        if !clock::is_weekend(day) && chance.happens(BUSY_DAYS) {
            let at = day + 8 * HOUR + chance.range(0, 8 * HOUR);
            if at > world.start {
                found.push((at, 1 + chance.about(3.0)));
            }
        }
        day += DAY;
    }
    found
}

fn pipeline(world: &World, script: &mut Script, i: usize, chance: &mut Chance) {
    const ACTS: [(&str, &str); 8] = [
        ("iam.amazonaws.com", "PutRolePolicy"),
        ("iam.amazonaws.com", "AttachRolePolicy"),
        ("iam.amazonaws.com", "CreateRole"),
        ("iam.amazonaws.com", "TagRole"),
        ("s3.amazonaws.com", "PutBucketPolicy"),
        ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2"),
        ("iam.amazonaws.com", "UpdateAssumeRolePolicy"),
        ("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress"),
    ];
    for (at, acts) in sittings(world, chance) {
        for n in 0..acts {
            // Trust policies change rarely.
            let choice = if chance.happens(0.1) { ACTS.len() } else { 6 };
            let (source, name) = ACTS[chance.below(choice)];
            let time = at + i64::from(n) * 20 * clock::SECOND + chance.range(0, 15 * clock::SECOND);
            let team = chance.below(world.estate.teams.len());
            script.then(time, move |world, time| {
                let team = world.estate.teams[team].clone();
                let parameters = match source {
                    "iam.amazonaws.com" => format!(r#"{{"roleName":"{team}-api-role","policyName":"{team}-inline"}}"#),
                    "s3.amazonaws.com" => format!(r#"{{"bucketName":"example-{team}-events-prod"}}"#),
                    "lambda.amazonaws.com" => format!(r#"{{"functionName":"{team}-hook","publish":true,"dryRun":false}}"#),
                    _ => String::from(r#"{"groupId":"sg-0a1b2c3d4e5f60718"}"#),
                };
                let op = Op { source, name, read_only: false, data: false };
                world.aws(i, &Request { op, parameters, response: String::from("null"), resource: None }, time, Guise::default());
            });
        }
    }
}

fn controller(world: &World, script: &mut Script, i: usize, chance: &mut Chance) {
    const ACTS: [(&str, &str, &str, &str); 6] = [
        ("patch", "apps", "deployments", "api"),
        ("create", "batch", "jobs", "migrate"),
        ("create", "", "pods", "smoke-test"),
        ("delete", "", "pods", "smoke-test"),
        ("patch", "", "configmaps", "settings"),
        ("create", "rbac.authorization.k8s.io", "rolebindings", "readers"),
    ];
    for (at, acts) in sittings(world, chance) {
        for n in 0..acts {
            let choice = if chance.happens(0.15) { 6 } else { 5 };
            let (verb, group, resource, name) = ACTS[chance.below(choice)];
            let namespace = world.estate.teams[chance.below(world.estate.teams.len())].clone();
            let name = if verb == "create" { chance.letters(&format!("{name}-"), "bcdfghjklmnpqrstvwxz2456789", 5) } else { name.to_owned() };
            script.then(at + i64::from(n) * 4 * clock::SECOND, move |world, time| {
                let request = k8s_audit::Request { verb, group, resource, namespace, name, ..k8s_audit::Request::default() };
                world.kube(i, &request, time, Guise::default());
            });
        }
    }
}

fn operator(world: &World, script: &mut Script, i: usize, chance: &mut Chance) {
    let roles: Vec<_> = world.actors.iter().filter(|a| a.kind == Kind::AppRole).map(|a| a.name.clone()).collect();
    for (at, acts) in sittings(world, chance) {
        for n in 0..acts {
            let role = chance.pick(&roles).clone();
            let path = if chance.happens(0.2) { format!("sys/policies/acl/{role}") } else { format!("auth/approle/role/{role}/secret-id") };
            script.then(at + i64::from(n) * 30 * clock::SECOND, move |world, time| {
                let data = if path.starts_with("sys/") { format!(r#"{{"policy":"{}"}}"#, world.chance.hex("hmac-sha256:", 64)) } else { String::new() };
                world.vault(i, ("update", &path, &data), time, Guise::default());
            });
        }
    }
}

/// A person opens a shell in a pod now and then, to look at something that does not work.
fn shells(world: &mut World, script: &mut Script, person: usize, chance: &mut Chance) {
    let team = chance.below(world.estate.teams.len());
    let at = world.estate.teams[team].clone();
    let pod = world.estate.add(Place { kind: PlaceKind::Object, team, account: 0, name: String::from("exec/app-0"), at, twin: None, ephemeral: false });
    for (at, _) in sittings(world, chance) {
        if chance.happens(0.25) {
            script.then(at + 11 * MINUTE, move |world, time| {
                world.touch(person, pod, 3, time, Guise::default());
            });
        }
    }
}
