//! The doors from outside, over a lake that keytrail's own writer wrote. What real clients do with them is tried in the project's own tests (`tests/doors`).

mod crowd;
mod house;
mod mangled;
mod mcp;
mod question;
mod token;
mod wire;
