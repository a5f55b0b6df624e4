//! Simulates an estate and says what it took: `simulate FOLDER DAYS IDENTITIES [easy|normal|hard] [SEED] [EVENTS]`; or a plant by itself: `simulate --plant FOLDER [DAYS] [SEED]`.

use keytrail_estate::{Level, Options, floor, generate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let at = |i: usize| arguments.get(i).map(String::as_str);
    if at(0) == Some("--plant") {
        let folder = at(1).ok_or("simulate --plant FOLDER [DAYS] [SEED]")?;
        let options = floor::Options { days: at(2).unwrap_or("45").parse()?, seed: at(3).unwrap_or("7").parse()?, ..floor::Options::default() };
        let plant = floor::generate(&options, std::path::Path::new(folder))?;
        println!("{} records of {} stations, {} MiB, {} attacks", plant.records_total(), plant.identities, plant.bytes >> 20, plant.labels.len());
        return Ok(());
    }
    let folder = at(0).ok_or("simulate FOLDER DAYS IDENTITIES [LEVEL] [SEED] [EVENTS]")?;
    let options = Options {
        days: at(1).unwrap_or("30").parse()?,
        identities: at(2).unwrap_or("300").parse()?,
        level: at(3).unwrap_or("normal").parse::<Level>()?,
        seed: at(4).unwrap_or("7").parse()?,
        events: at(5).map(str::parse).transpose()?,
        ..Options::default()
    };
    let simulation = generate(&options, std::path::Path::new(folder))?;
    // Linux says how much memory the process had at most.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    println!(
        "{} records of {} identities, {} MiB, {} attacks; at most {} MiB of records waited; {peak}",
        simulation.records_total(),
        simulation.identities,
        simulation.bytes >> 20,
        simulation.labels.len(),
        simulation.waiting_bytes_max >> 20
    );
    Ok(())
}
