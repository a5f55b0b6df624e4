//! A small simulated estate, and attackers in it who know their craft: the victim's own client, addresses of the same provider,
//! office hours. It exists to measure the baselines alone, without any rule on credentials. Nothing in the models was fitted to it.

use keytrail_schemas::{Event, Micros, Outcome, Text};

use super::stage::{Dice, at, event, in_order, letters};

/// What an identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// Works each hour, more by day.
    Service,
    /// Once a night.
    Nightly,
    /// Each fifteen minutes.
    Poller,
    /// By chance, on new addresses each time.
    Runner,
}

/// One labelled attack.
#[derive(Debug, Clone)]
pub struct Attack {
    pub who: u32,
    pub kind: &'static str,
    pub from: Micros,
    pub to: Micros,
}

/// Events in order of time, and what is wrong with them.
pub struct Estate {
    pub events: Vec<(u32, Event)>,
    pub attacks: Vec<Attack>,
    pub days: i64,
}

const IDENTITIES: u32 = 96;
/// Attacks begin after this day.
const QUIET_DAYS: i64 = 18;

impl Estate {
    pub fn new(seed: u64, days: i64, attacked: bool) -> Self {
        let mut world = World { dice: Dice(seed), events: Vec::new(), attacks: Vec::new(), days };
        for who in 0..IDENTITIES {
            world.live(who);
        }
        world.outage();
        world.deployment();
        if attacked {
            world.attack();
        }
        Self { events: in_order(world.events), attacks: world.attacks, days }
    }
}

struct World {
    dice: Dice,
    events: Vec<(u32, Event)>,
    attacks: Vec<Attack>,
    days: i64,
}

fn job(who: u32) -> Job {
    match who % 8 {
        0..=3 => Job::Service,
        4 | 5 => Job::Nightly,
        6 => Job::Poller,
        _ => Job::Runner,
    }
}

fn team(who: u32) -> u32 {
    who / 16
}

fn address(subnet: u64, dice: &mut Dice) -> Text {
    Text::from(format!("10.{}.{}.{}", 1 + subnet / 200, subnet % 200, 1 + dice.below(250)))
}

impl World {
    /// An identity's ordinary life: its own places, some of its team's, a drift of new ones, now and then a move, a failure, a launch.
    fn live(&mut self, who: u32) {
        let job = job(who);
        let places: Vec<u32> = (0..2 + self.dice.below(4) as u32).map(|i| who * 16 + i).chain((0..2).map(|i| 100_000 + team(who) * 4 + i)).collect();
        let mut own = places;
        let mut subnet = u64::from(team(who)) * 3 + self.dice.below(3);
        let mut host = address(subnet, &mut self.dice);
        let start = if who % 20 == 19 { self.dice.below(self.days as u64) as i64 } else { 0 };
        let night = self.dice.below(5) as i64;
        let actions = 2 + self.dice.below(4) as u32;
        let busy = 2.0 + self.dice.unit() * 10.0;
        for day in start..self.days {
            let weekend = day % 7 >= 5;
            if self.dice.chance(0.012) {
                subnet = u64::from(team(who)) * 3 + self.dice.below(4);
            }
            if self.dice.chance(0.03) {
                host = address(subnet, &mut self.dice);
            }
            if self.dice.chance(0.02) {
                own.push(who * 16 + own.len() as u32);
            }
            for hour in 0..24 {
                let runs = match job {
                    Job::Service => {
                        let rate = busy
                            * if weekend {
                                0.3
                            } else if (7..19).contains(&hour) {
                                1.0
                            } else {
                                0.4
                            };
                        (rate * (0.5 + self.dice.unit())) as u64
                    }
                    Job::Nightly => u64::from(hour == night) * (8 + self.dice.below(5)),
                    Job::Poller => 4,
                    Job::Runner => {
                        if self.dice.chance(if weekend || !(8..18).contains(&hour) { 0.03 } else { 0.35 }) {
                            4 + self.dice.below(12)
                        } else {
                            0
                        }
                    }
                };
                let runner = address(300 + self.dice.below(600), &mut self.dice);
                for i in 0..runs {
                    let minute = match job {
                        Job::Poller => i as i64 * 15 + 2,
                        Job::Nightly => i as i64 * 2,
                        _ => self.dice.below(60) as i64,
                    };
                    let mut event = event(who, at(day, hour, minute));
                    event.time.0 += self.dice.below(50 * Micros::SECOND as u64) as i64;
                    event.source_ip = Some(if job == Job::Runner { runner.clone() } else { host.clone() });
                    let place = own[self.dice.below(own.len() as u64) as usize];
                    event.destination = Some(place_name(place));
                    event.destination_service = Some(service(job).into());
                    event.user_agent = Some(Text::from(format!("{} client", service(job))));
                    event.action = Some(Text::from(format!("{}:Do{}", service(job), letters(self.dice.below(u64::from(actions)) as u32))));
                    if job == Job::Runner {
                        event.destination = Some(Text::from(format!("aws:ecs/task/{:032x}", u128::from(self.dice.next()) << 64 | 1 << 60)));
                    }
                    if self.dice.chance(0.01) {
                        (event.outcome, event.reason) = (Outcome::Failure, Some("Throttling".into()));
                    }
                    self.events.push((who, event));
                }
            }
        }
    }

    /// One afternoon the teams' shared places fail for most services.
    fn outage(&mut self) {
        for (_, event) in &mut self.events {
            let hours = (event.time.0 - at(QUIET_DAYS + 4, 14, 0).0) / Micros::HOUR;
            if event.time >= at(QUIET_DAYS + 4, 14, 0) && hours < 2 && self.dice.chance(0.7) {
                (event.outcome, event.reason) = (Outcome::Failure, Some("ServiceUnavailable".into()));
            }
        }
    }

    /// One morning every service starts to use a new place.
    fn deployment(&mut self) {
        for who in (0..IDENTITIES).filter(|who| job(*who) == Job::Service) {
            let Some((_, like)) = self.events.iter().rev().find(|(other, event)| *other == who && event.time < at(QUIET_DAYS + 8, 9, 0)).cloned() else {
                continue;
            };
            for hour in 0..24 * (self.days - QUIET_DAYS - 8) {
                let mut event = event(who, at(QUIET_DAYS + 8, 9 + hour, 3 + i64::from(who % 50)));
                event.source_ip.clone_from(&like.source_ip);
                event.user_agent.clone_from(&like.user_agent);
                event.destination = Some("aws:s3/feature-flags".into());
                event.destination_service = Some("s3".into());
                event.action = Some("s3:DoFlags".into());
                self.events.push((who, event));
            }
        }
    }

    /// One attack every half day, each kind in turn, the victims by chance.
    fn attack(&mut self) {
        self.events = in_order(std::mem::take(&mut self.events));
        let mut history: Vec<Vec<usize>> = vec![Vec::new(); IDENTITIES as usize];
        for (i, (who, _)) in self.events.iter().enumerate() {
            history[*who as usize].push(i);
        }
        let kinds = ["theft", "neighbour", "harvest", "off-hours", "slow", "denied"];
        for i in 0..2 * (self.days - QUIET_DAYS - 1) {
            let kind = kinds[i as usize % kinds.len()];
            let who = loop {
                let who = self.dice.below(u64::from(IDENTITIES)) as u32;
                let suits = match kind {
                    "off-hours" => job(who) == Job::Nightly,
                    "theft" | "slow" => job(who) != Job::Runner,
                    _ => true,
                };
                if suits && who % 20 != 19 {
                    break who;
                }
            };
            let from = at(QUIET_DAYS + i / 2, 9 + self.dice.below(7) as i64, self.dice.below(30) as i64);
            let mine = &history[who as usize];
            let mine = &mine[..mine.partition_point(|i| self.events[*i].1.time < from)];
            let Some(last) = mine.last().map(|i| self.events[*i].1.clone()) else { continue };
            let mut to = from;
            let steps = match kind {
                "harvest" => 30,
                "slow" => 3,
                _ => 8,
            };
            let stolen = address(900 + self.dice.below(100), &mut self.dice);
            for step in 0..steps {
                let mut event = self.events[mine[self.dice.below(mine.len() as u64) as usize]].1.clone();
                event.time = Micros(from.0 + step * if kind == "slow" { 50 } else { 2 } * Micros::MINUTE);
                event.source_ip.clone_from(&last.source_ip);
                (event.outcome, event.reason) = (Outcome::Success, None);
                let neighbour = self.dice.below(u64::from(IDENTITIES)) as u32;
                match kind {
                    "theft" => event.source_ip = Some(stolen.clone()),
                    "neighbour" if step > 4 => event.destination = Some(place_name(neighbour * 16)),
                    "harvest" => event.destination = Some(place_name(neighbour * 16 + step as u32 % 2)),
                    "slow" => {
                        event.source_ip = Some(stolen.clone());
                        event.destination = Some(place_name(neighbour * 16));
                    }
                    "denied" => {
                        event.destination = Some(place_name(neighbour * 16));
                        (event.outcome, event.reason) = (Outcome::Denied, Some("AccessDenied".into()));
                    }
                    _ => {}
                }
                to = event.time;
                self.events.push((who, event));
            }
            self.attacks.push(Attack { who, kind, from, to });
        }
    }
}

fn place_name(place: u32) -> Text {
    Text::from(format!("aws:s3/place-{}", letters(place)))
}

const fn service(job: Job) -> &'static str {
    match job {
        Job::Service => "s3",
        Job::Nightly => "backup",
        Job::Poller => "sqs",
        Job::Runner => "ecs",
    }
}
