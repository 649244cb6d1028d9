//! The services' own errors, by code and by status, so that an order need not spell them out.

/// Seconds that a client is told to wait after too many requests, unless the order says otherwise.
pub(super) const RETRY_AFTER_SECONDS: u32 = 5;

/// One error as the service answers it. An empty code means a page of the content delivery network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preset {
    pub status: u16,
    pub code: &'static str,
    pub kind: &'static str,
    pub description: &'static str,
    pub recovery: &'static str,
}

const fn preset(status: u16, code: &'static str, kind: &'static str, description: &'static str) -> Preset {
    Preset { status, code, kind, description, recovery: "" }
}

const fn page(status: u16, title: &'static str) -> Preset {
    preset(status, "", "", title)
}

/// For a status or a code that the table does not have.
pub(super) const OTHER: Preset =
    preset(0, "G0002", "General", "This error was ordered with a fault; the header X-Boatyard-Fault names it.");

#[rustfmt::skip]
static PRESETS: &[Preset] = &[
    // The container service.
    preset(401, "A0007", "Authentication", "You do not have the correct permissions to perform this action."),
    preset(401, "E0057", "Authentication", "Unable to connect to the IBM Cloud account. Ensure that you have a paid account."),
    preset(403, "A0008", "Authentication", "This action requires the Editor role for the cluster. Contact the account administrator to request the required access."),
    preset(403, "A0656", "Authentication", "You are not authorized to create an API key. The Operator platform role on the IAM Identity service is required."),
    preset(403, "E60b6", "Provisioning", "'Cluster' resource quota of '100' exceeded"),
    Preset {
        recovery: "To list the clusters you have access to, run 'ibmcloud ks cluster ls'.",
        ..preset(404, "G0004", "General", "The specified cluster could not be found. If applicable, make sure that you target the correct account and resource group.")
    },
    preset(409, "E0007", "Provisioning", "A cluster with the same name already exists. Choose another name."),
    preset(409, "E0d39", "Provisioning", "A worker pool with the same name already exists within the cluster. Choose another name."),
    preset(409, "E0120", "Versions", "The master is already up to date for the specified version."),
    preset(400, "E0011", "General", "The input parameters in the request body are either incomplete or in the wrong format."),
    preset(400, "Ef9cc", "BadRequest", "master must be in the deployed state to update"),
    Preset {
        recovery: "To see the flavors of a zone, run 'ibmcloud ks flavors --zone <zone>'.",
        ..preset(400, "E4e5b", "BadRequest", "Could not find flavor in the requested zone.")
    },
    preset(400, "A03e9b", "Authentication", "Failed to create an API key with IAM. Revise your request and try again."),
    preset(500, "G0002", "General", "An internal error occurred while processing your request."),
    preset(500, "A0002", "Authentication", "Could not connect to a backend service. Try again later."),
    // The token service.
    preset(401, "BXNIM0400E", "", "External authentication failed."),
    preset(400, "BXNIM0407E", "", "Provided token is invalid."),
    preset(400, "BXNIM0408E", "", "Provided refresh token is expired"),
    preset(400, "BXNIM0415E", "", "Provided API key could not be found."),
    preset(401, "BXNIM0430E", "", "User login from given IP address is not permitted."),
    preset(401, "BXNIM0436E", "", "The user is suspended in the requested account."),
    preset(400, "BXNIM0439E", "", "The session is invalidated due to inactivity."),
    preset(400, "BXNIM0462E", "", "Provided API key is disabled."),
    preset(401, "BXNIM0602E", "", "The credentials you entered for the user are incorrect"),
    // By status alone. The code of a rate limit is not known; the one of the service's general errors stands in for it.
    preset(429, "G0429", "General", "Too many requests. Try again later."),
    page(502, "502 Bad Gateway"),
    page(503, "503 Service Unavailable"),
    page(504, "504 Gateway Time-out"),
];

/// The service's error of that code; the case of letters does not matter.
pub(super) fn of_code(code: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.code.eq_ignore_ascii_case(code))
}

/// What the service answers with that status when nothing is said of the code.
pub(super) fn of_status(status: u16) -> Option<&'static Preset> {
    let pages = PRESETS.iter().find(|preset| preset.status == status && preset.code.is_empty());
    pages.or_else(|| PRESETS.iter().find(|preset| preset.status == status))
}

/// All codes that are known.
pub(super) fn codes() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.code).filter(|code| !code.is_empty()).collect()
}
