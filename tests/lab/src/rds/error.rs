//! Errors as the service sends them.

use super::xml::Xml;

/// An error answer: the wire code (which for some shapes lacks the suffix `Fault`), the HTTP
/// status, the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn cluster_not_found(name: &str) -> Self {
        let message = format!("DBCluster {name} not found.");
        Self::new(404, "DBClusterNotFoundFault", message)
    }

    pub(super) fn instance_not_found(name: &str) -> Self {
        let message = format!("DBInstance {name} not found.");
        Self::new(404, "DBInstanceNotFound", message)
    }

    pub(super) fn cluster_state(message: String) -> Self {
        Self::new(400, "InvalidDBClusterStateFault", message)
    }

    pub(super) fn instance_state(message: String) -> Self {
        Self::new(400, "InvalidDBInstanceState", message)
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        let message = format!("The request must contain the parameter {name}");
        Self::new(400, "MissingParameter", message)
    }

    pub(super) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValue", message)
    }

    pub(super) fn combination(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterCombination", message)
    }

    pub(super) fn invalid_action(action: &str, version: &str) -> Self {
        let message = format!("Could not find operation {action} for version {version}");
        Self::new(400, "InvalidAction", message)
    }

    pub(super) fn internal() -> Self {
        let message = "An internal error has occurred. Please try your query again at a later time.";
        Self::new(500, "InternalFailure", message)
    }

    pub(super) fn to_xml(&self, request_id: &str) -> String {
        let fault = if self.status < 500 { "Sender" } else { "Receiver" };
        let mut xml = Xml::new();
        xml.root("ErrorResponse", |response| {
            response.group("Error", |error| {
                error.text("Type", fault);
                error.text("Code", self.code);
                error.text("Message", &self.message);
            });
            response.text("RequestId", request_id);
        });
        xml.into_string()
    }
}
