//! Processor time of each thread of a process, as the system counts it (`/proc/PID/task/*/schedstat`, nanoseconds), looked at while it runs: what a
//! thread did after the last look is missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

/// What the threads of one name took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    pub threads: usize,
    /// Nanoseconds on a processor, all of them together.
    pub all: u64,
    /// Of the busiest of them.
    pub most: u64,
}

/// Waits for a process to end and says what its threads took, by name; nothing where the system does not tell.
pub fn watch(child: &mut Child) -> BTreeMap<String, Taken> {
    let tasks = Path::new("/proc").join(child.id().to_string()).join("task");
    let mut seen: BTreeMap<u64, (String, u64)> = BTreeMap::new();
    while child.try_wait().unwrap().is_none() {
        for task in std::fs::read_dir(&tasks).into_iter().flatten().flatten() {
            let read = |name: &str| std::fs::read_to_string(task.path().join(name)).ok();
            let id = task.file_name().to_string_lossy().parse().unwrap_or(0);
            let time = read("schedstat").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
            if let (Some(name), Some(time)) = (read("comm"), time) {
                seen.insert(id, (name.trim().to_owned(), time));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut taken: BTreeMap<String, Taken> = BTreeMap::new();
    for (name, time) in seen.into_values() {
        let sum = taken.entry(name).or_default();
        sum.threads += 1;
        sum.all += time;
        sum.most = sum.most.max(time);
    }
    taken
}

/// Prints them, the busiest first.
pub fn print(taken: &BTreeMap<String, Taken>, events: usize) {
    let each = |nanoseconds: u64| nanoseconds as f64 / 1_000.0 / events as f64;
    let mut rows: Vec<_> = taken.iter().filter(|(_, taken)| each(taken.all) >= 0.01).collect();
    rows.sort_by_key(|(_, taken)| std::cmp::Reverse(taken.most));
    println!("    {:<20}{:>8}{:>22}{:>22}", "threads", "", "us an event, busiest", "us an event, all");
    for (name, taken) in rows {
        println!("    {name:<20}{:>8}{:>22.2}{:>22.2}", taken.threads, each(taken.most), each(taken.all));
    }
}
