//! Conversations of real clients, mangled: messages that are cut, swapped, said twice, that name lengths, counts and types that they have not. Whatever comes,
//! the door answers in whole messages and closes; nothing in it panics, and the next client is served.
//!
//! The mangler is seeded: a failure names its round, and comes again.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use keytrail_serve::Options;

use crate::house::House;
use crate::wire::Wire;

const ROUNDS: u64 = 1_500;
/// A connection whose client has said all ends within it.
const END: Duration = Duration::from_secs(10);

/// A message before it is mangled: its kind, unless it is the first of a connection, and its body.
type Message = (Option<u8>, Vec<u8>);

/// What was said when something of the server's panicked.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn listen_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name().is_some_and(|name| name.starts_with("tokio")) {
                PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
            }
            before(panic);
        }));
    });
}

#[test]
fn mangled_conversations_end_and_nothing_panics() {
    listen_for_panics();
    let open = House::new(Options { no_auth: true, ..Options::default() }, keytrail_query::Options::default());
    let guarded = House::new(Options::default(), keytrail_query::Options::default());
    let token = guarded.token("ann", &[]);
    let (spoken, greetings) = (spoken(), greetings(&token));
    let lanes: Vec<_> = (0..4_u64)
        .map(|lane| {
            let (to_open, to_guarded, spoken, greetings) = (open.postgres, guarded.postgres, spoken.clone(), greetings.clone());
            std::thread::spawn(move || {
                for round in (lane..ROUNDS).step_by(4) {
                    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (round + 1).wrapping_mul(0xd134_2543_de82_ef95));
                    // One in five of the startup alone, before the door that asks for a proof.
                    let (address, from) = if round % 5 == 0 { (to_guarded, &greetings) } else { (to_open, &spoken) };
                    let bytes = mangled(from, &mut random);
                    if let Err(problem) = said(address, &bytes) {
                        panic!("round {round}: {problem}; said {:?}", String::from_utf8_lossy(&bytes));
                    }
                    assert!(
                        PANICS.lock().unwrap_or_else(PoisonError::into_inner).is_empty(),
                        "by round {round}: {:?}",
                        PANICS.lock().unwrap_or_else(PoisonError::into_inner)
                    );
                }
            })
        })
        .collect();
    lanes.into_iter().for_each(|lane| lane.join().unwrap());
    assert!(PANICS.lock().unwrap_or_else(PoisonError::into_inner).is_empty(), "{:?}", PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    let told = Wire::open(open.postgres, "ann", "").unwrap().ask("SELECT count(*) FROM events");
    assert_eq!(told.rows, [[Some(crate::house::EVENTS.to_string())]], "the next client is served: {told:?}");
    assert_eq!(Wire::open(guarded.postgres, "ann", &token).unwrap().asked, 10);
}

/// Says it all, then takes what comes until the server closes: whole messages.
fn said(address: SocketAddr, bytes: &[u8]) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(END)).unwrap();
    stream.set_nodelay(true).unwrap();
    let began = Instant::now();
    // The server may have closed before all was said.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer)
        && matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    {
        return Err(format!("the connection is open after {:?}, and {} bytes came", began.elapsed(), answer.len()));
    }
    let mut rest = answer.as_slice();
    // Refuses encryption in one letter each time that it is asked for it.
    while let [b'N', more @ ..] = rest
        && !more.starts_with(&[0, 0])
    {
        rest = more;
    }
    while let Some((kind, more)) = rest.split_first() {
        let Some((length, more)) = more.split_first_chunk::<4>() else { break };
        let length = u32::from_be_bytes(*length) as usize;
        if !b"RSKZTtDCEINnv123sGHW".contains(kind) || !(4..1 << 24).contains(&length) {
            return Err(format!("no message of a server's: {:?}", String::from_utf8_lossy(&rest[..rest.len().min(64)])));
        }
        // One that is cut off is the connection's end, where this side had closed.
        let Some(after) = more.get(length - 4..) else { break };
        rest = after;
    }
    Ok(())
}

fn startup() -> Message {
    (None, b"\0\x03\0\0user\0ann\0database\0keytrail\0application_name\0psql\0\0".to_vec())
}

/// Whole conversations of a client that is let in.
fn spoken() -> Vec<Vec<Message>> {
    let query = |text: &str| (Some(b'Q'), format!("{text}\0").into_bytes());
    let parse = |name: &str, text: &str, types: &[u32]| {
        let mut body = format!("{name}\0{text}\0").into_bytes();
        body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
        types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
        (Some(b'P'), body)
    };
    let bind = |name: &str, formats: &[u16], values: &[Option<&[u8]>], results: &[u16]| {
        let mut body = format!("p{name}\0{name}\0").into_bytes();
        let counted = |body: &mut Vec<u8>, list: &[u16]| {
            body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
            list.iter().for_each(|one| body.extend(one.to_be_bytes()));
        };
        counted(&mut body, formats);
        body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
        for value in values {
            body.extend(value.map_or(-1, |value| i32::try_from(value.len()).unwrap()).to_be_bytes());
            body.extend(value.unwrap_or_default());
        }
        counted(&mut body, results);
        (Some(b'B'), body)
    };
    let about = |kind: u8, what: u8, name: &str| (Some(kind), [&[what], name.as_bytes(), b"\0"].concat());
    let execute = |name: &str, most: u32| (Some(b'E'), [format!("p{name}\0").as_bytes(), &most.to_be_bytes()].concat());
    let (sync, flush, end) = ((Some(b'S'), vec![]), (Some(b'H'), vec![]), (Some(b'X'), vec![]));
    vec![
        vec![startup(), query("SELECT 1; SELECT 2"), query("SELECT * FROM touched('worker-01')"), query(""), query("BEGIN"), query("ROLLBACK"), end.clone()],
        vec![startup(), query("SET statement_timeout = '500ms'"), query("SHOW server_version"), query("SELECT identiti FROM events"), end.clone()],
        vec![
            startup(),
            parse("s", "SELECT * FROM touched($1) WHERE count > $2", &[25, 20]),
            about(b'D', b'S', "s"),
            bind("s", &[0, 1], &[Some(b"worker-02"), Some(&1_i64.to_be_bytes())], &[1]),
            about(b'D', b'P', "ps"),
            execute("s", 2),
            flush,
            execute("s", 0),
            about(b'C', b'P', "ps"),
            about(b'C', b'S', "s"),
            sync.clone(),
            end.clone(),
        ],
        vec![
            startup(),
            parse("", "SELECT event_id, time, roles FROM events WHERE time > $1 AND identity = ANY($2) LIMIT 3", &[1184, 1009]),
            bind("", &[], &[Some(b"2026-01-01T00:00:00Z"), Some(b"{doors:sa/worker-01,\"x\"}")], &[0, 1, 0]),
            execute("", 0),
            sync.clone(),
            parse("", "SELECT $1::text, $2::int4, $3", &[]),
            bind("", &[1], &[None, Some(&[0, 0, 0, 7]), Some(b"x")], &[]),
            execute("", 0),
            sync,
            (Some(b'F'), b"\0\0\0\x07\0\0\0\0\0\0".to_vec()),
            (Some(b'd'), b"rows".to_vec()),
            (Some(b'c'), vec![]),
            (Some(b'f'), b"why\0".to_vec()),
            end,
        ],
        vec![(None, [80_877_103_u32.to_be_bytes().as_slice()].concat()), startup(), query("SELECT version()")],
        vec![(None, [80_877_102_u32.to_be_bytes().as_slice(), &7_u32.to_be_bytes(), &9_u32.to_be_bytes()].concat())],
    ]
}

/// Ways to begin where a proof of the token is asked for.
fn greetings(token: &str) -> Vec<Vec<Message>> {
    let first = b"n,,n=,r=rOprNGfwEbeRWgbNEkqO";
    let length = u32::try_from(first.len()).unwrap().to_be_bytes();
    let sasl = [b"SCRAM-SHA-256\0".as_slice(), &length, first].concat();
    let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".to_vec();
    vec![
        vec![startup(), (Some(b'p'), sasl), (Some(b'p'), last)],
        vec![startup(), (Some(b'p'), format!("{token}\0").into_bytes()), (Some(b'Q'), b"SELECT 1\0".to_vec())],
    ]
}

/// One of the conversations with one to six things done to it.
fn mangled(from: &[Vec<Message>], random: &mut Random) -> Vec<u8> {
    let mut messages = from[random.below(from.len())].clone();
    let mut lengths: Vec<Option<u32>> = vec![None; messages.len()];
    for _ in 0..=random.below(6) {
        // The first message is let alone mostly: else nothing is heard of those behind it.
        let at = if random.below(8) == 0 { 0 } else { random.below(messages.len()) };
        let extreme = [0, 1, 3, 4, 5, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff][random.below(12)];
        let body = &mut messages[at].1;
        let place = random.below(body.len().max(1));
        match random.below(9) {
            0 if !body.is_empty() => body[place] ^= 1 << random.below(8),
            1 => body.truncate(place),
            2 => body.extend((0..random.below(64)).map(|_| random.byte())),
            3 => lengths[at] = Some(extreme),
            4 if body.len() >= place + 4 => body[place..place + 4].copy_from_slice(&extreme.to_be_bytes()),
            5 if body.len() >= place + 2 => body[place..place + 2].copy_from_slice(&extreme.to_be_bytes()[2..]),
            6 => {
                let (again, other) = (messages[at].clone(), random.below(messages.len() + 1));
                messages.insert(other, again);
                lengths.insert(other, None);
            }
            7 if messages.len() > 1 => {
                messages.remove(at);
                lengths.remove(at);
            }
            8 => {
                let other = random.below(messages.len());
                messages.swap(at, other);
            }
            _ => messages[at].0 = messages[at].0.map(|_| random.byte()),
        }
    }
    let mut bytes = Vec::new();
    for ((kind, body), length) in messages.iter().zip(lengths) {
        bytes.extend(kind);
        bytes.extend(length.unwrap_or_else(|| u32::try_from(body.len() + 4).unwrap()).to_be_bytes());
        bytes.extend(body);
    }
    bytes
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % most
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[3]
    }
}
