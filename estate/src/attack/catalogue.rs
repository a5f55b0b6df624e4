//! The library as a document.

use std::fmt::Write as _;

use super::library;

/// docs/attacks.md.
pub fn library_as_markdown() -> String {
    let mut out = String::from(
        "# The attacks of the test bed\n\nGenerated from `estate/src/attack/` (`cargo run -p keytrail-estate --example library > docs/attacks.md`); a test holds the two \
         together. What an attack\nlooks like, and how many there are, was chosen from what is public and before a detector was run on it. *Seen by* says what \
         is true of its records\nand of nothing usual: what a detector has to go by.\n\nAttackers are as careful as the level says (`demo --level easy|normal|hard`): at `easy` they come from another network with \
         another client at any\nhour; at `hard` with the victim's own client, from the provider's or the victim's own addresses, in office hours. Labels stand \
         in `labels.json`.\n",
    );
    let mut attack = "";
    for technique in library() {
        if technique.attack != attack {
            attack = technique.attack;
            let _ = writeln!(out, "\n## {attack}");
        }
        technique.to_markdown(technique.variant, &mut out);
    }
    out.push_str("\n# The plant by itself\n\n`cargo run -p keytrail-estate --example simulate -- --plant DIR`: three sites, in the logs of Zeek with CISA's ICSNPP parsers. Every attacker is a host of the plant, with functions that the plant uses, in its working hours.\n");
    for technique in crate::floor::library() {
        technique.to_markdown(&format!("{}: {}", technique.attack, technique.variant), &mut out);
    }
    out
}
