//! Prints docs/attacks.md.

fn main() {
    print!("{}", keytrail_estate::library_as_markdown());
}
