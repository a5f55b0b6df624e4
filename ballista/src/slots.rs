//! How many cores of each executor are free: what it has, less what the tasks hold that the running jobs say run there.
//!
//! Ballista 55.0 counts up and down instead, and forgets the cores of a stage that it takes back when another executor is lost: its tasks are cancelled where they
//! run, what they say at their end is about a stage that runs no more, and nobody counts them back. Once all are forgotten every question waits for ever. It also
//! counts some twice. What is reckoned anew each time cannot drift. See docs/decisions/0161.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::ExecutorHeartbeat;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use tokio::sync::Mutex;

/// The executors of a cluster, as Ballista holds them in memory, with free cores that are reckoned and not counted.
#[derive(Default)]
pub struct Slots {
    executors: InMemoryClusterState,
    /// Two that hand out tasks at once would both see the same core free.
    handing_out: Mutex<()>,
}

/// The cores of each executor that running tasks hold. A task is said to run from when it is handed out until its end is told or its stage is taken back.
async fn held(jobs: &HashMap<JobId, JobInfoCache>) -> HashMap<String, u32> {
    let mut held = HashMap::new();
    for job in jobs.values() {
        let graph = job.execution_graph.read().await;
        for task in graph.running_tasks() {
            let cores = graph.task_vcores(task.stage_id, task.task_id).unwrap_or(1);
            *held.entry(task.executor_id).or_insert(0) += cores;
        }
    }
    held
}

#[async_trait]
impl ClusterState for Slots {
    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        let _alone = self.handing_out.lock().await;
        let held = held(&active_jobs).await;
        let free = InMemoryClusterState::default();
        for executor in self.executors.registered_executor_metadata().await {
            let cores = executor.specification.vcores;
            let available = cores.saturating_sub(held.get(&executor.id).copied().unwrap_or(0));
            let data = ExecutorData { executor_id: executor.id.clone(), total_vcores: cores, available_vcores: available };
            free.register_executor(executor, data).await?;
        }
        free.bind_schedulable_tasks(distribution, active_jobs, executors).await
    }

    /// Nothing: a task that has ended is no longer said to run.
    async fn unbind_tasks(&self, _: Vec<ExecutorSlot>) -> Result<()> {
        Ok(())
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        self.executors.register_executor(metadata, spec).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.executors.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.executors.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.executors.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.executors.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        self.executors.remove_executor(executor_id).await
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.executors.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.executors.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.executors.cluster_state_events().await
    }
}

#[cfg(test)]
mod tests;
