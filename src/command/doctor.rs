//! `keytrail doctor`: what is reachable, and what to do about what is not.

use keytrail_live::opcua;

use crate::config::{Config, Source};
use crate::exit::Code;
use crate::home::Home;

/// Checks the data folder, the key, the log, the lake and the rules; ends with 1 when anything is not as it should be.
pub fn run(config: &Config) -> anyhow::Result<Code> {
    let mut healthy = true;
    let mut report = |what: &str, outcome: Result<String, String>| {
        let (mark, text) = match outcome {
            Ok(text) => ("ok    ", text),
            Err(text) => {
                healthy = false;
                ("FAILED", text)
            }
        };
        println!("{mark} {what}: {}", crate::shown::shown(&text));
    };
    let home = Home::open(config);
    report("data folder", home.as_ref().map(|_| config.dir.display().to_string()).map_err(crate::exit::message));
    if let Ok(home) = &home {
        report("fingerprint key", home.fingerprint_key().map(|_| "readable".to_owned()).map_err(|error| crate::exit::message(&error)));
        report("event log", if config.is_kafka() { kafka(config) } else { log(config, home) });
    }
    report("lake", lake(config));
    if let Ok(home) = &home {
        for source in config.sources.iter().filter(|source| source.is_live()) {
            for (what, outcome) in server(home, source) {
                report(&format!("source {}: {what}", source.name), outcome);
            }
        }
    }
    report("rules", super::rules::configured(config).map(|count| format!("{count} rules")).map_err(|error| crate::exit::message(&error)));
    Ok(if healthy { Code::Done } else { Code::DoesNotHold })
}

/// What an OPC UA server is met with, and whether it is there: it is asked for its endpoints and for nothing else.
fn server(home: &Home, source: &Source) -> Vec<(&'static str, Result<String, String>)> {
    let own = match opcua::Own::open(&home.opcua(), crate::clock::now()) {
        Ok(own) => own,
        Err(error) => return vec![("application certificate", Err(error.to_string()))],
    };
    let until = own.not_after.map(|end| format!(", valid until {}", end.date())).unwrap_or_default();
    let next =
        own.next.as_ref().map(|(path, thumbprint)| format!("; the next one is {} (thumbprint {thumbprint}): trust it too", path.display())).unwrap_or_default();
    let certificate = format!("{} (thumbprint {}){until}: trust it in the server{next}", own.path.display(), own.thumbprint);
    let options = source.opcua(home.opcua()).map_err(|error| crate::exit::message(&error));
    let reached = options.and_then(|options| opcua::inspect(&options, &own).map_err(|error| error.to_string()));
    vec![("application certificate", Ok(certificate)), ("server", reached)]
}

fn log(config: &Config, home: &Home) -> Result<String, String> {
    use keytrail_log::{Error, EventLog as _, embedded::EmbeddedLog};
    match EmbeddedLog::open(home.log(), crate::pipeline::log_options(config)) {
        Ok(log) => {
            let ends: Result<i64, Error> = (0..log.partitions()).map(|partition| log.end(keytrail_schemas::Topic::Events, partition)).sum();
            ends.map(|records| format!("{records} records in {} partitions", log.partitions())).map_err(|error| error.to_string())
        }
        // A running keytrail holds the log, as it should.
        Err(Error::Locked { .. }) => Ok("in use by a running keytrail".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn kafka(config: &Config) -> Result<String, String> {
    let options = crate::role::options(config).map_err(|error| crate::exit::message(&error))?;
    let reports = keytrail_log::kafka::topics::check(&options).map_err(|error| error.to_string())?;
    let wrong: Vec<String> = reports.iter().flat_map(|report| report.differences.iter().map(|line| format!("{}: {line}", report.topic))).collect();
    if !wrong.is_empty() {
        return Err(wrong.join("; "));
    }
    let partitions = reports.first().map_or(0, |report| report.partitions);
    Ok(format!("{}, {} topics of {partitions} partitions", options.brokers, reports.len()))
}

fn lake(config: &Config) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|error| error.to_string())?;
    let url = config.lake_url();
    runtime.block_on(crate::place::lake(config)).map(|_| url.clone()).map_err(|error| error.to_string())
}
