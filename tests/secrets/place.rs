//! A place in a record where a secret stands, and what may stand there.

use super::chance::Chance;
use super::form::{self, Secret};

/// What a place takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Any value: the place is closed, whatever the value looks like.
    Anything,
    /// Kept text (a name, an agent, a message): what gives itself away by its form.
    Token,
    /// Kept text in which a word before or behind names the secret: any single word.
    Word,
}

/// Builds the lines of one or more records that hold a secret.
pub type Build = Box<dyn Fn(&str, u64) -> String>;

/// A place.
pub struct Place {
    pub name: String,
    pub format: &'static str,
    /// The file that its records go to.
    pub file: &'static str,
    pub takes: Takes,
    pub build: Build,
}

/// A secret at its place, in a record.
pub struct Planted {
    pub secret: Secret,
    pub place: String,
    pub format: &'static str,
    pub file: String,
    pub lines: String,
}

/// A name, what it takes, and how it wraps.
pub type Wrapping = (&'static str, Takes, fn(&str) -> String);

/// How text names a secret; the name, whether any word is one there, and the text.
pub const WRAPPINGS: &[Wrapping] = &[
    ("alone", Takes::Token, |s| s.to_owned()),
    ("in a sentence", Takes::Token, |s| format!("login with {s} failed for client")),
    ("Authorization: Bearer", Takes::Token, |s| format!("Authorization: Bearer {s}")),
    ("URL user info", Takes::Word, |s| format!("https://deploy:{s}@git.example.org/repo.git")),
    ("query parameter", Takes::Word, |s| format!("https://api.example.org/v1/items?page=2&access_token={s}&sort=asc")),
    ("signed URL", Takes::Word, |s| format!("https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE&X-Amz-Signature={s}")),
    ("--password", Takes::Word, |s| format!("mysqldump --host db --password {s} --all-databases")),
    ("--password=", Takes::Word, |s| format!("psql --username=app --password={s}")),
    ("-p", Takes::Word, |s| format!("mysql -u root -p{s} prod")),
    ("KEY=value", Takes::Word, |s| format!("env DB_PASSWORD={s} ./start --port 80")),
    ("connection string", Takes::Word, |s| format!("Server=tcp:db,1433;Database=app;User ID=sa;Password={s};Encrypt=True")),
    ("cookie", Takes::Word, |s| format!("Cookie: theme=dark; sessionid={s}; lang=de")),
    ("header", Takes::Word, |s| format!("X-Api-Key: {s}")),
    ("JSON in a string", Takes::Word, |s| format!(r#"{{"user":"app","password":"{s}","port":5432}}"#)),
    ("yaml line", Takes::Word, |s| format!("user: app\npassword: {s}\nport: 5432")),
    ("error that echoes", Takes::Word, |s| format!("Access denied for user 'app'@'10.0.0.1' (using password: {s})")),
];

/// Percent-encoded, as a client writes a query.
pub fn percent(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A place for every value.
pub fn closed(format: &'static str, file: &'static str, name: &str, build: impl Fn(&str, u64) -> String + 'static) -> Place {
    Place { name: name.to_owned(), format, file, takes: Takes::Anything, build: Box::new(build) }
}

/// The places of a kept text: one per wrapping.
pub fn kept(format: &'static str, file: &'static str, name: &str, build: impl Fn(&str, u64) -> String + Clone + 'static) -> Vec<Place> {
    let place = |(wrapping, takes, wrap): &(&'static str, Takes, fn(&str) -> String)| {
        let (build, wrap) = (build.clone(), *wrap);
        Place { name: format!("{name}: {wrapping}"), format, file, takes: *takes, build: Box::new(move |secret, n| build(&wrap(secret), n)) }
    };
    WRAPPINGS.iter().map(place).collect()
}

/// Secrets in every place: as many in each as it is given in `each`.
pub fn plant(places: &[Place], each: usize, chance: &mut Chance) -> Vec<Planted> {
    let mut planted = Vec::new();
    for (index, place) in places.iter().enumerate() {
        for turn in 0..if place.takes == Takes::Anything { each } else { 1 } {
            let secret = match place.takes {
                Takes::Anything if turn == 0 => form::known(chance),
                Takes::Anything => form::free(index * (each - 1) + turn - 1, chance),
                Takes::Token => form::known_line(chance),
                Takes::Word if index % 2 == 0 => form::known_line(chance),
                Takes::Word => form::free_word(chance),
            };
            let n = planted.len() as u64;
            let lines = (place.build)(&secret.text, n);
            planted.push(Planted { secret, place: place.name.clone(), format: place.format, file: place.file.to_owned(), lines });
        }
    }
    planted
}

/// Files of rows begin with their header: a file per record of those that are called `all.*`.
pub fn separate(planted: &mut [Planted]) {
    for (index, planted) in planted.iter_mut().enumerate() {
        if let Some((folder, rest)) = planted.file.rsplit_once("/all.").filter(|(_, rest)| matches!(*rest, "log" | "csv")) {
            planted.file = format!("{folder}/rows/{index}.{rest}");
        }
    }
}
