//! OpenTelemetry: spans per batch from source to lake, and the counters that prove that nothing was lost. Spans and metrics go out
//! over OTLP when an endpoint is configured; metrics are also rendered for Prometheus. Never on the path of a single event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use keytrail_log::kafka::{KafkaLog, Statistics};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;

/// Bounds of the histogram of commits, in seconds.
const COMMIT_SECONDS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The process's telemetry; [`stop`](Self::stop) flushes it.
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
    meter: SdkMeterProvider,
    registry: prometheus::Registry,
    pub metrics: Arc<Metrics>,
}

/// The instruments. Names follow OpenTelemetry; Prometheus sees dots as underscores.
pub struct Metrics {
    /// Events and dead letters read from sources, by format.
    pub read: Counter<u64>,
    /// Events appended to the log, by format. read = stored + duplicate + dead-lettered.
    pub stored: Counter<u64>,
    /// Events that the log already held.
    pub duplicate: Counter<u64>,
    /// Records that could not be understood.
    pub dead_lettered: Counter<u64>,
    /// Events judged.
    pub judged: Counter<u64>,
    /// Findings appended, revisions included.
    pub findings: Counter<u64>,
    /// Rows committed to the lake, by table.
    pub committed: Counter<u64>,
    /// Offsets of the log that gave no row: delivered twice or a hole (`repeated`), or put among the dead letters (`unreadable`).
    pub passed_over: Counter<u64>,
    /// Seconds per lake commit.
    pub commit_seconds: Histogram<f64>,
    /// Records between a consumer and the end of the log.
    pub lag: Arc<Lag>,
}

/// How far each consumer is behind the end of each partition that it holds, in records.
#[derive(Debug, Default)]
pub struct Lag(Mutex<BTreeMap<(&'static str, i32), i64>>);

impl Lag {
    /// `consumer` has so many records of `partition` before it.
    pub fn set(&self, consumer: &'static str, partition: i32, records: i64) {
        self.held().insert((consumer, partition), records);
    }

    /// `consumer` no longer holds `partition`.
    pub fn release(&self, consumer: &'static str, partition: i32) {
        self.held().remove(&(consumer, partition));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<(&'static str, i32), i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Telemetry {
    /// Starts logging, metrics and, where an endpoint is configured, the exporters.
    ///
    /// # Errors
    /// When the filter or the endpoint is none.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let resource = Resource::builder().with_service_name("keytrail").with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        let endpoint = config.telemetry.otlp_endpoint.trim_end_matches('/');
        let registry = prometheus::Registry::new();
        let mut meter = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().context("setting up metrics")?);
        let mut tracer = None;
        if !endpoint.is_empty() {
            let metrics = opentelemetry_otlp::MetricExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{endpoint}/v1/metrics"))
                .build()
                .context("setting up OTLP metrics")?;
            meter = meter.with_periodic_exporter(metrics);
            let spans = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{endpoint}/v1/traces"))
                .build()
                .context("setting up OTLP spans")?;
            tracer = Some(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(spans).build());
        }
        let level = if config.telemetry.log_level.is_empty() {
            "warn,deltalake_core=error,buoyant_kernel=error,opcua_client=off,opcua_core=off,opcua_crypto=off"
        } else {
            &config.telemetry.log_level
        };
        let level = if config.quiet { "error" } else { level };
        let filter = tracing_subscriber::EnvFilter::try_new(level).map_err(|error| crate::exit::Usage(format!("telemetry.log_level = {level:?}: {error}")))?;
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_writer(|| crate::shown::Lines)
            .with_target(false)
            .with_filter(filter);
        // What is printed has no say in what is exported: one span a batch.
        let exported = tracing_subscriber::filter::Targets::new().with_target("keytrail", tracing::Level::DEBUG);
        let spans = tracer.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("keytrail")).with_filter(exported));
        // A second start in one process (tests) keeps the first subscriber.
        let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
        let meter = meter.build();
        let metrics = Arc::new(Metrics::new(&meter));
        Ok(Self { tracer, meter, registry, metrics })
    }

    /// Exports what the Kafka client counts, from its latest report. The log is not kept open for it: a client that still runs while the process ends
    /// races with the end of the libraries that it uses.
    pub fn watch(&self, log: &Arc<KafkaLog>) {
        let meter = self.meter.meter("keytrail");
        let counter = |name: &'static str, description: &'static str, of: fn(&Statistics) -> u64| {
            let log = Arc::downgrade(log);
            let observe = move |counter: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
                if let Some(log) = log.upgrade() {
                    counter.observe(of(&log.statistics()), &[]);
                }
            };
            meter.u64_observable_counter(name).with_description(description).with_callback(observe).build();
        };
        counter("keytrail.kafka.sent", "Bytes sent to brokers", |statistics| statistics.sent_bytes);
        counter("keytrail.kafka.received", "Bytes received from brokers", |statistics| statistics.received_bytes);
        counter("keytrail.kafka.unreadable", "Findings and dead letters that could not be read and were left out", |statistics| statistics.unreadable_rows);
        let queued = Arc::downgrade(log);
        meter
            .u64_observable_gauge("keytrail.kafka.queue")
            .with_description("Records waiting to be sent or acknowledged")
            .with_callback(move |gauge| {
                if let Some(log) = queued.upgrade() {
                    gauge.observe(log.statistics().produce_queue_records, &[]);
                }
            })
            .build();
        let asked = Arc::downgrade(log);
        meter
            .i64_observable_gauge("keytrail.kafka.request")
            .with_unit("us")
            .with_description("99th percentile of the time that a request to a broker takes")
            .with_callback(move |gauge| {
                for (broker, (_, p99)) in asked.upgrade().map(|log| log.statistics().request_us).unwrap_or_default() {
                    gauge.observe(p99, &[KeyValue::new("broker", broker)]);
                }
            })
            .build();
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When they cannot be encoded.
    pub fn prometheus(registry: &prometheus::Registry) -> anyhow::Result<String> {
        Ok(prometheus::TextEncoder::new().encode_to_string(&registry.gather())?)
    }

    /// The registry that `/metrics` renders.
    pub fn registry(&self) -> prometheus::Registry {
        self.registry.clone()
    }

    /// Flushes what has not gone out.
    pub fn stop(&self) {
        if let Some(tracer) = &self.tracer
            && let Err(error) = tracer.shutdown()
        {
            tracing::debug!(%error, "spans were not all exported");
        }
        if let Err(error) = self.meter.shutdown() {
            tracing::debug!(%error, "metrics were not all exported");
        }
    }
}

impl Metrics {
    fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("keytrail");
        let lag = Arc::new(Lag::default());
        let observed = Arc::clone(&lag);
        meter
            .i64_observable_gauge("keytrail.lag.records")
            .with_description("Records between a consumer and the end of keytrail.events")
            .with_callback(move |gauge| {
                for ((consumer, partition), records) in observed.held().iter() {
                    gauge.observe(*records, &[KeyValue::new("consumer", *consumer), KeyValue::new("partition", i64::from(*partition))]);
                }
            })
            .build();
        let counter = |name: &'static str, description: &'static str| meter.u64_counter(name).with_description(description).build();
        Self {
            read: counter("keytrail.ingest.read", "Events and dead letters read from sources"),
            stored: counter("keytrail.ingest.stored", "Events appended to the log"),
            duplicate: counter("keytrail.ingest.duplicate", "Events that the log already held"),
            dead_lettered: counter("keytrail.ingest.dead_lettered", "Records that could not be understood"),
            judged: counter("keytrail.detect.judged", "Events judged"),
            findings: counter("keytrail.detect.findings", "Findings appended, revisions included"),
            committed: counter("keytrail.store.committed", "Rows committed to the lake"),
            passed_over: counter("keytrail.store.passed_over", "Offsets of the log that gave no row: delivered twice, or unreadable"),
            commit_seconds: meter
                .f64_histogram("keytrail.store.commit")
                .with_unit("s")
                .with_description("Time per lake commit")
                .with_boundaries(COMMIT_SECONDS.to_vec())
                .build(),
            lag,
        }
    }
}
