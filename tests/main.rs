//! End-to-end tests: they run the `keytrail` binary as a user does.
//!
//! - `tidy`: the shape of the repository (who may import whom, what stands at the root).
//! - `journey`: files in, answers out, on small inputs written here.
//! - `keys`: one key for an estate, epochs, and dead letters tried again.
//! - `bad_input`: what is broken ends in a dead letter or a clear error, and the rest is stored.
//! - `watch`: sources that grow, rotate and are missing, over runs and restarts; what is exported comes back.
//! - `crash`: SIGKILL at random moments; the checker is shown to catch a planted loss and a planted duplicate.
//! - `doors`: HTTP, PostgreSQL wire and MCP, with the clients that people use.
//! - `identity`: a real Keycloak and a real step-ca, and what their clients did.
//! - `kafka`: the roles on a real Apache Kafka, and the faults that they survive.
//! - `opcua`: a real OPC UA server's audit events, live.
//! - `s3`: the lake in a bucket, and a store that is refused.
//! - `secrets`: secrets planted in every place of every format, and looked for in everything that is written.
//! - `telemetry`: spans and metrics over OTLP.
//! - `machine`: one machine under the names that several providers know it by.
//! - `known_attacks`: real records of single attack techniques, where the folder that holds them exists.
//! - `rules`: further rules from folders, changed in the middle of the log, and a rebuild.
//! - `places`: country, network and class of where an event came from.
//! - `real_logs`: real logs, where the folder that holds them exists.
//! - `stories`: detections and findings of several techniques, and a rebuilt lake in every field.
//! - `estate`: the binary under test, its folder, and inputs made up from the formats' documentation.

mod bad_input;
mod crash;
mod doors;
mod estate;
mod identity;
mod journey;
mod kafka;
mod keys;
mod known_attacks;
mod machine;
mod opcua;
mod places;
mod real_logs;
mod rules;
mod s3;
mod secrets;
mod stories;
mod telemetry;
mod tidy;
mod watch;
