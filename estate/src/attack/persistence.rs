//! A way back in: keys, rights and trust that an intruder makes with a machine's rights.

use super::{PATIENT, Planner, Technique};
use crate::clock::{self, HOUR, MINUTE};
use crate::provider::cloudtrail::Request;
use crate::roster::ACCOUNTS;
use crate::roster::actor::{Actor, Credential, Held, Kind};
use crate::roster::place::Op;
use crate::world::Guise;

const fn iam(name: &'static str) -> Op {
    Op { source: "iam.amazonaws.com", name, read_only: false, data: false }
}

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "new_key_persistence",
        variant: "key for another user, used within the hour",
        tactic: "persistence",
        id: "T1098.001",
        description: "With a role that may, an intruder makes an access key for another service's user and works with it from elsewhere within the hour.",
        seen_by: "a machine makes a credential for another one, which it never did; the new key is used at once from a new network",
        source: "Stratus Red Team, aws.persistence.iam-backdoor-user; Invictus IR, The case of the backdoored IAM users, 2024",
        plan: key_for_another,
    },
    Technique {
        attack: "privilege_grant",
        variant: "administrator's policy on a role",
        tactic: "privilege-escalation",
        id: "T1098.003",
        description: "A role attaches AdministratorAccess to a role of its own account.",
        seen_by: "a grant of permissions by an identity that never grants",
        source: "Rhino Security Labs, AWS IAM privilege escalation methods; Stratus Red Team, aws.privilege-escalation",
        plan: |p, t| {
            change(p, t, |world, victim| {
                let role = other(world, victim);
                let parameters = format!(r#"{{"roleName":"{role}","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}}"#);
                vec![request(iam("AttachRolePolicy"), parameters)]
            })
        },
    },
    Technique {
        attack: "trust_backdoor",
        variant: "a stranger's account may assume a role",
        tactic: "persistence",
        id: "T1098",
        description: "A role changes another role's trust policy so that an account that nobody knows may assume it.",
        seen_by: "a change of trust by an identity that never administers; an unknown account in the policy",
        source: "Stratus Red Team, aws.persistence.iam-backdoor-role",
        plan: |p, t| {
            change(p, t, |world, victim| {
                let role = other(world, victim);
                let document = r#"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::193672423079:root\"},\"Action\":\"sts:AssumeRole\"}]}"#;
                vec![request(iam("UpdateAssumeRolePolicy"), format!(r#"{{"roleName":"{role}","policyDocument":"{document}"}}"#))]
            })
        },
    },
    Technique {
        attack: "new_user_persistence",
        variant: "user, policy, key",
        tactic: "persistence",
        id: "T1136.003",
        description: "A role makes a user with a harmless name, gives it a policy and a key.",
        seen_by: "three administrative acts by an identity that never administers",
        source: "Stratus Red Team, aws.persistence.iam-create-admin-user; Unit 42 on LAPSUS$, 2022",
        plan: |p, t| {
            change(p, t, |world, victim| {
                let account = ACCOUNTS[usize::from(world.actors[victim].account)].id;
                let name = format!("svc-{}-metrics", world.estate.teams[world.actors[victim].team]);
                let key = world.chance.letters("AKIA", crate::chance::BASE32, 16);
                vec![
                    Request {
                        response: format!(r#"{{"user":{{"path":"/","userName":"{name}","arn":"arn:aws:iam::{account}:user/{name}"}}}}"#),
                        ..request(iam("CreateUser"), format!(r#"{{"userName":"{name}"}}"#))
                    },
                    request(iam("AttachUserPolicy"), format!(r#"{{"userName":"{name}","policyArn":"arn:aws:iam::aws:policy/PowerUserAccess"}}"#)),
                    Request {
                        response: format!(r#"{{"accessKey":{{"userName":"{name}","accessKeyId":"{key}","status":"Active"}}}}"#),
                        ..request(iam("CreateAccessKey"), format!(r#"{{"userName":"{name}"}}"#))
                    },
                ]
            })
        },
    },
    Technique {
        attack: "function_backdoor",
        variant: "code of a function replaced",
        tactic: "persistence",
        id: "T1525",
        description: "A role that only ever invokes replaces the code of a neighbour's function.",
        seen_by: "an act that changes code by an identity that only ever called; a destination that is new to it",
        source: "Stratus Red Team, aws.persistence.lambda-overwrite-code",
        plan: |p, t| {
            change(p, t, |world, victim| {
                let actor = &world.actors[victim];
                let account = ACCOUNTS[usize::from(actor.account)];
                let function = format!("{}-hook", world.estate.teams[crate::roster::neighbour(&world.estate, actor.team, &mut world.chance.clone())]);
                let op = Op { source: "lambda.amazonaws.com", name: "UpdateFunctionCode20150331v2", read_only: false, data: false };
                let arn = format!("arn:aws:lambda:{}:{}:function:{function}", account.region, account.id);
                vec![Request {
                    resource: Some(("AWS::Lambda::Function", arn)),
                    ..request(op, format!(r#"{{"functionName":"{function}","publish":false,"dryRun":false}}"#))
                }]
            })
        },
    },
    Technique {
        attack: "command_on_instance",
        variant: "through the management agent",
        tactic: "execution",
        id: "T1651",
        description: "A user's key is used to run a shell script on instances through Systems Manager.",
        seen_by: "an act that executes by an identity that never did",
        source: "Stratus Red Team, aws.execution.ssm-send-command; Mandiant on UNC3944, 2023",
        plan: |p, t| {
            change(p, t, |world, _| {
                let op = Op { source: "ssm.amazonaws.com", name: "SendCommand", read_only: false, data: false };
                let instance = world.chance.hex("i-0", 16);
                let parameters = format!(
                    r#"{{"documentName":"AWS-RunShellScript","instanceIds":["{instance}"],"parameters":"HIDDEN_DUE_TO_SECURITY_REASONS","interactive":false}}"#
                );
                vec![request(op, parameters)]
            })
        },
    },
];

/// A request that answers nothing.
fn request(op: Op, parameters: String) -> Request {
    Request { op, parameters, response: String::from("null"), resource: None }
}

/// Another role of the victim's account.
fn other(world: &crate::world::World, victim: usize) -> String {
    let account = world.actors[victim].account;
    let found = world.actors.iter().enumerate().find(|(i, a)| *i != victim && a.kind == Kind::AwsRole && a.account == account);
    found.map_or_else(|| String::from("app-role"), |(_, a)| a.name.clone())
}

fn works_in_cloud(a: &Actor) -> bool {
    matches!(a.kind, Kind::AwsRole | Kind::AwsUser) && super::is_busy(a)
}

/// Requests one after the other, some minutes apart, with the victim's own credential; before them the victim asks who it is.
fn change(planner: &mut Planner<'_>, technique: &'static Technique, requests: impl Fn(&mut crate::world::World, usize) -> Vec<Request>) -> Option<()> {
    let victim = planner.victim(works_in_cloud)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = planner.thief_address(victim);
    let requests = requests(planner.world, victim);
    let mut time = at;
    for request in requests {
        let here = address.clone();
        planner.script.at(time, Some(label), move |world, time| vec![world.aws(victim, &request, time, Guise { address: Some(&here), ..Guise::default() })]);
        time += PATIENT / 2 + planner.chance.wait(PATIENT);
    }
    Some(())
}

fn key_for_another(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let maker = planner.victim(|a| works_in_cloud(a) && a.kind == Kind::AwsRole)?;
    let account = planner.world.actors[maker].account;
    let user = planner.victim(|a| a.kind == Kind::AwsUser && a.account == account)?;
    let at = planner.any_moment();
    let label = planner.label(technique, maker, at);
    planner.world.labels[label].also = vec![planner.world.identity(user)];
    let address = planner.thief_address(maker);
    let here = address.clone();
    planner.script.at(at, Some(label), move |world, time| {
        let id = ACCOUNTS[usize::from(account)].id;
        let key = world.actors[user].new_key(id);
        let name = world.actors[user].name.clone();
        let mut made = String::new();
        clock::push_expiration(&mut made, time);
        let request = Request {
            response: format!(r#"{{"accessKey":{{"userName":"{name}","accessKeyId":"{}","status":"Active","createDate":"{made}"}}}}"#, key.id),
            ..request(iam("CreateAccessKey"), format!(r#"{{"userName":"{name}"}}"#))
        };
        let touched = world.aws(maker, &request, time, Guise { address: Some(&here), ..Guise::default() });
        world.pocket.insert(label, Held::Key(key));
        vec![touched]
    });
    let habits = planner.world.actors[user].habits.clone();
    let later = 10 * MINUTE + planner.chance.range(0, HOUR / 2);
    planner.burst(label, at + later, 10, 2 * MINUTE, move |world, n, time| {
        let held = world.pocket.get(&label).cloned();
        let Some(habit) = habits.get(n % habits.len().max(1)) else { return crate::world::Touched::nothing(time) };
        debug_assert!(matches!(world.actors[user].credential, Credential::Keys(_)));
        world.touch(user, habit.place, habit.act, time, Guise { address: Some(&address), held: held.as_ref(), ..Guise::default() })
    });
    Some(())
}
