//! Acts as rows of Zeek's and ICSNPP's logs: who asks, and what is answered.

use crate::chance::{BASE62, Chance};
use crate::clock::{self, DAY, SECOND};
use crate::journal::{Journal, Stream};
use crate::provider::zeek::Log;

use super::site::{Controller, Protocol, Station};
use super::{Act, Answer};

/// What may be asked of a controller, whatever its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Reads values.
    Read,
    /// Writes a value.
    Write,
    /// Opens a connection or session.
    Open,
    /// Asks what it is.
    Identify,
    /// Lists its points.
    Browse,
    /// Loads a program.
    Download,
    /// Reads the program.
    Upload,
    /// Stops it.
    Stop,
    /// Starts or restarts it.
    Start,
    /// Makes it silent.
    Silence,
    /// Writes a file into it.
    File,
    /// Opens or closes a breaker.
    Trip,
    /// Calls a method.
    Call,
    /// Logs in as nobody.
    Anonymous,
}

impl Function {
    /// Its number, for an order.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The connections that are open, and the numbers of exchanges within them.
pub struct Wires {
    start: i64,
    exchange: u32,
}

impl Wires {
    pub const fn new(start: i64) -> Self {
        Self { start, exchange: 0 }
    }

    /// Writes an act; gives the connection's uid.
    pub fn write(&mut self, journal: &mut Journal, act: &Act, answer: Answer, station: &Station, controller: &Controller) -> String {
        self.exchange = self.exchange.wrapping_add(1);
        // Connections stand for a day; an attacker opens its own.
        let day = (act.time - self.start) / DAY;
        let seed = [u64::from(act.from), u64::from(act.to), day.unsigned_abs(), act.label.map_or(0, |label| 1 + u64::from(label))]
            .into_iter()
            .fold(0x9e37_79b9_7f4a_7c15_u64, |sum, part| (sum ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23));
        let uid = Chance::new(seed).letters("C", BASE62, 17);
        let mut row = Row { journal, time: act.time, uid: &uid, from: &station.address, to: &controller.address, number: self.exchange % 60_000 };
        let function = act.function;
        match controller.protocol {
            Protocol::Modbus => row.modbus(function, answer),
            Protocol::S7 => row.s7(function, answer),
            Protocol::Cip => row.cip(function, answer),
            Protocol::Bacnet => row.bacnet(function, answer),
            Protocol::Dnp3 => row.dnp3(function, answer),
            Protocol::OpcUa => row.opcua(function, answer, station.user.as_deref().unwrap_or("unknown")),
        }
        uid
    }
}

struct Row<'a> {
    journal: &'a mut Journal,
    time: i64,
    uid: &'a str,
    from: &'a str,
    to: &'a str,
    number: u32,
}

impl Row<'_> {
    /// A request and, a little later, its answer; each with the columns behind those of the connection.
    fn pair(&mut self, log: Log, port: u32, request: &str, response: Option<&str>) {
        self.line(log, port, true, 0, request);
        if let Some(response) = response {
            self.line(log, port, false, 3_000 + i64::from(self.number % 19) * 1_000, response);
        }
    }

    fn line(&mut self, log: Log, port: u32, asks: bool, after: i64, cells: &str) {
        let Self { uid, from, to, time, .. } = *self;
        let client = 49_152 + uid.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 16_000);
        self.journal.record(time + after, Stream::Zeek(log), |out| {
            clock::push_epoch(out, time + after);
            let (sender, sent, receiver, received) = if asks { (from, client, to, port) } else { (to, port, from, client) };
            let side = if asks { 'T' } else { 'F' };
            out.push_str(&format!("\t{uid}\t{from}\t{client}\t{to}\t{port}\t{side}\t{sender}\t{sent}\t{receiver}\t{received}\t{cells}"));
        });
    }

    /// As [`Self::line`], of a log that does not say who sent a row.
    fn plain(&mut self, log: Log, port: u32, cells: &str) {
        let Self { uid, from, to, time, .. } = *self;
        let client = 49_152 + uid.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 16_000);
        self.journal.record(time, Stream::Zeek(log), |out| {
            clock::push_epoch(out, time);
            out.push_str(&format!("\t{uid}\t{from}\t{client}\t{to}\t{port}\t{cells}"));
        });
    }

    fn modbus(&mut self, function: Function, answer: Answer) {
        let (name, more) = match function {
            Function::Write => ("WRITE_SINGLE_REGISTER", "-"),
            Function::Trip => ("WRITE_SINGLE_COIL", "-"),
            Function::Identify | Function::Browse => ("ENCAP_INTERFACE_TRANSPORT", "-"),
            Function::Silence | Function::Stop => ("DIAGNOSTICS", "Force Listen Only Mode"),
            Function::Start => ("DIAGNOSTICS", "Restart Communications Option"),
            Function::Download | Function::File => ("WRITE_FILE_RECORD", "-"),
            Function::Upload => ("READ_FILE_RECORD", "-"),
            _ => ("READ_HOLDING_REGISTERS", "-"),
        };
        let matched = if answer == Answer::Silent { "F" } else { "T" };
        let refusal = if answer == Answer::Refused { "ILLEGAL_FUNCTION" } else { "-" };
        let cells = format!("{}\t1\t{name}\t1\t1\t-\t-\t-\t{matched}\t{more}\t{more}\t-\t-\t{refusal}\t-", self.number);
        self.plain(Log::ModbusDetailed, 502, &cells);
    }

    fn s7(&mut self, function: Function, answer: Answer) {
        let n = self.number;
        let error = if answer == Answer::Refused { "Access error\t0x04" } else { "No error\t0x00" };
        let job = |code: &str, name: &str, sub: &str| format!("1\tJob-Request\t{n}\t{code}\t{name}\t{sub}\t-\t-");
        let ack = |code: &str, name: &str| (answer != Answer::Silent).then(|| format!("3\tACK-Data\t{n}\t{code}\t{name}\t-\t-\t{error}"));
        let transfer = |this: &mut Self, names: &[&str]| {
            for name in names {
                let response = (answer != Answer::Silent).then(|| format!("ACK-Data\t{n}\t{name}\t0x00\t7\t216\t-\t-\t-\t-"));
                this.pair(
                    Log::S7Transfer,
                    102,
                    &format!("Job-Request\t{n}\t{name}\t0x00\t0\t-\t_0800001P\tOrganization Block\t00001\tPassive"),
                    response.as_deref(),
                );
                this.time += SECOND / 5;
            }
        };
        match function {
            Function::Download | Function::File => {
                transfer(self, &["Request Download"]);
                let request = job("0x28", "PLC Control", "_INSE\tActivates a PLC module");
                self.pair(Log::S7comm, 102, &request, ack("0x28", "PLC Control").as_deref());
            }
            Function::Upload => transfer(self, &["Start Upload", "Upload", "End Upload"]),
            Function::Identify | Function::Browse => {
                let response = (answer != Answer::Silent).then(|| format!("{n}\tResponse\t0x0011\tModule identification\t0x0000\t0xff\tSuccess"));
                self.pair(Log::S7Szl, 102, &format!("{n}\tRequest\t0x0011\tModule identification\t0x0000\t0xff\tSuccess"), response.as_deref());
            }
            _ => {
                let (code, name, sub) = match function {
                    Function::Write | Function::Trip | Function::Call => ("0x05", "Write Variable", "-\t-"),
                    Function::Open | Function::Anonymous => ("0xf0", "Setup Communication", "-\t-"),
                    Function::Stop | Function::Silence => ("0x29", "PLC Stop", "-\t-"),
                    Function::Start => ("0x28", "PLC Control", "P_PROGRAM\tPLC Start / Stop"),
                    _ => ("0x04", "Read Variable", "-\t-"),
                };
                self.pair(Log::S7comm, 102, &job(code, name, sub), ack(code, name).as_deref());
            }
        }
    }

    fn cip(&mut self, function: Function, answer: Answer) {
        let n = self.number;
        let (code, service) = match function {
            Function::Write | Function::Trip | Function::Call => ("0x4d", "Write Data"),
            Function::Open | Function::Anonymous => ("0x54", "Forward Open"),
            Function::Identify => ("0x01", "Get Attributes All"),
            Function::Browse => ("0x11", "Find Next Object Instance"),
            Function::Download | Function::File => ("0x15", "Restore"),
            Function::Upload => ("0x16", "Save"),
            Function::Stop | Function::Silence => ("0x07", "Stop"),
            Function::Start => ("0x05", "Reset"),
            Function::Read => ("0x4c", "Read Data"),
        };
        let status = if answer == Answer::Refused { "0x0f\tPrivilege Violation" } else { "0x00\tSuccess" };
        let response = (answer != Answer::Silent).then(|| format!("{n}\tresponse\t{code}\t{service}\t{status}\t-\t-\t-\t-\t-\t-"));
        self.pair(Log::Cip, 44_818, &format!("{n}\trequest\t{code}\t{service}\t-\t-\t-\t-\t0x6b\tunknown\t0x01\t-"), response.as_deref());
    }

    fn bacnet(&mut self, function: Function, answer: Answer) {
        let n = self.number % 256;
        let control = match function {
            Function::Silence => Some(("device_communication_control", "disable")),
            Function::Start | Function::Stop => Some(("reinitialize_device", "warmstart")),
            _ => None,
        };
        if let Some((service, state)) = control {
            let result = if answer == Answer::Refused { "ERROR\tpassword-failure" } else { "SUCCESS\t-" };
            let response = (answer != Answer::Silent).then(|| format!("{n}\t{service}\t-\t-\t-\t{result}"));
            self.pair(Log::BacnetControl, 47_808, &format!("{n}\t{service}\t-\t{state}\tcommissioning\t-\t-"), response.as_deref());
            return;
        }
        let (service, acknowledged) = match function {
            Function::Write | Function::Trip => ("write_property", "SIMPLE_ACK"),
            Function::File | Function::Download => ("atomic_write_file", "COMPLEX_ACK"),
            Function::Upload => ("atomic_read_file", "COMPLEX_ACK"),
            Function::Identify | Function::Browse => ("read_property_multiple", "COMPLEX_ACK"),
            _ => ("read_property", "COMPLEX_ACK"),
        };
        let (kind, code) = if answer == Answer::Refused { ("ERROR_PDU", "write-access-denied") } else { (acknowledged, "-") };
        let response = (answer != Answer::Silent).then(|| format!("Original_Unicast_NPDU\t{kind}\t{service}\t{n}\t{code}"));
        self.pair(Log::Bacnet, 47_808, &format!("Original_Unicast_NPDU\tCONFIRMED_REQUEST\t{service}\t{n}\t-"), response.as_deref());
    }

    fn dnp3(&mut self, function: Function, answer: Answer) {
        let name = match function {
            Function::Trip | Function::Write => {
                let n = self.number % 8;
                let status = if answer == Answer::Refused { "Not Authorized" } else { "Success" };
                let response = (answer != Answer::Silent).then(|| format!("Control Relay Output Block\tRESPONSE\t{n}\tTrip\tPulse On\tF\t1\t500\t0\t{status}"));
                self.pair(
                    Log::Dnp3Control,
                    20_000,
                    &format!("Control Relay Output Block\tDIRECT_OPERATE\t{n}\tTrip\tPulse On\tF\t1\t500\t0\t-"),
                    response.as_deref(),
                );
                return;
            }
            Function::Silence => "DISABLE_UNSOLICITED",
            Function::Start | Function::Stop => "COLD_RESTART",
            Function::Upload => "OPEN_FILE",
            Function::Download | Function::File => "ACTIVATE_CONFIG",
            _ => "READ",
        };
        let reply = if answer == Answer::Silent { "-\t-" } else { "RESPONSE\t0" };
        self.plain(Log::Dnp3, 20_000, &format!("{name}\t{reply}"));
    }

    fn opcua(&mut self, function: Function, answer: Answer, user: &str) {
        let good = answer != Answer::Silent;
        match function {
            Function::Open | Function::Anonymous => {
                self.pair(Log::UaCreate, 4_840, &format!("urn:{}\t-\t-\t-", self.from), Some("-\turn:ua:server\t0x04\t0af1"));
                self.time += SECOND / 10;
                let token = if function == Function::Open {
                    format!("UserNameIdentityToken\t{user}\tcommissioning\t-")
                } else {
                    String::from("AnonymousIdentityToken\t-\t-\t-")
                };
                let response = (good && answer != Answer::Refused).then_some("-\t-\t-\t0x5c8f");
                self.pair(Log::UaActivate, 4_840, &token, response);
                if answer == Answer::Refused {
                    self.line(Log::UaStatus, 4_840, false, 40_000, "ResponseHeader\t0x80210000\tSeverity_Bad\tBadIdentityTokenRejected");
                }
            }
            Function::Write | Function::Trip => self.pair(Log::UaWrite, 4_840, "0x03\t1\tsetpoint\tValue", good.then_some("-\t-\t-\t-")),
            Function::Browse | Function::Identify => self.pair(Log::UaBrowse, 4_840, "BrowseRequest", good.then_some("BrowseResponse")),
            Function::Call | Function::Start | Function::Stop => self.plain(Log::UaService, 4_840, "MSG\t-\tCallRequest\tCallResponse"),
            Function::Download | Function::File => self.plain(Log::UaService, 4_840, "MSG\t-\tAddNodesRequest\tAddNodesResponse"),
            _ => self.pair(Log::UaRead, 4_840, "0\t0\tSource", good.then_some("-\t-\t-")),
        }
    }
}
