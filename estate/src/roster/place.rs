//! What can be touched: buckets, tables, secrets, API objects, servers, topics, PLC units; and the operations on each.

use crate::chance::Chance;
use crate::clock;

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// S3 bucket.
    Bucket,
    /// `DynamoDB` table.
    Table,
    /// Secrets Manager secret.
    Secret,
    /// KMS key.
    Key,
    /// SQS queue.
    Queue,
    /// SSM parameter.
    Parameter,
    /// RDS cluster, through the Data API.
    Database,
    /// ECR repository.
    Repository,
    /// Lambda function.
    Function,
    /// ECS service.
    Service,
    /// The AWS account itself.
    Account,
    /// A Kubernetes API object or collection.
    Object,
    /// A Vault path.
    Path,
    /// A TLS server that asks for client certificates.
    Server,
    /// An MQTT topic.
    Topic,
    /// A Modbus unit of a PLC.
    Unit,
    /// A Kerberos service principal.
    Principal,
    /// An SSH host.
    Host,
}

/// One place.
#[derive(Debug, Clone)]
pub struct Place {
    /// What it is.
    pub kind: PlaceKind,
    /// The team that owns it.
    pub team: usize,
    /// Index into the accounts, for AWS.
    pub account: u8,
    /// Its name, path, topic, principal or unit number.
    pub name: String,
    /// ARN in AWS, namespace in Kubernetes, address elsewhere.
    pub at: String,
    /// Its replica at the second site.
    pub twin: Option<usize>,
    /// Whether its name is made for one use: `{}` stands for what is generated.
    pub ephemeral: bool,
}

impl Place {
    /// The place as somebody meets it at a moment: a name that holds for an hour, or for a day where it is a date.
    pub fn fresh(&self, time: i64, who: &str) -> Self {
        let mut part = String::new();
        if self.kind == PlaceKind::Table {
            clock::push_date(&mut part, time, "");
        } else {
            let seed = who.bytes().fold(time.div_euclid(clock::HOUR).unsigned_abs(), |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(byte)));
            let mut chance = Chance::new(seed);
            if self.kind == PlaceKind::Object { clock::push_number(&mut part, 29_000_000 + chance.range(0, 999_999)) } else { chance.push_hex(&mut part, 12) }
        }
        Self { name: self.name.replace("{}", &part), at: self.at.replace("{}", &part), ..self.clone() }
    }
}

/// An AWS API operation.
#[derive(Debug, Clone, Copy)]
pub struct Op {
    /// `s3.amazonaws.com`
    pub source: &'static str,
    /// `GetObject`
    pub name: &'static str,
    /// Whether it only reads.
    pub read_only: bool,
    /// Whether it is a data event.
    pub data: bool,
}

const fn op(source: &'static str, name: &'static str, read_only: bool, data: bool) -> Op {
    Op { source, name, read_only, data }
}

/// The operations on each kind of AWS place; a habit names one by its number.
pub const BUCKET: [Op; 5] = [
    op("s3.amazonaws.com", "GetObject", true, true),
    op("s3.amazonaws.com", "PutObject", false, true),
    op("s3.amazonaws.com", "ListObjects", true, true),
    op("s3.amazonaws.com", "GetBucketLocation", true, false),
    op("s3.amazonaws.com", "DeleteObject", false, true),
];
const TABLE: [Op; 4] = [
    op("dynamodb.amazonaws.com", "GetItem", true, true),
    op("dynamodb.amazonaws.com", "PutItem", false, true),
    op("dynamodb.amazonaws.com", "Query", true, true),
    op("dynamodb.amazonaws.com", "Scan", true, true),
];
const SECRET: [Op; 2] = [op("secretsmanager.amazonaws.com", "GetSecretValue", true, false), op("secretsmanager.amazonaws.com", "DescribeSecret", true, false)];
const KEY: [Op; 2] = [op("kms.amazonaws.com", "Decrypt", true, false), op("kms.amazonaws.com", "GenerateDataKey", true, false)];
const QUEUE: [Op; 2] = [op("sqs.amazonaws.com", "SendMessage", false, true), op("sqs.amazonaws.com", "ReceiveMessage", false, true)];
const PARAMETER: [Op; 1] = [op("ssm.amazonaws.com", "GetParameter", true, false)];
const DATABASE: [Op; 2] = [op("rdsdata.amazonaws.com", "ExecuteStatement", false, true), op("rdsdata.amazonaws.com", "BatchExecuteStatement", false, true)];
const REPOSITORY: [Op; 3] = [
    op("ecr.amazonaws.com", "BatchGetImage", true, false),
    op("ecr.amazonaws.com", "PutImage", false, false),
    op("ecr.amazonaws.com", "GetAuthorizationToken", true, false),
];
const FUNCTION: [Op; 2] = [op("lambda.amazonaws.com", "Invoke", false, true), op("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", false, false)];
const SERVICE: [Op; 3] = [
    op("ecs.amazonaws.com", "DescribeServices", true, false),
    op("ecs.amazonaws.com", "UpdateService", false, false),
    op("ecs.amazonaws.com", "RegisterTaskDefinition", false, false),
];
/// The operations on an account as a whole.
pub const ACCOUNT: [Op; 6] = [
    op("sts.amazonaws.com", "GetCallerIdentity", true, false),
    op("ec2.amazonaws.com", "DescribeInstances", true, false),
    op("secretsmanager.amazonaws.com", "ListSecrets", true, false),
    op("s3.amazonaws.com", "ListBuckets", true, false),
    op("iam.amazonaws.com", "ListRoles", true, false),
    op("iam.amazonaws.com", "ListAttachedUserPolicies", true, false),
];

/// The operation that number `act` stands for at a place of AWS.
pub fn operation(kind: PlaceKind, act: u8) -> Op {
    let table: &[Op] = match kind {
        PlaceKind::Bucket => &BUCKET,
        PlaceKind::Table => &TABLE,
        PlaceKind::Secret => &SECRET,
        PlaceKind::Key => &KEY,
        PlaceKind::Queue => &QUEUE,
        PlaceKind::Parameter => &PARAMETER,
        PlaceKind::Database => &DATABASE,
        PlaceKind::Repository => &REPOSITORY,
        PlaceKind::Function => &FUNCTION,
        PlaceKind::Service => &SERVICE,
        _ => &ACCOUNT,
    };
    table.get(usize::from(act)).copied().unwrap_or(table[0])
}

/// Kubernetes verbs by number.
pub const VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
/// Vault operations by number.
pub const OPERATIONS: [&str; 3] = ["read", "list", "update"];
/// Modbus functions by number, as Zeek names them.
pub const FUNCTIONS: [&str; 6] =
    ["READ_HOLDING_REGISTERS", "READ_INPUT_REGISTERS", "READ_COILS", "WRITE_SINGLE_REGISTER", "WRITE_MULTIPLE_REGISTERS", "DIAGNOSTICS"];
