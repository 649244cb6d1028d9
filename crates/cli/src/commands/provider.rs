//! Options of `boatyard serve` for logins through an identity provider.

use std::fs;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::failure::Failure;
use crate::server::{Naming, OidcConfig};

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Logins through an OpenID Connect provider")]
pub struct ProviderArgs {
    /// The provider, by the URL below which its discovery document stands
    #[arg(long, env = "BOATYARD_OIDC_ISSUER", value_name = "URL", requires = "oidc_client_id")]
    oidc_issuer: Option<String>,
    /// This server's name at the provider, where its redirect URI must be <public URL>/identity/callback
    #[arg(long, env = "BOATYARD_OIDC_CLIENT_ID", value_name = "ID", requires = "oidc_issuer")]
    oidc_client_id: Option<String>,
    /// File with the secret that goes with the client ID; without it this server is a public client
    #[arg(long, env = "BOATYARD_OIDC_CLIENT_SECRET_FILE", value_name = "FILE", requires = "oidc_issuer")]
    oidc_client_secret_file: Option<PathBuf>,
    /// Certificates to trust for the provider besides those that this system trusts
    #[arg(long, env = "BOATYARD_OIDC_CA_FILE", value_name = "FILE", requires = "oidc_issuer")]
    oidc_ca_file: Option<PathBuf>,
    /// What to ask for besides `openid`, with blanks or commas between
    #[arg(long, env = "BOATYARD_OIDC_SCOPES", value_name = "SCOPES", default_value = "email profile")]
    oidc_scopes: String,
    /// Claim that is the user name [default: email, or else preferred_username]
    #[arg(long, env = "BOATYARD_OIDC_USERNAME_CLAIM", value_name = "CLAIM", requires = "oidc_issuer")]
    oidc_username_claim: Option<String>,
    /// Believe e-mail addresses that the provider has not verified
    #[arg(long, env = "BOATYARD_OIDC_ALLOW_UNVERIFIED_EMAIL", requires = "oidc_issuer")]
    oidc_allow_unverified_email: bool,
}

impl ProviderArgs {
    /// The provider, if one is named.
    ///
    /// # Errors
    /// If the secret cannot be read.
    pub fn read(self) -> Result<Option<OidcConfig>, Failure> {
        let (Some(issuer), Some(client_id)) = (self.oidc_issuer, self.oidc_client_id) else { return Ok(None) };
        let client_secret = self.oidc_client_secret_file.map(|path| {
            let text = fs::read_to_string(&path).map_err(|e| Failure::file("read the client secret in", &path, &e))?;
            match text.trim() {
                "" => {
                    let what = format!("There is no client secret in {}.", path.display());
                    Err(Failure::new(what, "Put the secret, and nothing else, in the file."))
                }
                secret => Ok(SecretString::from(secret)),
            }
        });
        Ok(Some(OidcConfig {
            issuer,
            client_id,
            client_secret: client_secret.transpose()?,
            ca_file: self.oidc_ca_file,
            scopes: self.oidc_scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            naming: Naming { claim: self.oidc_username_claim, unverified_email: self.oidc_allow_unverified_email },
        }))
    }
}
