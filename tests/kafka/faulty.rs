//! A TCP proxy that disturbs: some connections are closed at once, some answered with 503, some slow, some cut in the middle. Seeded.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Random;

pub struct Proxy {
    pub port: u16,
    counts: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Proxy {
    /// Connections so far.
    pub fn seen(&self) -> usize {
        self.counts.0.load(Ordering::Relaxed)
    }

    /// Connections that were disturbed.
    pub fn disturbed(&self) -> usize {
        self.counts.1.load(Ordering::Relaxed)
    }
}

/// What becomes of one connection.
enum Fate {
    Refused,
    Unavailable,
    Slow(Duration),
    Cut(usize),
    Left,
}

/// Starts it before a server on loopback; its threads end with the process.
pub fn start(target: u16, seed: u64) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = Arc::clone(&counts);
    std::thread::spawn(move || {
        let mut random = Random(seed | 1);
        for client in listener.incoming().flatten() {
            let fate = match random.below(100) {
                0..10 => Fate::Refused,
                10..20 => Fate::Unavailable,
                20..30 => Fate::Slow(Duration::from_millis(300 + random.below(1_500))),
                30..50 => Fate::Cut(usize::try_from(random.below(60_000)).unwrap()),
                _ => Fate::Left,
            };
            counted.0.fetch_add(1, Ordering::Relaxed);
            if !matches!(fate, Fate::Left) {
                counted.1.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::spawn(move || serve(client, target, &fate));
        }
    });
    Proxy { port, counts }
}

fn serve(mut client: TcpStream, target: u16, fate: &Fate) {
    match fate {
        Fate::Refused => return,
        Fate::Unavailable => {
            let mut request = [0; 4_096];
            let _ = client.read(&mut request);
            let _ = client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        }
        Fate::Slow(pause) => std::thread::sleep(*pause),
        Fate::Cut(_) | Fate::Left => {}
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
    let bytes_max = if let Fate::Cut(bytes) = fate { *bytes } else { usize::MAX };
    let (up, down) = ((client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client));
    let upwards = std::thread::spawn(move || copy(up.0, up.1, bytes_max));
    copy(down.0, down.1, bytes_max);
    let _ = upwards.join();
}

/// Passes bytes on until the end, or until so many went through; then both ends are shut.
fn copy(mut from: TcpStream, mut to: TcpStream, mut bytes_max: usize) {
    let mut buffer = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let count = count.min(bytes_max);
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
        bytes_max -= count;
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
