//! What the identity service refuses. The texts are the service's own where they are known.

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Property missing or empty.")]
    Missing { property: &'static str },
    #[error("Property value is not valid.")]
    Invalid { property: &'static str, value: String, valid: String },
    #[error("Property is given more than once.")]
    Repeated { property: String },
    #[error("The grant type is not served yet.")]
    GrantUnbuilt { grant: String },
    #[error("The request names two accounts.")]
    TwoAccounts,
    #[error("No authorization header found")]
    ClientRequired,
    #[error("Provided client could not be found or its secret is wrong.")]
    ClientUnknown,
    #[error("The Authorization header is malformed.")]
    ClientMalformed,
    #[error("Provided API key could not be found.")]
    ApiKeyNotFound,
    #[error("Provided API key is disabled.")]
    ApiKeyDisabled,
    #[error("Provided API key is expired.")]
    ApiKeyExpired,
    #[error("Provided API key belongs to another account.")]
    ApiKeyOfOtherAccount,
    #[error("The credentials you entered for the user '{username}' are incorrect")]
    WrongPassword { username: String },
    #[error("The user ID '{username}' is federated.")]
    Federated { username: String },
    #[error("Too many attempts to log in.")]
    TooManyAttempts,
    #[error("Provided passcode is invalid.")]
    WrongPasscode,
    #[error("Provided refresh token is invalid.")]
    RefreshTokenInvalid,
    #[error("Provided refresh token is expired")]
    RefreshTokenExpired,
    #[error("Provided refresh token was used before.")]
    RefreshTokenReused,
    #[error("Session {session} is invalidated.")]
    SessionEnded { session: String },
    #[error("Provided refresh token was issued to another client.")]
    RefreshTokenOfOtherClient,
    #[error("The user is not a member of the requested account.")]
    NotAMember { account: String },
    #[error("Provided access token is malformed.")]
    TokenMalformed,
    #[error("Provided access token was not issued here.")]
    TokenForeign,
    #[error("Provided access token is expired.")]
    TokenExpired,
    #[error("The access token is not scoped to an account.")]
    Unscoped,
    #[error("You are not authorized to use this API.")]
    Forbidden { action: String },
    #[error("The trusted profile does not exist, or cannot be assumed with this token.")]
    ProfileNotTrusted,
    #[error("A trusted profile that was assumed has no refresh tokens.")]
    AssumedLasts,
    #[error("The account could not be found.")]
    AccountNotFound,
    /// The text says which member and why.
    #[error("{0}")]
    NotAcceptable(String),
    #[error("a stored signing key cannot be used: {0}")]
    Key(String),
    #[error("work was cut short: {0}")]
    Interrupted(String),
    #[error(transparent)]
    Store(#[from] boatyard_store::Error),
}
