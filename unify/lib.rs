//! No code: `Cargo.toml` asks for the features that the whole workspace asks of its dependencies, so that a command which selects one member
//! builds the same dependencies as one that selects all. `.ci/unify` writes it.
