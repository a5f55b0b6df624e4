//! Names by which a person tells an account that software uses. A convention and no proof: it is asked only where nothing else says who acts, and the inventory overrules it.

/// Whether a name, in lower case, is that of such an account.
pub(crate) fn is_service(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "ansible",
        "apache",
        "backup",
        "borg",
        "builder",
        "buildkite",
        "ci",
        "deploy",
        "deployer",
        "docker",
        "gerrit",
        "git",
        "gitea",
        "gitlab-runner",
        "hadoop",
        "jenkins",
        "kafka",
        "mysql",
        "nagios",
        "nginx",
        "postgres",
        "prometheus",
        "puppet",
        "rsync",
        "rundeck",
        "salt",
        "sftp",
        "svn",
        "terraform",
        "tomcat",
        "vagrant",
        "www-data",
        "zabbix",
    ];
    NAMES.binary_search(&name).is_ok()
        || ["svc-", "svc_", "svc.", "sa-", "sa_", "bot-", "gmsa_", "gmsa-"].iter().any(|prefix| name.starts_with(prefix))
        || ["-svc", "_svc", "-bot", "_bot", "-runner", "-agent", "-service", "_service"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_conventions() {
        for name in ["deploy", "www-data", "svc-report", "sql_svc", "ci"] {
            assert!(is_service(name), "{name}");
        }
        for name in ["ada", "root", "administrator", "cicero", "service", ""] {
            assert!(!is_service(name), "{name}");
        }
    }
}
