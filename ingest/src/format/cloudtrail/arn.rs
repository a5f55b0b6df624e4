//! Amazon Resource Names: `arn:partition:service:region:account:resource` (AWS IAM User Guide, "Amazon Resource Names").

/// The parts of an ARN that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    pub(super) service: &'a str,
    pub(super) account: &'a str,
    pub(super) resource: &'a str,
}

impl<'a> Arn<'a> {
    /// `None` when `text` is no ARN with a resource.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let (_partition, service, _region, account, resource) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (!service.is_empty() && !resource.is_empty()).then_some(Self { service, account, resource })
    }

    /// The resource's type and what follows it, by the first `/` or `:`; an empty type when it has none.
    pub(super) fn typed(self) -> (&'a str, &'a str) {
        self.resource.split_once(['/', ':']).unwrap_or(("", self.resource))
    }
}

/// The last segment of a path; IAM names are unique in their account without the path before them.
pub(super) fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
