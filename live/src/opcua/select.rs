//! Which fields of which events are asked for: the audit events of OPC 10000-5, 6.4 and what its subtypes add, each field by the type that declares it.

use opcua_types::{
    AttributeId, ContentFilter, ContentFilterElement, EventFilter, ExtensionObject, FilterOperator, MonitoredItemCreateRequest, MonitoringMode,
    MonitoringParameters, NodeId, NumericRange, ObjectId, ObjectTypeId, Operand, QualifiedName, ReadValueId, SimpleAttributeOperand,
};

use super::Options;

/// How a field is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// Kind and length alone.
    Shape,
    /// Kind and length of each item.
    Shapes,
    /// Facts of the certificate.
    Certificate,
    /// Who, and by what; never what proves it.
    Token,
}

/// A field: the type that declares it, its name, and how it is told.
pub struct Field {
    pub of: ObjectTypeId,
    pub name: &'static str,
    pub form: Form,
}

macro_rules! fields {
    ($($of:ident: $($name:ident $($form:ident)?),+;)+) => {
        /// The fields, in the order in which a server delivers them.
        pub static FIELDS: &[Field] = &[$($(Field { of: ObjectTypeId::$of, name: stringify!($name), form: fields!(@ $($form)?) },)+)+];
    };
    (@ $form:ident) => { Form::$form };
    (@) => { Form::Plain };
}

fields! {
    BaseEventType: EventId, EventType, SourceNode, SourceName, Time, ReceiveTime, Message, Severity;
    AuditEventType: ActionTimeStamp, Status, ServerId, ClientAuditEntryId, ClientUserId;
    AuditSecurityEventType: StatusCodeId;
    AuditChannelEventType: SecureChannelId;
    AuditOpenSecureChannelEventType: ClientCertificate Certificate, ClientCertificateThumbprint, RequestType, SecurityPolicyUri, SecurityMode, RequestedLifetime, CertificateErrorEventId;
    AuditSessionEventType: SessionId;
    AuditCreateSessionEventType: SecureChannelId, ClientCertificate Certificate, ClientCertificateThumbprint, RevisedSessionTimeout;
    AuditUrlMismatchEventType: EndpointUrl;
    AuditActivateSessionEventType: UserIdentityToken Token, SecureChannelId, CurrentRoleIds;
    AuditCancelEventType: RequestHandle;
    AuditCertificateEventType: Certificate Certificate;
    AuditCertificateDataMismatchEventType: InvalidHostname, InvalidUri;
    AuditAddNodesEventType: NodesToAdd Shapes;
    AuditDeleteNodesEventType: NodesToDelete Shapes;
    AuditAddReferencesEventType: ReferencesToAdd Shapes;
    AuditDeleteReferencesEventType: ReferencesToDelete Shapes;
    AuditWriteUpdateEventType: AttributeId, IndexRange, OldValue Shape, NewValue Shape;
    AuditHistoryUpdateEventType: ParameterDataTypeId;
    AuditUpdateMethodEventType: MethodId, StatusCodeId, InputArguments Shapes, OutputArguments Shapes;
    AuditUpdateStateEventType: OldStateId Shape, NewStateId Shape;
}

/// What the server is asked to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Events of the known audit types, each named: some servers take "of type" for "of exactly this type", and say nothing.
    Named,
    /// Events of the audit type, and so of all its subtypes.
    OfType,
    /// Everything: what is no audit event is left out here.
    Nothing,
}

/// From the most exact to what every server can.
pub const CHOICES: [Choice; 3] = [Choice::Named, Choice::OfType, Choice::Nothing];

/// The monitored item: events of the Server object.
pub fn item(options: &Options, choice: Choice) -> MonitoredItemCreateRequest {
    let where_clause = match choice {
        Choice::Named => any_of(TYPES),
        Choice::OfType => any_of(&[ObjectTypeId::AuditEventType]),
        Choice::Nothing => ContentFilter::default(),
    };
    let filter = EventFilter { select_clauses: Some(FIELDS.iter().map(clause).collect()), where_clause };
    MonitoredItemCreateRequest {
        item_to_monitor: ReadValueId {
            node_id: NodeId::from(ObjectId::Server),
            attribute_id: AttributeId::EventNotifier as u32,
            index_range: NumericRange::None,
            data_encoding: QualifiedName::null(),
        },
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            client_handle: 0,
            sampling_interval: 0.0,
            filter: ExtensionObject::from_message(filter),
            queue_size: options.queue_events,
            // What is left out by a full queue is the oldest, and the server says so by an event.
            discard_oldest: true,
        },
    }
}

fn clause(field: &Field) -> SimpleAttributeOperand {
    SimpleAttributeOperand {
        type_definition_id: NodeId::from(field.of),
        browse_path: Some(vec![QualifiedName::from(field.name)]),
        attribute_id: AttributeId::Value as u32,
        index_range: NumericRange::None,
    }
}

/// The audit types of the specification (OPC 10000-5, 10000-9, 10000-11, 10000-12), and the word that a queue overflowed.
const TYPES: &[ObjectTypeId] = &[
    ObjectTypeId::AuditEventType,
    ObjectTypeId::EventQueueOverflowEventType,
    ObjectTypeId::AuditSecurityEventType,
    ObjectTypeId::AuditChannelEventType,
    ObjectTypeId::AuditOpenSecureChannelEventType,
    ObjectTypeId::AuditSessionEventType,
    ObjectTypeId::AuditCreateSessionEventType,
    ObjectTypeId::AuditUrlMismatchEventType,
    ObjectTypeId::AuditActivateSessionEventType,
    ObjectTypeId::AuditCancelEventType,
    ObjectTypeId::AuditCertificateEventType,
    ObjectTypeId::AuditCertificateDataMismatchEventType,
    ObjectTypeId::AuditCertificateExpiredEventType,
    ObjectTypeId::AuditCertificateInvalidEventType,
    ObjectTypeId::AuditCertificateUntrustedEventType,
    ObjectTypeId::AuditCertificateRevokedEventType,
    ObjectTypeId::AuditCertificateMismatchEventType,
    ObjectTypeId::AuditNodeManagementEventType,
    ObjectTypeId::AuditAddNodesEventType,
    ObjectTypeId::AuditDeleteNodesEventType,
    ObjectTypeId::AuditAddReferencesEventType,
    ObjectTypeId::AuditDeleteReferencesEventType,
    ObjectTypeId::AuditUpdateEventType,
    ObjectTypeId::AuditWriteUpdateEventType,
    ObjectTypeId::AuditHistoryUpdateEventType,
    ObjectTypeId::AuditHistoryEventUpdateEventType,
    ObjectTypeId::AuditHistoryValueUpdateEventType,
    ObjectTypeId::AuditHistoryDeleteEventType,
    ObjectTypeId::AuditHistoryRawModifyDeleteEventType,
    ObjectTypeId::AuditUpdateMethodEventType,
    ObjectTypeId::AuditUpdateStateEventType,
    ObjectTypeId::AuditProgramTransitionEventType,
    ObjectTypeId::ProgramTransitionAuditEventType,
    ObjectTypeId::AuditConditionEventType,
    ObjectTypeId::AuditConditionEnableEventType,
    ObjectTypeId::AuditConditionCommentEventType,
    ObjectTypeId::AuditConditionAcknowledgeEventType,
    ObjectTypeId::AuditConditionConfirmEventType,
    ObjectTypeId::AuditConditionShelvingEventType,
    ObjectTypeId::TrustListUpdatedAuditEventType,
    ObjectTypeId::CertificateUpdatedAuditEventType,
    ObjectTypeId::RoleMappingRuleChangedAuditEventType,
    ObjectTypeId::KeyCredentialAuditEventType,
];

/// Events of any of these types: a chain of `Or`, each element pointing at the two behind it.
fn any_of(types: &[ObjectTypeId]) -> ContentFilter {
    let element = |operator, operands: Vec<Operand>| ContentFilterElement {
        filter_operator: operator,
        filter_operands: Some(operands.iter().map(ExtensionObject::from).collect()),
    };
    let mut elements = Vec::with_capacity(2 * types.len());
    for (left, of) in (1..=types.len()).rev().zip(types) {
        if left > 1 {
            let next = u32::try_from(elements.len()).unwrap_or(u32::MAX);
            elements.push(element(FilterOperator::Or, vec![Operand::element(next + 1), Operand::element(next + 2)]));
        }
        elements.push(element(FilterOperator::OfType, vec![Operand::literal(NodeId::from(*of))]));
    }
    ContentFilter { elements: Some(elements) }
}

#[cfg(test)]
mod tests {
    use opcua_types::ElementOperand;

    use super::*;

    #[test]
    fn the_chain_names_every_type_once_and_points_forward() {
        let elements = any_of(TYPES).elements.unwrap();
        assert_eq!(elements.len(), 2 * TYPES.len() - 1);
        let of_type = elements.iter().filter(|element| element.filter_operator == FilterOperator::OfType).count();
        assert_eq!(of_type, TYPES.len());
        for (place, element) in elements.iter().enumerate() {
            for operand in element.filter_operands.iter().flatten() {
                if let Some(points) = operand.inner_as::<ElementOperand>() {
                    let at = usize::try_from(points.index).unwrap();
                    assert!(at > place && at < elements.len(), "{place} points at {at} of {}", elements.len());
                }
            }
        }
        assert_eq!(any_of(&TYPES[..1]).elements.unwrap().len(), 1);
    }
}
