//! Where records come from.

mod count;
mod fault;
mod frame;
mod magic;
mod options;
mod progress;
mod repeat;
