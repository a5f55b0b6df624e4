//! Free cores of executors after what Ballista 55.0 forgets, and after what it counts twice.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use ballista_core::config::BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK;
use ballista_core::object_store::session_config_with_s3_support;
use ballista_core::serde::protobuf::{SuccessfulTask, TaskStatus, task_status};
use ballista_core::serde::scheduler::{ExecutorOperatingSystemSpecification, ExecutorSpecification};
use ballista_scheduler::planner::DefaultDistributedPlanner;
use ballista_scheduler::state::execution_graph::{ExecutionGraph as _, StaticExecutionGraph};
use datafusion::catalog::memory::MemorySourceConfig;

use super::*;

type Job = (JobId, JobInfoCache);

/// A job that runs: one stage, a task a part.
fn job(name: &str, parts: usize) -> Job {
    let schema = Arc::new(Schema::empty());
    let plan = MemorySourceConfig::try_new_exec(&vec![vec![RecordBatch::new_empty(schema.clone())]; parts], schema, None).unwrap();
    let config = Arc::new(session_config_with_s3_support().set_str(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1"));
    let id: JobId = name.to_owned().into();
    let mut planner = DefaultDistributedPlanner::new();
    let mut graph = StaticExecutionGraph::new("scheduler", &id, name, "session", plan, 0, config, &mut planner, None).unwrap();
    graph.revive();
    (id, JobInfoCache::new(Box::new(graph)))
}

/// An executor of two cores comes.
async fn comes(cluster: &dyn ClusterState, id: &str) {
    let specification = ExecutorSpecification::default().with_vcores(2);
    let os_info = ExecutorOperatingSystemSpecification::default();
    let metadata = ExecutorMetadata { id: id.to_owned(), host: "localhost".to_owned(), port: 1, grpc_port: 2, specification, os_info };
    let data = ExecutorData { executor_id: id.to_owned(), total_vcores: 2, available_vcores: 2 };
    cluster.register_executor(metadata, data).await.unwrap();
}

/// How many tasks of these jobs each executor is given.
async fn given(cluster: &dyn ClusterState, jobs: &[&Job]) -> BTreeMap<String, usize> {
    let jobs = Arc::new(jobs.iter().map(|(id, job)| (id.clone(), job.clone())).collect());
    let mut given = BTreeMap::new();
    for (executor, _) in cluster.bind_schedulable_tasks(TaskDistributionPolicy::RoundRobin, jobs, None).await.unwrap() {
        *given.entry(executor).or_insert(0) += 1;
    }
    given
}

/// So many tasks of these executors.
fn tasks(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter().map(|(executor, tasks)| ((*executor).to_owned(), *tasks)).collect()
}

/// Its stage is taken back, as when an executor is lost that computed something for it; what its tasks say at their end is of no stage that runs, and worth nothing.
async fn taken_back(cluster: &dyn ClusterState, job: &Job) {
    let mut graph = job.1.execution_graph.write().await;
    for stage in graph.running_stages() {
        graph.rollback_running_stage(stage, HashSet::new()).unwrap();
    }
    cluster.unbind_tasks(vec![("one".to_owned(), 0)]).await.unwrap();
}

/// What the next question is given after a stage was taken back whose tasks held every core.
async fn after_a_stage_was_taken_back(cluster: &dyn ClusterState) -> BTreeMap<String, usize> {
    comes(cluster, "one").await;
    let (first, second) = (job("first", 2), job("second", 2));
    assert_eq!(given(cluster, &[&first, &second]).await.values().sum::<usize>(), 2);
    for job in [&first, &second] {
        taken_back(cluster, job).await;
    }
    given(cluster, &[&first, &second, &job("next", 2)]).await
}

#[tokio::test]
async fn cores_of_a_stage_that_was_taken_back_are_free() {
    assert_eq!(after_a_stage_was_taken_back(&Slots::default()).await, tasks(&[("one", 2)]));
    // Once this fails, Ballista counts them back and `Slots` may be done without.
    assert_eq!(after_a_stage_was_taken_back(&InMemoryClusterState::default()).await, tasks(&[]));
}

#[tokio::test]
async fn a_core_is_given_once_however_often_it_is_counted_back() {
    let cluster = Slots::default();
    comes(&cluster, "one").await;
    let (first, next) = (job("first", 2), job("next", 3));
    assert_eq!(given(&cluster, &[&first]).await, tasks(&[("one", 2)]));
    for _ in 0..2 {
        cluster.unbind_tasks(vec![("one".to_owned(), 2)]).await.unwrap();
        assert_eq!(given(&cluster, &[&first, &next]).await, tasks(&[]), "both cores compute");
    }
    // The first is done or cancelled.
    assert_eq!(given(&cluster, &[&next]).await, tasks(&[("one", 2)]));
    assert_eq!(given(&cluster, &[&next]).await, tasks(&[]));
    // One task of the next ends, and its core takes the last.
    let ended = TaskStatus { status: Some(task_status::Status::Successful(SuccessfulTask::default())), ..TaskStatus::default() };
    let is_told = next.1.execution_graph.write().await.fetch_running_stage(&[]).unwrap().update_task_info(0, ended);
    assert!(is_told);
    assert_eq!(given(&cluster, &[&next]).await, tasks(&[("one", 1)]));
}

#[tokio::test]
async fn an_executor_that_goes_takes_its_cores_with_it_and_no_others() {
    let cluster = Slots::default();
    comes(&cluster, "one").await;
    comes(&cluster, "two").await;
    let (first, next) = (job("first", 4), job("next", 6));
    assert_eq!(given(&cluster, &[&first]).await, tasks(&[("one", 2), ("two", 2)]));
    cluster.remove_executor("two").await.unwrap();
    cluster.unbind_tasks(vec![("two".to_owned(), 2)]).await.unwrap();
    assert_eq!(given(&cluster, &[&first, &next]).await, tasks(&[]), "the one left computes, the lost one is given nothing");
    taken_back(&cluster, &first).await;
    assert_eq!(given(&cluster, &[&first, &next]).await, tasks(&[("one", 2)]));
    comes(&cluster, "two").await;
    assert_eq!(given(&cluster, &[&next]).await, tasks(&[("two", 2)]), "it comes back with all its cores");
}
