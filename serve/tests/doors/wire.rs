//! A client that speaks PostgreSQL's protocol by hand, so that a test or a benchmark sees every message.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// A row as text.
pub type Row = Vec<Option<String>>;

/// What came until the server was ready for more.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    /// Names and types of the columns.
    pub columns: Vec<(String, u32)>,
    pub rows: Vec<Row>,
    pub notices: Vec<String>,
    /// SQLSTATE and message.
    pub error: Option<(String, String)>,
}

/// A connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
    /// How a password was asked for: 0 not at all, 3 in the clear, 10 by proof.
    pub asked: u32,
}

impl Wire {
    /// Connects; where a password is asked for in the clear it is given.
    pub fn open(address: SocketAddr, user: &str, password: &str) -> Result<Self, (String, String)> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self { stream: BufReader::new(stream), asked: 0 };
        wire.send(None, format!("\0\u{3}\0\0user\0{user}\0database\0keytrail\0\0").as_bytes());
        loop {
            let (kind, body) = wire.message();
            match (kind, body.get(..4).map(|code| u32::from_be_bytes(code.try_into().unwrap()))) {
                (b'R', Some(3)) => {
                    wire.asked = 3;
                    wire.send(Some(b'p'), format!("{password}\0").as_bytes());
                }
                (b'R', Some(10)) => {
                    wire.asked = 10;
                    return Ok(wire);
                }
                (b'E', _) => return Err(problem(&body)),
                (b'Z', _) => return Ok(wire),
                _ => {}
            }
        }
    }

    /// Asks by the simple protocol.
    pub fn ask(&mut self, sql: &str) -> Told {
        self.begin(sql);
        self.until_ready()
    }

    /// Asks, and takes nothing.
    pub fn begin(&mut self, sql: &str) {
        self.send(Some(b'Q'), format!("{sql}\0").as_bytes());
    }

    /// Prepares, binds text and executes.
    pub fn prepared(&mut self, sql: &str, parameters: &[Option<&str>]) -> Told {
        self.send(Some(b'P'), [b"\0", sql.as_bytes(), b"\0\0\0"].concat().as_slice());
        let mut bind = b"\0\0\0\0".to_vec();
        bind.extend(u16::try_from(parameters.len()).unwrap().to_be_bytes());
        for parameter in parameters {
            match parameter {
                None => bind.extend((-1_i32).to_be_bytes()),
                Some(text) => {
                    bind.extend(i32::try_from(text.len()).unwrap().to_be_bytes());
                    bind.extend(text.as_bytes());
                }
            }
        }
        bind.extend(b"\0\0");
        self.send(Some(b'B'), &bind);
        self.send(Some(b'D'), b"P\0");
        self.send(Some(b'E'), b"\0\0\0\0\0");
        self.send(Some(b'S'), b"");
        self.until_ready()
    }

    /// What comes until the server is ready for more.
    pub fn until_ready(&mut self) -> Told {
        let mut told = Told::default();
        loop {
            let (kind, body) = self.message();
            match kind {
                b'T' => told.columns = columns(&body),
                b'D' => told.rows.push(cells(&body)),
                b'N' => told.notices.push(problem(&body).1),
                b'E' => told.error = Some(problem(&body)),
                b'Z' => return told,
                _ => {}
            }
            // An error that ends the connection is the last that comes.
            if kind == b'E' && body.windows(6).any(|window| window == b"FATAL\0") {
                return told;
            }
        }
    }

    fn message(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; length as usize - 4];
        self.stream.read_exact(&mut body).unwrap();
        (head[0], body)
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) {
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        message.extend(body);
        self.stream.get_mut().write_all(&message).unwrap();
    }
}

/// SQLSTATE and message of an ErrorResponse or a NoticeResponse.
fn problem(body: &[u8]) -> (String, String) {
    let field = |name: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&name));
        found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    };
    (field(b'C'), field(b'M'))
}

/// The columns of a RowDescription.
fn columns(body: &[u8]) -> Vec<(String, u32)> {
    let (mut columns, mut rest) = (Vec::new(), &body[2..]);
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let of = &rest[end + 1..];
        columns.push((name, u32::from_be_bytes(of[6..10].try_into().unwrap())));
        rest = &of[18..];
    }
    columns
}

/// The cells of a DataRow.
fn cells(body: &[u8]) -> Row {
    let (mut cells, mut at) = (Vec::new(), 2);
    while at < body.len() {
        let length = i32::from_be_bytes(body[at..at + 4].try_into().unwrap());
        at += 4;
        cells.push(usize::try_from(length).ok().map(|length| {
            at += length;
            String::from_utf8_lossy(&body[at - length..at]).into_owned()
        }));
    }
    cells
}
