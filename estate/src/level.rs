//! How hard an estate makes it: what is usual in it, and how careful its attackers are. The numbers were chosen before a detector was run
//! on them; each says where it is from.

/// How hard an estate makes it to tell attacks from work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Quiet estate, careless attackers: another network, another client, any hour.
    Easy,
    /// What a medium-sized company looks like; attackers of all sorts.
    #[default]
    Normal,
    /// Ephemeral addresses and names, much that changes; attackers use the victim's client, the provider's or the victim's own addresses, and
    /// office hours. No client gives anybody away.
    Hard,
}

impl Level {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Normal => "normal",
            Self::Hard => "hard",
        }
    }

    /// What is usual in an estate of this level.
    pub(crate) const fn character(self) -> Character {
        match self {
            Self::Easy => Character {
                hosted: 0.05,
                renamed: 0.0,
                commotion: 0.5,
                bad_rotations: 0.0,
                previews: 0.0,
                autoscaled: 0.0,
                nat_changes: 0,
                late_deliveries: 0,
                skewed_sensor: 0,
                merger: 0.0,
            },
            Self::Normal => Character {
                hosted: 0.2,
                renamed: 0.05,
                commotion: 1.0,
                bad_rotations: 0.1,
                previews: 0.1,
                autoscaled: 0.15,
                nat_changes: 1,
                late_deliveries: 1,
                skewed_sensor: 0,
                merger: 0.02,
            },
            Self::Hard => Character {
                hosted: 0.5,
                renamed: 0.25,
                commotion: 2.0,
                bad_rotations: 0.25,
                previews: 0.4,
                autoscaled: 0.4,
                nat_changes: 2,
                late_deliveries: 3,
                skewed_sensor: 95,
                merger: 0.05,
            },
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "easy" => Ok(Self::Easy),
            "normal" => Ok(Self::Normal),
            "hard" => Ok(Self::Hard),
            _ => Err(format!("{text:?} is no level: easy, normal or hard")),
        }
    }
}

/// What is usual in an estate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Character {
    /// The share of software in the cloud that meets the provider from a new public address at each run: hosted runners, functions and
    /// containers outside of a private network. GitHub publishes some thousand prefixes for its runners (`api.github.com/meta`); AWS gives
    /// Fargate tasks and instances a new public address at each start ("public IPv4 addresses" in the EC2 user guide). A share is nowhere
    /// published: a fifth is a guess at a company that has moved most into private networks, a half at one that has not.
    pub hosted: f64,
    /// The share of actors that also work on things whose names are made for one use: reply queues, batch jobs, tables by day (the default of
    /// Kubernetes' `CronJob`, of `CloudFormation` and of most schedulers is a generated suffix).
    pub renamed: f64,
    /// How much more or less often launches, moves and deployments happen than once in the intervals that DORA's "Accelerate State of DevOps"
    /// gives for the medium cluster (between once a week and once a month for a service).
    pub commotion: f64,
    /// The share of rotations after which somebody goes on using the old key for days, harmlessly, because one configuration was forgotten.
    /// No published number; common enough that AWS tells to deactivate first and delete later ("Update access keys", IAM user guide).
    pub bad_rotations: f64,
    /// Preview environments that begin in a day, for each 100 identities: an identity of its own each, gone after two days.
    pub previews: f64,
    /// The share of Kubernetes services that an autoscaler makes larger in the morning and smaller in the evening.
    pub autoscaled: f64,
    /// How often a NAT gateway's addresses change for everyone behind it.
    pub nat_changes: u32,
    /// How often a collector stops, and delivers what it held back some hours later. AWS states no bound for `CloudTrail`'s delivery ("typically
    /// within an average of about 5 minutes", "not guaranteed").
    pub late_deliveries: u32,
    /// Seconds by which the network sensor's clock is ahead: NTP lost for a week drifts by seconds; minutes are what virtual machines show
    /// after a pause.
    pub skewed_sensor: i64,
    /// The share of identities that come with a company that was bought, all on one day.
    pub merger: f64,
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn levels_are_read_as_they_are_written_and_nothing_else_is() {
        for level in [Level::Easy, Level::Normal, Level::Hard] {
            assert_eq!(level.name().parse(), Ok(level));
        }
        assert!("brutal".parse::<Level>().unwrap_err().contains("easy, normal or hard"));
    }
}
