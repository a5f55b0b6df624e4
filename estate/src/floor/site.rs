//! Who there is on a plant: controllers of seven protocols, and the stations that speak to them, by role.

use crate::chance::Chance;

/// How a controller is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Modbus,
    S7,
    Cip,
    Bacnet,
    Dnp3,
    OpcUa,
}

/// A controller.
#[derive(Debug, Clone)]
pub struct Controller {
    pub site: usize,
    pub line: usize,
    pub protocol: Protocol,
    pub address: String,
}

/// What a station is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Polls everything of its site; the second one stands by.
    Master,
    /// Reads everything of its site.
    Historian,
    /// Shows a line and takes its operator's set points.
    Panel,
    /// Programs controllers in agreed windows.
    Engineering,
    /// Runs the building: BACnet.
    Building,
    /// Switches outstations: DNP3.
    Gateway,
    /// Sends recipes at the beginning of a shift.
    Recipes,
    /// An OPC UA client with a user of its own: quality, dashboards, gateways.
    Client,
    /// The vendor's account, through the jump host, in agreed windows.
    Vendor,
}

/// Something that speaks to controllers.
#[derive(Debug, Clone)]
pub struct Station {
    pub site: usize,
    pub line: usize,
    pub role: Role,
    pub address: String,
    /// The OPC UA user.
    pub user: Option<String>,
}

const SITES: [&str; 3] = ["north", "south", "east"];
/// Lines of a site.
pub const LINES: usize = 6;

/// Three sites.
pub fn build(chance: &mut Chance) -> (Vec<Station>, Vec<Controller>) {
    let (mut stations, mut controllers) = (Vec::new(), Vec::new());
    for (site, name) in SITES.into_iter().enumerate() {
        let net = 101 + site;
        for line in 0..LINES {
            let main = [Protocol::S7, Protocol::Cip, Protocol::S7, Protocol::Modbus, Protocol::Cip, Protocol::S7][line];
            for (n, protocol) in [main, main, Protocol::Modbus].into_iter().enumerate() {
                controllers.push(Controller { site, line, protocol, address: format!("10.{net}.{}.{}", 10 + line, 10 + n) });
            }
        }
        for (protocol, count, third) in [(Protocol::Bacnet, 5, 30), (Protocol::Dnp3, 6, 40), (Protocol::OpcUa, 3, 50)] {
            for n in 0..count {
                controllers.push(Controller { site, line: n % LINES, protocol, address: format!("10.{net}.{third}.{}", 10 + n) });
            }
        }
        let mut station = |role, line, third: usize, last: usize, user: Option<String>| {
            stations.push(Station { site, line, role, address: format!("10.{net}.{third}.{last}"), user });
        };
        for n in 0..2 {
            station(Role::Master, 0, 5, 10 + n, None);
            station(Role::Historian, 0, 5, 20 + n, Some(format!("historian-{name}-{}", n + 1)));
            station(Role::Engineering, 0, 5, 30 + n, None);
            station(Role::Gateway, 0, 5, 40 + n, None);
            station(Role::Building, 0, 5, 50 + n, None);
            station(Role::Recipes, n * 3, 5, 60 + n, None);
        }
        for line in 0..LINES {
            for n in 0..5 + chance.below(2) {
                station(Role::Panel, line, 10 + line, 100 + n, None);
            }
        }
        for n in 0..14 {
            let what = ["quality", "dashboard", "energy", "mes", "lab", "edge", "report"][n % 7];
            station(Role::Client, n % LINES, 6, 20 + n, Some(format!("{what}-{name}-{}", n / 7 + 1)));
        }
        station(Role::Vendor, 2, 7, 9, Some(format!("vendor-{name}")));
    }
    (stations, controllers)
}
