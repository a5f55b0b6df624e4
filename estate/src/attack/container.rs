//! In the cluster: a service account does what lets it become another, or leave its container.

use super::{Planner, Technique, is_busy};
use crate::clock::{MINUTE, SECOND};
use crate::provider::k8s_audit::Request;
use crate::roster::actor::{Held, Kind, Pod};
use crate::world::{Guise, World};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "token_request",
        variant: "token of another service account",
        tactic: "credential-access",
        id: "T1528",
        description: "A service account asks for a token of another namespace's account, bound to no pod, and reads that namespace's secrets with it.",
        seen_by: "a token is issued by an identity that issues none; its first use is from another account's pod",
        source: "Stratus Red Team, k8s.privilege-escalation.create-token; Kubernetes documentation, Privilege escalation risks in RBAC",
        plan: token_request,
    },
    Technique {
        attack: "exec_into_pod",
        variant: "shell in a neighbour's pod",
        tactic: "execution",
        id: "T1609",
        description: "A service account opens shells in pods of another namespace.",
        seen_by: "an act that executes by an identity that never did; a namespace that is new to it",
        source: "Microsoft's threat matrix for Kubernetes, Exec into container",
        plan: |p, t| {
            requests(p, t, 3, |world, victim, n| {
                let (namespace, pod) = neighbour_pod(world, victim, n);
                Request { verb: "create", resource: "pods", namespace, name: pod, subresource: "exec", ..Request::default() }
            })
        },
    },
    Technique {
        attack: "privileged_pod",
        variant: "host's root mounted",
        tactic: "privilege-escalation",
        id: "T1611",
        description: "A service account starts a privileged pod that mounts the node's root.",
        seen_by: "what was asked for: privileged, hostPath /; a creation by an account that creates nothing",
        source: "Stratus Red Team, k8s.privilege-escalation.hostpath-volume and privileged-pod; Bishop Fox, Bad Pods",
        plan: |p, t| {
            requests(p, t, 1, |world, victim, _| {
                let namespace = namespace_of(world, victim);
                let body = format!(
                    r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"node-check","namespace":"{namespace}"}},"spec":{{"hostPID":true,"containers":[{{"name":"c","image":"registry.works.example/base:3","securityContext":{{"privileged":true}},"volumeMounts":[{{"name":"h","mountPath":"/host"}}]}}],"volumes":[{{"name":"h","hostPath":{{"path":"/"}}}}]}}}}"#
                );
                Request { verb: "create", resource: "pods", namespace, name: String::from("node-check"), body: Some(body), ..Request::default() }
            })
        },
    },
    Technique {
        attack: "rbac_grant",
        variant: "cluster-admin for itself",
        tactic: "privilege-escalation",
        id: "T1098.006",
        description: "A service account binds the role cluster-admin to an account of its own namespace.",
        seen_by: "a grant by an identity that never grants; cluster-admin in the request",
        source: "Stratus Red Team, k8s.persistence.create-admin-clusterrole",
        plan: |p, t| {
            requests(p, t, 1, |world, victim, _| {
                let account = world.actors[victim].name.clone();
                let (namespace, name) = account.split_once('/').unwrap_or(("default", "default"));
                let body = format!(
                    r#"{{"kind":"ClusterRoleBinding","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{{"name":"{name}-metrics"}},"subjects":[{{"kind":"ServiceAccount","name":"{name}","namespace":"{namespace}"}}],"roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}}}}"#
                );
                Request {
                    verb: "create",
                    group: "rbac.authorization.k8s.io",
                    resource: "clusterrolebindings",
                    name: format!("{name}-metrics"),
                    body: Some(body),
                    ..Request::default()
                }
            })
        },
    },
    Technique {
        attack: "secret_listing",
        variant: "all namespaces in one request",
        tactic: "credential-access",
        id: "T1552.007",
        description: "A service account lists the secrets of the whole cluster in one request.",
        seen_by: "an act on secrets by an identity that never listed them, over all namespaces",
        source: "Stratus Red Team, k8s.credential-access.dump-secrets",
        plan: |p, t| requests(p, t, 1, |_, _, _| Request { verb: "list", resource: "secrets", ..Request::default() }),
    },
];

fn namespace_of(world: &World, i: usize) -> String {
    world.actors[i].name.split('/').next().unwrap_or("default").to_owned()
}

/// A running pod of another namespace.
fn neighbour_pod(world: &World, victim: usize, n: usize) -> (String, String) {
    let home = namespace_of(world, victim);
    let mut others = world.actors.iter().enumerate().filter(|(_, a)| a.kind == Kind::ServiceAccount && !a.name.starts_with(&home));
    let Some((i, _)) = others.nth(n * 3 + victim % 5) else { return (home, String::from("app-0")) };
    let pod = match world.actors[i].hold() {
        Some(Held::Pod(pod)) => pod.name,
        _ => String::from("app-0"),
    };
    (namespace_of(world, i), pod)
}

fn requests(planner: &mut Planner<'_>, technique: &'static Technique, times: usize, request: fn(&World, usize, usize) -> Request) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::ServiceAccount && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    planner.burst(label, at, times, 2 * MINUTE, move |world, n, time| {
        let request = request(world, victim, n);
        world.kube(victim, &request, time, Guise::default())
    });
    Some(())
}

fn token_request(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::ServiceAccount && is_busy(a))?;
    let team = planner.world.actors[victim].team;
    let other = planner.victim(|a| a.kind == Kind::ServiceAccount && a.team != team)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    planner.world.labels[label].also = vec![planner.world.identity(other)];
    planner.script.at(at, Some(label), move |world, time| {
        let (touched, jti) = world.kube_token(victim, other, time, Guise::default());
        let address = match world.actors[victim].hold() {
            Some(Held::Pod(pod)) => pod.address,
            _ => String::new(),
        };
        // Bound to no pod: the log then names none.
        world.pocket.insert(label, Held::Pod(Pod { name: String::new(), uid: String::new(), address, node: usize::MAX, jti, issued: time }));
        vec![touched]
    });
    let namespace = namespace_of(planner.world, other);
    planner.burst(label, at + MINUTE, 6, 20 * SECOND, move |world, n, time| {
        let held = world.pocket.get(&label).cloned();
        let name = ["", "tls", "db-credentials"][n % 3].to_owned();
        let verb = if name.is_empty() { "list" } else { "get" };
        let request = Request { verb, resource: "secrets", namespace: namespace.clone(), name, ..Request::default() };
        let address = if let Some(Held::Pod(pod)) = &held { pod.address.clone() } else { String::new() };
        world.kube(other, &request, time, Guise { held: held.as_ref(), address: Some(&address), ..Guise::default() })
    });
    Some(())
}
