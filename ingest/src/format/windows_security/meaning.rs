//! Which events are read, and by what.

use super::record::Record;
use super::scene::Scene;
use super::{account, logon, object};
use crate::format::Reject;

/// What an event means.
pub(super) struct Meaning {
    id: i64,
    pub(super) action: &'static str,
    pub(super) read: fn(&Record<'_>, &mut Scene<'_, '_>) -> Result<(), Reject>,
}

/// The meaning of an event id; `None` for one that names no identity or repeats another.
pub(super) fn of(id: i64) -> Option<&'static Meaning> {
    MEANINGS.binary_search_by_key(&id, |meaning| meaning.id).ok().and_then(|at| MEANINGS.get(at))
}

macro_rules! meanings {
    ($($id:literal $action:literal $read:path;)+) => {
        static MEANINGS: &[Meaning] = &[$(Meaning { id: $id, action: $action, read: $read },)+];
    };
}

meanings! {
    1102 "log.clear" object::configured;
    4624 "logon" logon::succeeded;
    4625 "logon" logon::failed;
    4634 "logoff" logon::ended;
    4647 "logoff" logon::ended;
    4648 "logon.explicit_credentials" logon::explicit;
    4656 "object.open" object::refused;
    4661 "directory.open" object::accessed;
    4662 "directory.access" object::directory;
    4663 "object.access" object::accessed;
    4670 "object.permissions" object::configured;
    4672 "logon.special_privileges" logon::special;
    4673 "privilege.use" object::privileged;
    4674 "privilege.operation" object::privileged;
    4697 "service.install" object::configured;
    4698 "task.create" object::configured;
    4699 "task.delete" object::configured;
    4700 "task.enable" object::configured;
    4701 "task.disable" object::configured;
    4702 "task.update" object::configured;
    4704 "right.grant" object::granted;
    4705 "right.remove" object::configured;
    4706 "trust.create" object::configured;
    4707 "trust.remove" object::configured;
    4713 "kerberos_policy.change" object::configured;
    4715 "audit_policy.permissions" object::configured;
    4716 "trust.change" object::configured;
    4717 "access.grant" object::granted;
    4718 "access.remove" object::configured;
    4719 "audit_policy.change" object::configured;
    4720 "account.create" account::created;
    4722 "account.enable" account::changed;
    4723 "password.change" account::password;
    4724 "password.reset" account::password;
    4725 "account.disable" account::ended;
    4726 "account.delete" account::ended;
    4727 "group.create" account::group;
    4728 "group.add" account::member;
    4729 "group.remove" account::group;
    4730 "group.delete" account::group;
    4731 "group.create" account::group;
    4732 "group.add" account::member;
    4733 "group.remove" account::group;
    4734 "group.delete" account::group;
    4735 "group.change" account::group;
    4737 "group.change" account::group;
    4738 "account.change" account::changed;
    4739 "domain_policy.change" object::configured;
    4740 "account.lock" account::changed;
    4741 "computer.create" account::created;
    4742 "computer.change" account::changed;
    4743 "computer.delete" account::ended;
    4744 "group.create" account::group;
    4745 "group.change" account::group;
    4746 "group.add" account::member;
    4747 "group.remove" account::group;
    4748 "group.delete" account::group;
    4749 "group.create" account::group;
    4750 "group.change" account::group;
    4751 "group.add" account::member;
    4752 "group.remove" account::group;
    4753 "group.delete" account::group;
    4754 "group.create" account::group;
    4755 "group.change" account::group;
    4756 "group.add" account::member;
    4757 "group.remove" account::group;
    4758 "group.delete" account::group;
    4759 "group.create" account::group;
    4760 "group.change" account::group;
    4761 "group.add" account::member;
    4762 "group.remove" account::group;
    4763 "group.delete" account::group;
    4764 "group.change" account::group;
    4767 "account.unlock" account::changed;
    4768 "kerberos.AS" logon::ticket;
    4769 "kerberos.TGS" logon::service_ticket;
    4770 "kerberos.renew" logon::renewed;
    4771 "kerberos.AS" logon::ticket;
    4772 "kerberos.AS" logon::ticket;
    4776 "ntlm.authenticate" logon::ntlm;
    4777 "ntlm.authenticate" logon::ntlm;
    4778 "session.reconnect" logon::session;
    4779 "session.disconnect" logon::session;
    4780 "account.permissions" account::changed;
    4781 "account.rename" account::changed;
    4797 "account.query_password" account::queried;
    4798 "account.enumerate_groups" account::queried;
    4799 "group.enumerate" account::queried;
    4817 "audit_policy.change" object::configured;
    4904 "audit_source.add" object::configured;
    4905 "audit_source.remove" object::configured;
    4907 "audit_policy.change" object::configured;
    4964 "logon.special_groups" logon::special;
    5136 "directory.modify" object::directory;
    5137 "directory.create" object::directory;
    5139 "directory.move" object::directory;
    5140 "share.open" object::share;
    5141 "directory.delete" object::directory;
    5145 "share.access" object::share;
    5376 "credentials.backup" object::privileged;
    5377 "credentials.restore" object::privileged;
    5381 "vault.list" object::vault;
    5382 "vault.read" object::vault;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        assert!(MEANINGS.is_sorted_by_key(|meaning| meaning.id) && MEANINGS.windows(2).all(|pair| pair[0].id != pair[1].id));
        assert!(of(4624).is_some() && of(5156).is_none());
    }
}
