//! Where secrets stand in CloudTrail: request parameters and responses of the services that take or give them, as the services' API
//! references have them, and the texts that are kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::broken::gzip;
use super::place::{Place, Takes, closed, kept, percent};
use crate::estate::cloudtrail;

const FORMAT: &str = "cloudtrail";
const FILE: &str = "cloudtrail/events.log";

/// A record of its own user, so that every identity column can be told apart.
fn record(n: u64, source: &str, name: &str, request: Value, response: Value) -> Value {
    let mut record = cloudtrail(n * 61, &format!("svc-{}", n % 40), &format!("AKIAIOSFODNN7{:03}DDDD", n % 1000), source, name, request);
    record["responseElements"] = response;
    record
}

fn request(name: &'static str, source: &'static str, action: &'static str, build: fn(&str) -> Value) -> Place {
    closed(FORMAT, FILE, name, move |s, n| record(n, source, action, build(s), Value::Null).to_string())
}

fn response(name: &'static str, source: &'static str, action: &'static str, build: fn(&str) -> Value) -> Place {
    closed(FORMAT, FILE, name, move |s, n| record(n, source, action, json!({"name": "prod"}), build(s)).to_string())
}

/// A record whose user agent is a text.
pub fn agent(text: &str, n: u64) -> String {
    let mut record = record(n, "sts.amazonaws.com", "GetCallerIdentity", Value::Null, Value::Null);
    record["userAgent"] = json!(text);
    record.to_string()
}

/// Every place.
pub fn places() -> Vec<Place> {
    let mut all = requests();
    all.extend(responses());
    all.extend(texts());
    all
}

fn requests() -> Vec<Place> {
    let user_data = |text: String| json!({"instancesSet": {"items": [{"imageId": "ami-0abc"}]}, "instanceType": "t3.micro", "userData": text});
    let mut all = vec![
        request(
            "ECS task environment",
            "ecs.amazonaws.com",
            "RegisterTaskDefinition",
            |s| json!({"family": "web", "containerDefinitions": [{"name": "web", "image": "web:1", "environment": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "DB", "value": s}]}]}),
        ),
        request(
            "ECS task command",
            "ecs.amazonaws.com",
            "RegisterTaskDefinition",
            |s| json!({"family": "web", "containerDefinitions": [{"name": "web", "command": ["sh", "-c", format!("login '{s}' && start")], "entryPoint": [s]}]}),
        ),
        request(
            "ECS run-task override",
            "ecs.amazonaws.com",
            "RunTask",
            |s| json!({"taskDefinition": "web:3", "overrides": {"containerOverrides": [{"name": "web", "environment": [{"name": "X", "value": s}]}]}}),
        ),
        request(
            "ECS log driver option",
            "ecs.amazonaws.com",
            "RegisterTaskDefinition",
            |s| json!({"containerDefinitions": [{"name": "web", "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": s, "splunk-url": "https://splunk.example"}}}]}),
        ),
        request(
            "Lambda environment",
            "lambda.amazonaws.com",
            "UpdateFunctionConfiguration20150331v2",
            |s| json!({"functionName": "pay", "environment": {"variables": {"MODE": s}}}),
        ),
        request(
            "Lambda invocation payload",
            "lambda.amazonaws.com",
            "Invoke",
            |s| json!({"functionName": "pay", "payload": format!("{{\"card\":\"{}\"}}", s.escape_default())}),
        ),
        request("SSM parameter", "ssm.amazonaws.com", "PutParameter", |s| json!({"name": "/prod/db", "type": "SecureString", "value": s, "overwrite": true})),
        request(
            "SSM send-command",
            "ssm.amazonaws.com",
            "SendCommand",
            |s| json!({"documentName": "AWS-RunShellScript", "instanceIds": ["i-0abc"], "parameters": {"commands": [format!("echo '{s}' | docker login --password-stdin")]}}),
        ),
        request("Secrets Manager put", "secretsmanager.amazonaws.com", "PutSecretValue", |s| json!({"secretId": "prod/db", "secretString": s})),
        request(
            "Secrets Manager create, JSON",
            "secretsmanager.amazonaws.com",
            "CreateSecret",
            |s| json!({"name": "prod/db", "description": "database", "secretString": json!({"username": "app", "engine": s}).to_string()}),
        ),
        request(
            "Secrets Manager binary",
            "secretsmanager.amazonaws.com",
            "PutSecretValue",
            |s| json!({"secretId": "prod/db", "secretBinary": STANDARD.encode(s)}),
        ),
        request(
            "RDS master password",
            "rds.amazonaws.com",
            "CreateDBInstance",
            |s| json!({"dBInstanceIdentifier": "prod", "engine": "postgres", "masterUsername": "root", "masterUserPassword": s}),
        ),
        request("Redshift master password", "redshift.amazonaws.com", "ModifyCluster", |s| json!({"clusterIdentifier": "dw", "masterUserPassword": s})),
        request(
            "DMS endpoint",
            "dms.amazonaws.com",
            "CreateEndpoint",
            |s| json!({"endpointIdentifier": "src", "username": "dms", "password": s, "extraConnectionAttributes": format!("pwd={s};ssl=1")}),
        ),
        request(
            "Glue connection",
            "glue.amazonaws.com",
            "CreateConnection",
            |s| json!({"connectionInput": {"name": "jdbc", "connectionProperties": {"JDBC_CONNECTION_URL": "jdbc:postgresql://db/app", "USERNAME": "app", "PASSWORD": s}}}),
        ),
        request("Glue job argument", "glue.amazonaws.com", "StartJobRun", |s| json!({"jobName": "etl", "arguments": {"--source": s}})),
        request("IAM login profile", "iam.amazonaws.com", "CreateLoginProfile", |s| json!({"userName": "anna", "password": s, "passwordResetRequired": true})),
        request("IAM change password", "iam.amazonaws.com", "ChangePassword", |s| json!({"oldPassword": s, "newPassword": "HIDDEN_DUE_TO_SECURITY_REASONS"})),
        request("IAM server certificate", "iam.amazonaws.com", "UploadServerCertificate", |s| json!({"serverCertificateName": "web", "privateKey": s})),
        request("ACM import", "acm.amazonaws.com", "ImportCertificate", |s| json!({"certificate": "MIIC", "privateKey": {"hb": s, "offset": 0}})),
        request(
            "Cognito initiate auth",
            "cognito-idp.amazonaws.com",
            "InitiateAuth",
            |s| json!({"authFlow": "USER_PASSWORD_AUTH", "authParameters": {"USERNAME": "anna", "PASSWORD": s, "SECRET_HASH": "x"}, "clientId": "abc"}),
        ),
        request(
            "Cognito identity provider",
            "cognito-idp.amazonaws.com",
            "CreateIdentityProvider",
            |s| json!({"providerName": "Google", "providerDetails": {"client_id": "a", "client_secret": s, "authorize_scopes": "email"}}),
        ),
        request(
            "STS web identity",
            "sts.amazonaws.com",
            "AssumeRoleWithWebIdentity",
            |s| json!({"roleArn": "arn:aws:iam::111122223333:role/ci", "roleSessionName": "ci", "webIdentityToken": s}),
        ),
        request(
            "STS external id",
            "sts.amazonaws.com",
            "AssumeRole",
            |s| json!({"roleArn": "arn:aws:iam::111122223333:role/vendor", "roleSessionName": "vendor", "tokenCode": s}),
        ),
        request(
            "CodeBuild environment",
            "codebuild.amazonaws.com",
            "StartBuild",
            |s| json!({"projectName": "web", "environmentVariablesOverride": [{"name": "NPM", "value": s, "type": "PLAINTEXT"}]}),
        ),
        request(
            "CodeBuild buildspec",
            "codebuild.amazonaws.com",
            "UpdateProject",
            |s| json!({"name": "web", "source": {"type": "GITHUB", "buildspec": format!("version: 0.2\nphases:\n  build:\n    commands:\n      - deploy \"{s}\"\n")}}),
        ),
        request(
            "CodePipeline OAuth",
            "codepipeline.amazonaws.com",
            "UpdatePipeline",
            |s| json!({"pipeline": {"stages": [{"actions": [{"name": "Source", "configuration": {"Owner": "o", "Repo": "r", "OAuthToken": s}}]}]}}),
        ),
        request("Amplify access token", "amplify.amazonaws.com", "CreateApp", |s| json!({"name": "web", "accessToken": s, "environmentVariables": {"A": s}})),
        request(
            "Elastic Beanstalk option",
            "elasticbeanstalk.amazonaws.com",
            "UpdateEnvironment",
            |s| json!({"environmentName": "web", "optionSettings": [{"namespace": "aws:elasticbeanstalk:application:environment", "optionName": "RAILS", "value": s}]}),
        ),
        request(
            "CloudFormation parameter",
            "cloudformation.amazonaws.com",
            "CreateStack",
            |s| json!({"stackName": "web", "parameters": [{"parameterKey": "DbPass", "parameterValue": s}]}),
        ),
        request(
            "CloudFormation template body",
            "cloudformation.amazonaws.com",
            "CreateStack",
            |s| json!({"stackName": "web", "templateBody": json!({"Resources": {"Db": {"Type": "AWS::RDS::DBInstance", "Properties": {"MasterUserPassword": s}}}}).to_string()}),
        ),
        request(
            "CloudFront custom header",
            "cloudfront.amazonaws.com",
            "CreateDistribution",
            |s| json!({"distributionConfig": {"origins": {"items": [{"id": "o", "customHeaders": {"items": [{"headerName": "X-Origin-Verify", "headerValue": s}]}}]}}}),
        ),
        request("API Gateway key", "apigateway.amazonaws.com", "CreateApiKey", |s| json!({"createApiKeyInput": {"name": "partner", "value": s}})),
        request(
            "API Gateway stage variable",
            "apigateway.amazonaws.com",
            "UpdateStage",
            |s| json!({"restApiId": "a", "updateStageInput": {"patchOperations": [{"op": "replace", "path": "/variables/k", "value": s}]}}),
        ),
        request(
            "EventBridge connection",
            "events.amazonaws.com",
            "CreateConnection",
            |s| json!({"name": "hook", "authorizationType": "API_KEY", "authParameters": {"apiKeyAuthParameters": {"apiKeyName": "k", "apiKeyValue": s}}}),
        ),
        request(
            "EventBridge target input",
            "events.amazonaws.com",
            "PutTargets",
            |s| json!({"rule": "r", "targets": [{"id": "1", "arn": "arn:aws:lambda:eu-west-1:1:function:f", "input": s}]}),
        ),
        request(
            "Step Functions input",
            "states.amazonaws.com",
            "StartExecution",
            |s| json!({"stateMachineArn": "arn:aws:states:eu-west-1:1:stateMachine:m", "input": s}),
        ),
        request(
            "SNS subscription endpoint",
            "sns.amazonaws.com",
            "Subscribe",
            |s| json!({"topicArn": "arn:aws:sns:eu-west-1:1:t", "protocol": "https", "endpoint": format!("https://hook:{}@example.org/in", percent(s))}),
        ),
        request("SNS message", "sns.amazonaws.com", "Publish", |s| json!({"topicArn": "arn:aws:sns:eu-west-1:1:t", "message": s, "subject": "reset"})),
        request("SQS message", "sqs.amazonaws.com", "SendMessage", |s| json!({"queueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q", "messageBody": s})),
        request("SES SMTP", "ses.amazonaws.com", "SendEmail", |s| json!({"source": "a@example.org", "message": {"body": {"text": {"data": s}}}})),
        request("MQ broker user", "amazonmq.amazonaws.com", "CreateBroker", |s| json!({"brokerName": "mq", "users": [{"username": "app", "password": s}]})),
        request("ElastiCache auth token", "elasticache.amazonaws.com", "ModifyReplicationGroup", |s| json!({"replicationGroupId": "r", "authToken": s})),
        request(
            "OpenSearch master user",
            "es.amazonaws.com",
            "UpdateDomainConfig",
            |s| json!({"domainName": "logs", "advancedSecurityOptions": {"masterUserOptions": {"masterUserName": "admin", "masterUserPassword": s}}}),
        ),
        request("Directory Service password", "ds.amazonaws.com", "CreateDirectory", |s| json!({"name": "corp.example", "password": s})),
        request("Transfer user key", "transfer.amazonaws.com", "ImportHostKey", |s| json!({"serverId": "s-1", "hostKeyBody": s})),
        request(
            "EC2 VPN pre-shared key",
            "ec2.amazonaws.com",
            "CreateVpnConnection",
            |s| json!({"customerGatewayId": "cgw-1", "options": {"tunnelOptions": [{"preSharedKey": s, "tunnelInsideCidr": "169.254.1.0/30"}]}}),
        ),
        request(
            "tag value",
            "ec2.amazonaws.com",
            "CreateTags",
            |s| json!({"resourcesSet": {"items": [{"resourceId": "i-0abc"}]}, "tagSet": {"items": [{"key": "note", "value": s}]}}),
        ),
        request("S3 SSE-C key", "s3.amazonaws.com", "PutObject", |s| json!({"bucketName": "b", "key": "k", "x-amz-server-side-encryption-customer-key": s})),
        request(
            "Athena query",
            "athena.amazonaws.com",
            "StartQueryExecution",
            |s| json!({"queryString": format!("create external table t location 's3://b' with ('k'='{s}')"), "workGroup": "primary"}),
        ),
        request(
            "RDS data statement",
            "rdsdata.amazonaws.com",
            "ExecuteStatement",
            |s| json!({"sql": format!("alter user app with password '{s}'"), "database": "prod"}),
        ),
        request("Bedrock prompt", "bedrock.amazonaws.com", "InvokeModel", |s| json!({"modelId": "m", "body": json!({"prompt": s}).to_string()})),
        request(
            "SageMaker environment",
            "sagemaker.amazonaws.com",
            "CreateTrainingJob",
            |s| json!({"trainingJobName": "t", "environment": {"HF": s}, "hyperParameters": {"seed": s}}),
        ),
        request(
            "Batch job environment",
            "batch.amazonaws.com",
            "SubmitJob",
            |s| json!({"jobName": "j", "containerOverrides": {"environment": [{"name": "N", "value": s}], "command": [s]}}),
        ),
        request(
            "EMR step argument",
            "elasticmapreduce.amazonaws.com",
            "AddJobFlowSteps",
            |s| json!({"jobFlowId": "j-1", "steps": [{"name": "copy", "hadoopJarStep": {"jar": "command-runner.jar", "args": ["s3-dist-cp", "-Dfs.s3a.secret.key=", s]}}]}),
        ),
        request(
            "a number",
            "cognito-idp.amazonaws.com",
            "ConfirmSignUp",
            |s| json!({"clientId": "c", "confirmationCode": s.parse::<u64>().map_or_else(|_| json!(s), |n| json!(n))}),
        ),
        request("an unknown service", "newthing.amazonaws.com", "PutWidget", |s| json!({"widget": {"parts": [[{"deep": {"er": s}}]]}})),
        closed(FORMAT, FILE, "EC2 user data", move |s, n| {
            let script = format!("#!/bin/bash\nexport TOKEN='{s}'\ncurl -sf https://example.org/install.sh | sh\n");
            record(n, "ec2.amazonaws.com", "RunInstances", user_data(STANDARD.encode(script)), Value::Null).to_string()
        }),
        closed(FORMAT, FILE, "EC2 user data, gzip", move |s, n| {
            let script = format!("#cloud-config\nwrite_files:\n- path: /etc/app.env\n  content: |\n    {s}\n");
            record(n, "ec2.amazonaws.com", "RunInstances", user_data(STANDARD.encode(gzip(script.as_bytes()))), Value::Null).to_string()
        }),
        closed(FORMAT, FILE, "EC2 launch template", move |s, n| {
            let data = json!({"LaunchTemplateName": "web", "LaunchTemplateData": {"UserData": STANDARD.encode(format!("#!/bin/sh\nset {s}\n"))}});
            record(n, "ec2.amazonaws.com", "CreateLaunchTemplate", json!({"CreateLaunchTemplateRequest": data}), Value::Null).to_string()
        }),
        closed(FORMAT, FILE, "hex", |s, n| {
            let hex: String = s.bytes().map(|b| format!("{b:02x}")).collect();
            record(n, "newthing.amazonaws.com", "PutWidget", json!({"blob": hex}), Value::Null).to_string()
        }),
        closed(FORMAT, FILE, "escapes", |s, n| {
            let escaped: String = s.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
            record(n, "newthing.amazonaws.com", "PutWidget", json!({"blob": "PUT-HERE"}), Value::Null).to_string().replace("PUT-HERE", &escaped)
        }),
        closed(FORMAT, FILE, "percent-encoded", |s, n| {
            let encoded: String = s.bytes().map(|b| format!("%{b:02X}")).collect();
            record(n, "newthing.amazonaws.com", "PutWidget", json!({"blob": encoded}), Value::Null).to_string()
        }),
    ];
    all.push(Place { takes: Takes::Token, ..request("a key that is the secret", "newthing.amazonaws.com", "PutWidget", |s| json!({"allowed": {s: true}})) });
    all.push(closed(FORMAT, FILE, "additional event data", |s, n| {
        let mut record = record(n, "s3.amazonaws.com", "GetObject", json!({"bucketName": "b", "key": "k"}), Value::Null);
        record["additionalEventData"] = json!({"SignatureVersion": "SigV4", "x-custom": s});
        record.to_string()
    }));
    all.push(closed(FORMAT, FILE, "service event details", |s, n| {
        let mut record = record(n, "ecs.amazonaws.com", "StartTask", Value::Null, Value::Null);
        record["serviceEventDetails"] = json!({"detail": [s]});
        record.to_string()
    }));
    all
}

fn responses() -> Vec<Place> {
    vec![
        response(
            "IAM secret access key",
            "iam.amazonaws.com",
            "CreateAccessKey",
            |s| json!({"accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "svc", "status": "Active", "secretAccessKey": s}}),
        ),
        response(
            "STS session token",
            "sts.amazonaws.com",
            "AssumeRole",
            |s| json!({"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "sessionToken": s, "secretAccessKey": s, "expiration": "Mar 1, 2026 1:00:00 AM"}}),
        ),
        response(
            "service-specific credential",
            "iam.amazonaws.com",
            "CreateServiceSpecificCredential",
            |s| json!({"serviceSpecificCredential": {"serviceName": "codecommit", "servicePassword": s}}),
        ),
        response("Secrets Manager value", "secretsmanager.amazonaws.com", "GetSecretValue", |s| json!({"name": "prod/db", "secretString": s})),
        response("SSM parameter value", "ssm.amazonaws.com", "GetParameter", |s| json!({"parameter": {"name": "/prod/db", "value": s, "version": 3}})),
        response("KMS plaintext", "kms.amazonaws.com", "GenerateDataKey", |s| json!({"keyId": "k", "plaintext": STANDARD.encode(s)})),
        response(
            "ECR authorization",
            "ecr.amazonaws.com",
            "GetAuthorizationToken",
            |s| json!({"authorizationData": [{"authorizationToken": STANDARD.encode(format!("AWS:{s}")), "proxyEndpoint": "https://1.dkr.ecr.eu-west-1.amazonaws.com"}]}),
        ),
        response(
            "Cognito tokens",
            "cognito-idp.amazonaws.com",
            "InitiateAuth",
            |s| json!({"authenticationResult": {"tokenType": "Bearer", "refreshToken": s}}),
        ),
        response(
            "Cognito client secret",
            "cognito-idp.amazonaws.com",
            "CreateUserPoolClient",
            |s| json!({"userPoolClient": {"clientId": "c", "clientSecret": s}}),
        ),
        response("AppSync key", "appsync.amazonaws.com", "CreateApiKey", |s| json!({"apiKey": {"id": s, "expires": 1_800_000_000}})),
        response("EC2 key pair", "ec2.amazonaws.com", "CreateKeyPair", |s| json!({"keyName": "k", "keyFingerprint": "1f:51", "keyMaterial": s})),
        response("EC2 password data", "ec2.amazonaws.com", "GetPasswordData", |s| json!({"instanceId": "i-0abc", "passwordData": s})),
        response("console sign-in token", "signin.amazonaws.com", "GetSigninToken", |s| json!({"credentials": {"x": s}})),
        response(
            "Lambda configuration",
            "lambda.amazonaws.com",
            "CreateFunction20150331",
            |s| json!({"functionName": "pay", "environment": {"variables": {"K": s}}}),
        ),
        response(
            "ECS described task",
            "ecs.amazonaws.com",
            "RegisterTaskDefinition",
            |s| json!({"taskDefinition": {"containerDefinitions": [{"environment": [{"name": "DB", "value": s}], "healthCheck": {"command": ["CMD", s]}}]}}),
        ),
    ]
}

/// Texts that are kept: agents, messages, names of sessions.
fn texts() -> Vec<Place> {
    let set = |path: &'static [&'static str]| {
        move |s: &str, n: u64| {
            let mut record = record(n, "sts.amazonaws.com", "GetCallerIdentity", Value::Null, Value::Null);
            let mut at = &mut record;
            for key in path {
                at = &mut at[*key];
            }
            *at = json!(s);
            record["errorCode"] = json!("AccessDenied");
            record.to_string()
        }
    };
    let mut all = kept(FORMAT, FILE, "userAgent", set(&["userAgent"]));
    all.extend(kept(FORMAT, FILE, "errorMessage", set(&["errorMessage"])));
    all.extend(kept(FORMAT, FILE, "user name", set(&["userIdentity", "userName"])));
    all.extend(kept(FORMAT, FILE, "session name", |s: &str, n| {
        let mut record = record(n, "s3.amazonaws.com", "GetObject", json!({"bucketName": "b", "key": "k"}), Value::Null);
        record["userIdentity"] = json!({
            "type": "AssumedRole", "principalId": format!("AROAIOSFODNN7EXAMPLE:{s}"), "arn": format!("arn:aws:sts::111122223333:assumed-role/deploy/{s}"),
            "accountId": "111122223333", "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/deploy", "userName": "deploy"}, "attributes": {"creationDate": "2026-03-01T00:00:00Z"}}
        });
        record.to_string()
    }));
    all.extend(kept(FORMAT, FILE, "object key", |s: &str, n| {
        record(n, "s3.amazonaws.com", "GetObject", json!({"bucketName": "b", "key": s}), Value::Null).to_string()
    }));
    all
}
