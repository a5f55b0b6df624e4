//! Live sources: servers that keep no file and are asked for their audit events.

use futures as _;
use keytrail_schemas as _;
use opcua_client as _;
use serde as _;
use serde_json as _;
use thiserror as _;
use tokio as _;
use tracing as _;
