//! Compression and archives, told by bytes and not by names.

use std::io::Write;

use keytrail_schemas::Reason;

use crate::tiny::{JSON, LINES, options, read_bytes, read_paths, record};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let method = if name.ends_with(".stored") { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        writer.start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn lines(range: std::ops::Range<i64>) -> Vec<u8> {
    range.map(|time| record(time, &format!("w{time}")) + "\n").collect::<String>().into_bytes()
}

#[test]
fn every_packing_gives_the_same_events_whatever_the_file_is_called() {
    let plain = read_bytes("a.json", &lines(0..300), options(&JSON));
    assert_eq!(plain.events.len(), 300);
    let packed = [
        gzip(&lines(0..300)),
        [gzip(&lines(0..100)), gzip(&lines(100..300))].concat(),
        zst(&lines(0..300)),
        [zst(&lines(0..100)), zst(&lines(100..300))].concat(),
        zip(&[("d/a.json", &lines(0..300))]),
        zip(&[("a.json.stored", &lines(0..300))]),
        zip(&[("a.json", &lines(0..150)), ("b.json", &lines(150..300))]),
        zip(&[("a.gz", &gzip(&lines(0..150))), ("b.zip", &zip(&[("c.json", &lines(150..300))]))]),
        gzip(&zst(&lines(0..300))),
        gzip(&zip(&[("a.json", &lines(0..300))])),
    ];
    for (number, bytes) in packed.iter().enumerate() {
        let read = read_bytes("a.log", bytes, options(&JSON));
        assert_eq!(read.letters, [], "{number}");
        assert_eq!(read.events, plain.events, "{number}");
    }
}

#[test]
fn nested_deeper_is_refused_and_said() {
    let deep = gzip(&gzip(&gzip(&lines(0..3))));
    let read = read_bytes("a", &deep, options(&JSON));
    assert_eq!(read.reasons(), [Reason::UnknownFormat]);
    assert!(read.letters[0].message.contains("more than 2 times"), "{}", read.letters[0].message);
    let deep = zip(&[("a", &zip(&[("b", &zip(&[("c", &lines(0..3))])), ("ok", &lines(0..3))]))]);
    let read = read_bytes("z", &deep, options(&JSON));
    assert_eq!((read.events.len(), read.reasons()), (3, vec![Reason::UnknownFormat]));
    assert!(read.letters[0].path.ends_with("z!a!b"), "{}", read.letters[0].path);
}

#[test]
fn a_file_cut_off_yields_what_is_whole_and_says_where_it_ends() {
    for (packed, framing) in [(gzip(&lines(0..20_000)), &JSON), (zst(&lines(0..20_000)), &JSON), (gzip(&lines(0..20_000)), &LINES)] {
        let read = read_bytes("cut.gz", &packed[..packed.len() / 2], options(framing));
        assert!(read.events.len() > 1_000, "{}", read.events.len());
        assert_eq!(read.reasons(), [Reason::Truncated]);
        let letter = &read.letters[0];
        assert!(letter.path.ends_with("cut.gz"));
        assert_eq!(letter.line, i64::try_from(read.events.len()).unwrap() + 1);
        assert!(letter.byte_offset > 10_000 && letter.message.contains("fetch it again"), "{letter:?}");
        let whole = lines(0..20_000);
        let expected: Vec<String> = (0..read.events.len()).map(|n| format!("w{n}")).collect();
        assert_eq!(read.who(), expected);
        assert_eq!(&whole[usize::try_from(letter.byte_offset).unwrap()..][..letter.raw.len()], letter.raw.as_bytes());
    }
}

#[test]
fn damaged_packings_are_dead_letters_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut flipped = gzip(&lines(0..5_000));
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut member = zip(&[("a.stored", &lines(0..10))]);
    let at = member.windows(4).position(|w| w == b"\"w3\"").unwrap();
    member[at + 1] = b'x';
    let whole = zip(&[("a", &lines(0..10))]);
    for (name, bytes) in
        [("1.gz", flipped.as_slice()), ("2.zip", &member), ("3.zip", &whole[..whole.len() - 10]), ("4.gz", &gzip(b"x")[..5]), ("5.json", &lines(7..8))]
    {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let read = read_paths(&[dir.path()], options(&JSON));
    let by_file: Vec<(String, Reason)> = read.letters.iter().map(|letter| (letter.path.rsplit('/').next().unwrap().to_owned(), letter.reason)).collect();
    for file in ["1.gz", "2.zip!a.stored", "3.zip", "4.gz"] {
        assert!(by_file.contains(&(file.into(), Reason::Truncated)), "{file}: {by_file:?}");
    }
    assert!(read.who().contains(&"w7"));
    assert!(read.who().contains(&"x3"), "what came before the checksum was read is kept");
}

#[test]
fn a_bomb_is_stopped_and_the_other_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("{{\"t\":1,\"who\":\"{}\"}}\n", "a".repeat(4_000));
    let bomb = line.repeat(4_000);
    std::fs::write(dir.path().join("a.gz"), gzip(bomb.as_bytes())).unwrap();
    std::fs::write(dir.path().join("b.zst"), zst(bomb.as_bytes())).unwrap();
    std::fs::write(dir.path().join("c.zip"), zip(&[("m", bomb.as_bytes()), ("n", &lines(5..6))])).unwrap();
    std::fs::write(dir.path().join("d.json"), lines(9..10)).unwrap();
    let mut by_ratio = options(&JSON);
    by_ratio.limits.expansion_ratio_max = 50;
    by_ratio.limits.expansion_free_bytes = 1 << 20;
    let mut by_size = options(&JSON);
    by_size.limits.expanded_bytes_max = 2 << 20;
    for options in [by_ratio, by_size] {
        let read = read_paths(&[dir.path()], options);
        assert_eq!(read.reasons(), [Reason::Expansion; 3]);
        assert!(read.letters.iter().all(|letter| letter.message.contains("kept out")));
        assert!(read.who().contains(&"w5") && read.who().contains(&"w9"));
        assert!(read.events.len() < 3 * 2_000, "{}", read.events.len());
    }
    let generous = read_paths(&[dir.path()], options(&JSON));
    assert_eq!((generous.events.len(), generous.letters.len()), (12_002, 0));
}

#[test]
fn bounds_on_archives_hold() {
    let mut narrow = options(&JSON);
    narrow.limits.archive_members_max = 2;
    let three: Vec<(&str, &[u8])> = vec![("a", b"{}"), ("b", b"{}"), ("c", b"{}")];
    assert_eq!(read_bytes("z.zip", &zip(&three), narrow).reasons(), [Reason::Expansion]);
    let mut narrow = options(&JSON);
    narrow.limits.archive_memory_bytes_max = 1_000;
    let noise: Vec<u8> = (0..5_000_u32).flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes()[..1].to_vec()).collect();
    let read = read_bytes("z.zip", &zip(&[("big.zip", &zip(&[("noise", &noise)])), ("small.zip", &zip(&[("a", &lines(0..2))]))]), narrow);
    assert_eq!((read.reasons(), read.events.len()), (vec![Reason::Expansion], 2));
}

/// A member's file header, and its entry in the archive's list, as PKWARE's APPNOTE has them.
fn zip_entry(name: &str, packed: &[u8], crc: u32, expanded: u32, at: u32) -> (Vec<u8>, Vec<u8>) {
    let sizes = [crc.to_le_bytes(), u32::try_from(packed.len()).unwrap().to_le_bytes(), expanded.to_le_bytes()].concat();
    let name_bytes = u16::try_from(name.len()).unwrap().to_le_bytes();
    let local = [b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0".as_slice(), &sizes, &name_bytes, b"\0\0", name.as_bytes()].concat();
    let central = [b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0".as_slice(), &sizes, &name_bytes, &[0; 12], &at.to_le_bytes(), name.as_bytes()].concat();
    (local, central)
}

/// Twelve members that are the same bytes: 62 KB that would be read as 720 MB.
#[test]
fn members_over_the_same_bytes_are_refused() {
    let text = lines(0..1).repeat(60_000);
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut deflate, &text).unwrap();
    let packed = deflate.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(&text);
    let entry = |name: &str| zip_entry(name, &packed, crc.sum(), u32::try_from(text.len()).unwrap(), 0);
    let mut archive = [entry("a0").0, packed.clone()].concat();
    let list_at = u32::try_from(archive.len()).unwrap();
    let list: Vec<u8> = (0..12).flat_map(|n| entry(&format!("a{}", n % 10)).1).collect();
    archive.extend_from_slice(&list);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0\x0c\0\x0c\0");
    archive.extend_from_slice(&u32::try_from(list.len()).unwrap().to_le_bytes());
    archive.extend_from_slice(&list_at.to_le_bytes());
    archive.extend_from_slice(b"\0\0");
    let read = read_bytes("a.zip", &archive, options(&JSON));
    assert!(read.events.is_empty(), "{} events", read.events.len());
    assert!(!read.letters.is_empty() && read.reasons().iter().all(|reason| *reason == Reason::Expansion), "{:?}", read.letters);
}

/// Each member keeps within the bounds of one file; together they do not.
#[test]
fn an_archive_has_one_budget_for_all_its_members() {
    let text = lines(0..1).repeat(3_000);
    let members: Vec<(String, &[u8])> = (0..20).map(|n| (format!("{n}.json"), text.as_slice())).collect();
    let archive = zip(&members.iter().map(|(name, text)| (name.as_str(), *text)).collect::<Vec<_>>());
    let mut bounded = options(&JSON);
    bounded.limits.expansion_free_bytes = 2 * text.len() as u64;
    bounded.limits.expansion_ratio_max = 10;
    let read = read_bytes("a.zip", &archive, bounded);
    assert!(read.events.len() < 6 * 3_000, "{} events", read.events.len());
    assert!(read.reasons().contains(&Reason::Expansion), "{:?}", read.reasons());
    let read = read_bytes("a.zip", &archive, options(&JSON));
    assert_eq!((read.events.len(), read.letters.len()), (20 * 3_000, 0));
}
