//! Data leaves, is shared, or is destroyed; and the patient one: a baseline that is taught to find it normal.

use super::{DAYS, OFFICE, PATIENT, Planner, Technique, is_busy};
use crate::clock::{self, HOUR, MINUTE, SECOND};
use crate::provider::cloudtrail::Request;
use crate::roster::ACCOUNTS;
use crate::roster::actor::{Actor, Kind};
use crate::roster::place::{Op, PlaceKind};
use crate::world::{Guise, Touched};

pub(super) const LIBRARY: &[Technique] = &[
    Technique {
        attack: "bulk_read",
        variant: "own bucket, whole",
        tactic: "collection",
        id: "T1530",
        description: "An identity reads its own usual bucket from end to end: several hundred objects within two hours, where a few an hour were usual.",
        seen_by: "volume alone: destination, action, host and client are the usual ones",
        source: "Snowflake and Codefinger cases, 2024 and 2025: valid credentials on data that they may read",
        plan: bulk_read,
    },
    Technique {
        attack: "destruction",
        variant: "objects deleted",
        tactic: "impact",
        id: "T1485",
        description: "An identity that only reads and writes deletes the objects of a bucket, one after the other.",
        seen_by: "an act that destroys by an identity that never did; volume",
        source: "Stratus Red Team, aws.impact.s3-ransomware-individual-deletion",
        plan: destruction,
    },
    Technique {
        attack: "share_outside",
        variant: "snapshot shared with another account",
        tactic: "exfiltration",
        id: "T1537",
        description: "A role shares a disk's snapshot with an account that nobody knows.",
        seen_by: "an act that shares by an identity that never did",
        source: "Stratus Red Team, aws.exfiltration.ec2-share-ebs-snapshot",
        plan: |p, t| share(p, t, "ModifySnapshotAttribute"),
    },
    Technique {
        attack: "share_outside",
        variant: "bucket opened to another account",
        tactic: "exfiltration",
        id: "T1537",
        description: "A role gives an account that nobody knows the right to read a bucket.",
        seen_by: "an act that shares by an identity that never did",
        source: "Stratus Red Team, aws.exfiltration.s3-backdoor-bucket-policy",
        plan: |p, t| share(p, t, "PutBucketPolicy"),
    },
    Technique {
        attack: "baseline_poisoning",
        variant: "a little more each day, for ten days",
        tactic: "defense-evasion",
        id: "T1078.004",
        description: "With a stolen key and from the provider's address space somebody does one harmless thing on the first day, two on the next, and a little more each day at the owner's hours, a new bucket every third day; on the last day a neighbour's bucket is emptied.",
        seen_by: "a second network that overlaps with the first from its first day on; the sum of weak signs over a week",
        source: "Training-data poisoning of online detectors: Rubinstein et al., ANTIDOTE, IMC 2009; Kloft and Laskov, Online anomaly detection under adversarial impact, AISTATS 2010",
        plan: poisoning,
    },
];

fn reads_a_bucket(a: &Actor, kinds: &[Kind], buckets: &std::collections::BTreeSet<usize>) -> bool {
    kinds.contains(&a.kind) && is_busy(a) && a.habits.iter().any(|h| h.act == 0 && buckets.contains(&h.place))
}

fn own_bucket(planner: &mut Planner<'_>) -> Option<(usize, usize)> {
    let buckets: std::collections::BTreeSet<_> =
        planner.world.estate.all(PlaceKind::Bucket).into_iter().filter(|p| !planner.world.estate.place(*p).ephemeral).collect();
    let victim = planner.victim(|a| reads_a_bucket(a, &[Kind::AwsUser, Kind::AwsRole], &buckets))?;
    let bucket = planner.world.actors[victim].habits.iter().find(|h| h.act == 0 && buckets.contains(&h.place)).map(|h| h.place)?;
    Some((victim, bucket))
}

fn bulk_read(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let (victim, bucket) = own_bucket(planner)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = planner.world.actors[victim].address();
    planner
        .burst(label, at, 400, 16 * SECOND, move |world, _, time| world.touch(victim, bucket, 0, time, Guise { address: Some(&address), ..Guise::default() }));
    Some(())
}

fn destruction(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let (victim, bucket) = own_bucket(planner)?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = planner.thief_address(victim);
    planner.burst(label, at, 60, 5 * SECOND, move |world, n, time| {
        world.touch(victim, bucket, if n == 0 { 2 } else { 4 }, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}

fn share(planner: &mut Planner<'_>, technique: &'static Technique, name: &'static str) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AwsRole && is_busy(a))?;
    let at = planner.any_moment();
    let label = planner.label(technique, victim, at);
    let address = planner.thief_address(victim);
    let actor = &planner.world.actors[victim];
    let account = ACCOUNTS[usize::from(actor.account)];
    let request = if name == "PutBucketPolicy" {
        let bucket = planner.world.estate.of(actor.team, PlaceKind::Bucket).first().map(|p| planner.world.estate.place(*p).name.clone())?;
        Request {
            op: Op { source: "s3.amazonaws.com", name, read_only: false, data: false },
            parameters: format!(
                r#"{{"bucketName":"{bucket}","Host":"{bucket}.s3.{}.amazonaws.com","policy":"","bucketPolicy":{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::193672423079:root"}},"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]}}]}}}}"#,
                account.region
            ),
            response: String::from("null"),
            resource: Some(("AWS::S3::Bucket", format!("arn:aws:s3:::{bucket}"))),
        }
    } else {
        let snapshot = planner.chance.hex("snap-0", 16);
        Request {
            op: Op { source: "ec2.amazonaws.com", name, read_only: false, data: false },
            parameters: format!(
                r#"{{"snapshotId":"{snapshot}","createVolumePermission":{{"add":{{"items":[{{"userId":"193672423079"}}]}}}},"attributeType":"CREATE_VOLUME_PERMISSION"}}"#
            ),
            response: String::from(r#"{"_return":true}"#),
            resource: None,
        }
    };
    planner.script.at(at, Some(label), move |world, time| vec![world.aws(victim, &request, time, Guise { address: Some(&address), ..Guise::default() })]);
    Some(())
}

fn poisoning(planner: &mut Planner<'_>, technique: &'static Technique) -> Option<()> {
    let victim = planner.victim(|a| a.kind == Kind::AwsUser && is_busy(a))?;
    let days = ((planner.world.end - planner.world.start) / DAYS / 3).clamp(1, 10);
    let last = planner.moment(OFFICE, true);
    let first = (last - (days - 1) * DAYS).max(planner.world.start + DAYS);
    let label = planner.label(technique, victim, first);
    let address = planner.provider_address();
    let new = planner.unfamiliar(victim, PlaceKind::Bucket);
    let habits = planner.world.actors[victim].habits.clone();
    let days = ((last - first) / DAYS).max(0) + 1;
    for day in 0..days {
        let at = clock::midnight(first + day * DAYS) + 9 * HOUR + planner.chance.range(0, 4 * HOUR);
        let harmless = habits.clone();
        let here = address.clone();
        planner.burst(label, at, 1 + day as usize, PATIENT, move |world, n, time| {
            let Some(habit) = harmless.get(n % harmless.len().max(1)) else { return Touched::nothing(time) };
            world.touch(victim, habit.place, habit.act, time, Guise { address: Some(&here), ..Guise::default() })
        });
        if day % 3 == 2
            && let Some(place) = new.get(day as usize / 3).copied()
        {
            let here = address.clone();
            planner.burst(label, at + HOUR, 2, PATIENT, move |world, _, time| {
                world.touch(victim, place, 2, time, Guise { address: Some(&here), ..Guise::default() })
            });
        }
    }
    let target = new.last().copied()?;
    planner.burst(label, last.max(first + MINUTE), 60, 30 * SECOND, move |world, _, time| {
        world.touch(victim, target, 0, time, Guise { address: Some(&address), ..Guise::default() })
    });
    Some(())
}
