//! Reading a token request: which client, which grant, which answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boatyard_core::secret::{ExposeSecret as _, SecretString, same};

use crate::{DELEGATED_TOKEN_SECONDS, Error, REFRESH_TOKEN_SECONDS, Result};

pub(crate) const APIKEY: &str = "urn:ibm:params:oauth:grant-type:apikey";
pub(crate) const PASSCODE: &str = "urn:ibm:params:oauth:grant-type:passcode";
const DELEGATED: &str = "urn:ibm:params:oauth:grant-type:delegated-refresh-token";
const ASSUME: &str = "urn:ibm:params:oauth:grant-type:assume";

/// Grant types that are served.
pub(crate) const GRANT_TYPES: &[&str] = &["password", "refresh_token", APIKEY, PASSCODE, DELEGATED, ASSUME];

/// Grant types of the service that are not served yet.
const UNBUILT: [&str; 3] =
    ["authorization_code", "urn:ibm:params:oauth:grant-type:cr-token", "urn:ibm:params:oauth:grant-type:iam-authz"];

const RESPONSE_TYPES: &str = "cloud_iam, uaa, delegated_refresh_token, ims_portal";

/// The program that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// No client was named: SDKs, plain curl. It gets no refresh tokens.
    Default,
    /// `bx:bx`: command lines, Terraform.
    Bx,
    /// `kube:kube`: kubectl.
    Kube,
    /// `cf:` with an empty secret.
    Cf,
}

impl Client {
    /// Value of the claim `client_id`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Client::Default => "default",
            Client::Bx => "bx",
            Client::Kube => "kube",
            Client::Cf => "cf",
        }
    }

    fn check(id: &str, secret: &str) -> Result<Self> {
        let (client, expected) = match id {
            "bx" => (Client::Bx, "bx"),
            "kube" => (Client::Kube, "kube"),
            "cf" => (Client::Cf, ""),
            _ => return Err(Error::ClientUnknown),
        };
        if same(secret, expected) { Ok(client) } else { Err(Error::ClientUnknown) }
    }

    /// The client of an `Authorization` header, or else of the form.
    ///
    /// # Errors
    /// If the header is not `Basic` with a colon inside, or the client or its secret is not known.
    pub fn of(authorization: Option<&str>, form: &Form) -> Result<Self> {
        let Some(header) = authorization.map(str::trim).filter(|h| !h.is_empty()) else {
            return match form.get("client_id")? {
                None => Ok(Client::Default),
                Some(id) => Self::check(id, form.get("client_secret")?.unwrap_or_default()),
            };
        };
        let (scheme, encoded) = header.split_once(char::is_whitespace).ok_or(Error::ClientMalformed)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Error::ClientMalformed);
        }
        let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or(Error::ClientMalformed)?;
        let (id, secret) = decoded.split_once(':').ok_or(Error::ClientMalformed)?;
        Self::check(id, secret)
    }
}

/// A credential and how it is presented.
#[derive(Debug)]
pub enum Grant {
    Password { username: String, password: SecretString },
    ApiKey { apikey: SecretString },
    Passcode { passcode: SecretString },
    RefreshToken { token: SecretString },
    DelegatedRefreshToken { token: SecretString },
    Assume(Assumption),
}

/// Who becomes which trusted profile. There is one token.
#[derive(Debug)]
pub struct Assumption {
    pub access_token: Option<SecretString>,
    pub refresh_token: Option<SecretString>,
    pub profile: ProfileName,
}

/// How a request names a trusted profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileName {
    Id(String),
    Crn(String),
    /// With the account in which it has that name.
    Name(String),
}

impl Assumption {
    /// Clients that know more than one name of a profile send them all.
    fn parse(form: &Form) -> Result<Self> {
        let given = |property| Ok::<_, Error>(form.get(property)?.map(str::to_owned));
        let id = given("profile_id")?.map(ProfileName::Id);
        let crn = given("profile_crn")?.map(ProfileName::Crn);
        let name = given("profile_name")?.map(ProfileName::Name);
        let profile = id.or(crn).or(name).ok_or(Error::Missing { property: "profile_id" })?;
        let access_token = given("access_token")?.map(SecretString::from);
        let refresh_token = match access_token {
            Some(_) => None,
            None => given("refresh_token")?.map(SecretString::from),
        };
        if access_token.is_none() && refresh_token.is_none() {
            return Err(Error::Missing { property: "access_token" });
        }
        Ok(Self { access_token, refresh_token, profile })
    }
}

impl Grant {
    /// The grant type's full name, as tokens repeat it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Grant::Password { .. } => "password",
            Grant::ApiKey { .. } => APIKEY,
            Grant::Passcode { .. } => PASSCODE,
            Grant::RefreshToken { .. } => "refresh_token",
            Grant::DelegatedRefreshToken { .. } => DELEGATED,
            Grant::Assume(_) => ASSUME,
        }
    }
}

/// What the answer should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseTypes {
    pub cloud_iam: bool,
    pub uaa: bool,
    pub delegated_refresh_token: bool,
    pub ims_portal: bool,
}

impl ResponseTypes {
    /// From words separated by blanks or commas; none means `cloud_iam`.
    fn parse(text: &str) -> Result<Self> {
        let mut types = Self { cloud_iam: false, uaa: false, delegated_refresh_token: false, ims_portal: false };
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            match word {
                "cloud_iam" => types.cloud_iam = true,
                "uaa" => types.uaa = true,
                "delegated_refresh_token" => types.delegated_refresh_token = true,
                "ims_portal" => types.ims_portal = true,
                _ => {
                    let (value, valid) = (word.to_owned(), RESPONSE_TYPES.to_owned());
                    return Err(Error::Invalid { property: "response_type", value, valid });
                }
            }
        }
        // Everything but a delegated token alone comes with the base fields.
        types.cloud_iam |= types.uaa || types.ims_portal || !types.delegated_refresh_token;
        Ok(types)
    }
}

/// The fields of a form, each at most once.
#[derive(Debug)]
pub struct Form(Vec<(String, SecretString)>);

impl Form {
    #[must_use]
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect())
    }

    /// The value of a field; an empty one counts as absent.
    ///
    /// # Errors
    /// If the field stands there twice with different values.
    pub fn get(&self, name: &'static str) -> Result<Option<&str>> {
        let mut found: Option<&str> = None;
        for (_, value) in self.0.iter().filter(|(n, _)| n == name) {
            let value = value.expose_secret();
            if found.is_some_and(|before| before != value) {
                return Err(Error::Repeated { property: name.to_owned() });
            }
            found = Some(value);
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    fn required(&self, property: &'static str) -> Result<&str> {
        self.get(property)?.ok_or(Error::Missing { property })
    }

    fn secret(&self, property: &'static str) -> Result<SecretString> {
        Ok(SecretString::from(self.required(property)?.to_owned()))
    }
}

/// A token request, understood but not checked against any credential.
#[derive(Debug)]
pub struct TokenRequest {
    pub client: Client,
    pub grant: Grant,
    pub account: Option<String>,
    pub response: ResponseTypes,
    /// Clients that a delegated refresh token is for.
    pub receivers: String,
    /// Seconds for which a delegated refresh token is to be good.
    pub delegated_seconds: i64,
}

impl TokenRequest {
    /// Reads a request from its `Authorization` header, its form and the query parameter `account`.
    ///
    /// # Errors
    /// The first thing that is missing or wrong.
    pub fn parse(authorization: Option<&str>, form: &Form, query_account: Option<&str>) -> Result<Self> {
        let client = Client::of(authorization, form)?;
        let grant = match form.required("grant_type")? {
            "password" if client == Client::Default => return Err(Error::ClientRequired),
            "password" => {
                Grant::Password { username: form.required("username")?.to_owned(), password: form.secret("password")? }
            }
            APIKEY => Grant::ApiKey { apikey: form.secret("apikey")? },
            PASSCODE => Grant::Passcode { passcode: form.secret("passcode")? },
            // Only a client can have got one.
            "refresh_token" | DELEGATED if client == Client::Default => return Err(Error::ClientRequired),
            "refresh_token" => Grant::RefreshToken { token: form.secret("refresh_token")? },
            DELEGATED => Grant::DelegatedRefreshToken { token: form.secret("refresh_token")? },
            ASSUME => Grant::Assume(Assumption::parse(form)?),
            grant if UNBUILT.contains(&grant) => return Err(Error::GrantUnbuilt { grant: grant.to_owned() }),
            other => {
                let (value, valid) = (other.to_owned(), GRANT_TYPES.join(", "));
                return Err(Error::Invalid { property: "grant_type", value, valid });
            }
        };
        Ok(Self {
            client,
            grant,
            account: account(form, query_account)?,
            response: ResponseTypes::parse(form.get("response_type")?.unwrap_or_default())?,
            receivers: receivers(form.get("receiver_client_ids")?.unwrap_or("kube"))?,
            delegated_seconds: delegated_seconds(form.get("delegated_refresh_token_expiry")?)?,
        })
    }
}

/// `bss_account` and `account` mean the same; they must not differ.
fn account(form: &Form, query: Option<&str>) -> Result<Option<String>> {
    let mut found: Option<&str> = None;
    for given in [form.get("bss_account")?, form.get("account")?, query.filter(|q| !q.is_empty())].into_iter().flatten() {
        if found.is_some_and(|before| before != given) {
            return Err(Error::TwoAccounts);
        }
        found = Some(given);
    }
    Ok(found.map(str::to_owned))
}

/// Clients separated by commas or blanks, as they are stored: by commas.
fn receivers(text: &str) -> Result<String> {
    const KNOWN: [&str; 3] = ["bx", "kube", "cf"];
    let ids: Vec<_> = text.split([',', ' ']).filter(|id| !id.is_empty()).collect();
    if ids.is_empty() || ids.len() > KNOWN.len() || !ids.iter().all(|id| KNOWN.contains(id)) {
        return Err(Error::Invalid { property: "receiver_client_ids", value: text.to_owned(), valid: KNOWN.join(", ") });
    }
    Ok(ids.join(","))
}

fn delegated_seconds(given: Option<&str>) -> Result<i64> {
    let Some(given) = given else { return Ok(DELEGATED_TOKEN_SECONDS) };
    let longest = DELEGATED_TOKEN_SECONDS.max(REFRESH_TOKEN_SECONDS);
    given.parse().ok().filter(|seconds| (1..=longest).contains(seconds)).ok_or_else(|| Error::Invalid {
        property: "delegated_refresh_token_expiry",
        value: given.to_owned(),
        valid: format!("1 to {longest} seconds"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BX: Option<&str> = Some("Basic Yng6Yng=");

    fn form(fields: &[(&str, &str)]) -> Form {
        Form::new(fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    fn parse(authorization: Option<&str>, fields: &[(&str, &str)]) -> Result<TokenRequest> {
        TokenRequest::parse(authorization, &form(fields), None)
    }

    #[test]
    fn clients_are_known_by_header_or_form_and_absent_ones_are_the_default() {
        let cases = [
            (None, &[][..], Ok(Client::Default)),
            (Some(""), &[], Ok(Client::Default)),
            (BX, &[], Ok(Client::Bx)),
            (Some("basic Yng6Yng="), &[], Ok(Client::Bx)),
            (Some("Basic a3ViZTprdWJl"), &[], Ok(Client::Kube)),
            (Some("Basic Y2Y6"), &[], Ok(Client::Cf)),
            (None, &[("client_id", "kube"), ("client_secret", "kube")], Ok(Client::Kube)),
            (None, &[("client_id", "kube"), ("client_secret", "no")], Err("unknown")),
            (Some("Basic Yng6bm8="), &[], Err("unknown")),
            (Some("Basic bm9ib2R5Om5v"), &[], Err("unknown")),
            (Some("Basic ***"), &[], Err("malformed")),
            (Some("Basic Yng="), &[], Err("malformed")),
            (Some("Bearer Yng6Yng="), &[], Err("malformed")),
            (Some("Yng6Yng="), &[], Err("malformed")),
        ];
        for (header, fields, expected) in cases {
            let found = Client::of(header, &form(fields)).map_err(|e| match e {
                Error::ClientUnknown => "unknown",
                Error::ClientMalformed => "malformed",
                _ => "another",
            });
            assert_eq!(found, expected, "{header:?} {fields:?}");
        }
    }

    #[test]
    fn a_missing_or_empty_field_is_named() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[], "grant_type"),
            (&[("grant_type", "")], "grant_type"),
            (&[("grant_type", "password"), ("password", "x")], "username"),
            (&[("grant_type", "password"), ("username", "x"), ("password", "")], "password"),
            (&[("grant_type", APIKEY)], "apikey"),
            (&[("grant_type", PASSCODE)], "passcode"),
            (&[("grant_type", "refresh_token"), ("refresh_token", "")], "refresh_token"),
            (&[("grant_type", DELEGATED)], "refresh_token"),
        ];
        for (fields, expected) in cases {
            let error = parse(BX, fields).expect_err("a field is missing");
            assert!(matches!(error, Error::Missing { property } if property == expected), "{fields:?}: {error:?}");
        }
    }

    #[test]
    fn response_types_are_separated_by_blanks_or_commas() {
        let base = ResponseTypes { cloud_iam: true, uaa: false, delegated_refresh_token: false, ims_portal: false };
        let cases = [
            ("", base),
            ("cloud_iam", base),
            ("cloud_iam uaa", ResponseTypes { uaa: true, ..base }),
            ("cloud_iam,uaa", ResponseTypes { uaa: true, ..base }),
            ("uaa", ResponseTypes { uaa: true, ..base }),
            ("delegated_refresh_token", ResponseTypes { cloud_iam: false, delegated_refresh_token: true, ..base }),
            ("cloud_iam delegated_refresh_token", ResponseTypes { delegated_refresh_token: true, ..base }),
        ];
        for (text, expected) in cases {
            assert_eq!(ResponseTypes::parse(text).expect(text), expected, "{text}");
        }
        assert!(matches!(ResponseTypes::parse("cloud_iam token"), Err(Error::Invalid { property: "response_type", .. })));
    }

    #[test]
    fn the_account_is_taken_from_either_name_and_both_must_agree() {
        let fields = |extra: &[(&'static str, &'static str)]| [&[("grant_type", APIKEY), ("apikey", "k")], extra].concat();
        let account = |extra: &[(&'static str, &'static str)]| parse(None, &fields(extra)).map(|r| r.account);
        assert_eq!(account(&[]).unwrap(), None);
        assert_eq!(account(&[("bss_account", "a")]).unwrap().as_deref(), Some("a"));
        assert_eq!(account(&[("account", "a")]).unwrap().as_deref(), Some("a"));
        assert_eq!(account(&[("account", "a"), ("bss_account", "a")]).unwrap().as_deref(), Some("a"));
        assert!(matches!(account(&[("account", "a"), ("bss_account", "b")]), Err(Error::TwoAccounts)));
        assert!(matches!(account(&[("bss_account", "a"), ("bss_account", "b")]), Err(Error::Repeated { .. })));
    }

    #[test]
    fn documented_extras_are_tolerated_in_both_spellings() {
        for spelling in ["uaa_client_id", "uaa_client_ID"] {
            let fields = [("grant_type", APIKEY), ("apikey", "k"), (spelling, "cf"), ("uaa_client_secret", ""), ("new", "x")];
            assert!(parse(BX, &fields).is_ok(), "{spelling}");
        }
    }

    #[test]
    fn password_and_refresh_need_a_client_and_unbuilt_grants_say_so() {
        let fields = [("grant_type", "password"), ("username", "u"), ("password", "p")];
        assert!(matches!(parse(None, &fields), Err(Error::ClientRequired)));
        for grant in ["refresh_token", DELEGATED] {
            let fields = [("grant_type", grant), ("refresh_token", "not_supported")];
            assert!(matches!(parse(None, &fields), Err(Error::ClientRequired)), "{grant}");
        }
        assert!(matches!(parse(BX, &[("grant_type", UNBUILT[1])]), Err(Error::GrantUnbuilt { .. })));
        assert!(matches!(parse(BX, &[("grant_type", "magic")]), Err(Error::Invalid { property: "grant_type", .. })));
    }

    #[test]
    fn a_delegated_token_is_for_known_clients_and_for_a_sensible_time() {
        let of = |name, value| {
            let fields = [("grant_type", APIKEY), ("apikey", "k"), (name, value)];
            parse(BX, &fields).map(|request| (request.receivers, request.delegated_seconds)).map_err(|error| match error {
                Error::Invalid { property, .. } => property,
                _ => "another",
            })
        };
        let cases = [
            ("receiver_client_ids", "", Ok(("kube", DELEGATED_TOKEN_SECONDS))),
            ("receiver_client_ids", "kube", Ok(("kube", DELEGATED_TOKEN_SECONDS))),
            ("receiver_client_ids", "kube, bx", Ok(("kube,bx", DELEGATED_TOKEN_SECONDS))),
            ("receiver_client_ids", "kube,nobody", Err("receiver_client_ids")),
            ("receiver_client_ids", ",", Err("receiver_client_ids")),
            ("delegated_refresh_token_expiry", "600", Ok(("kube", 600))),
            ("delegated_refresh_token_expiry", "0", Err("delegated_refresh_token_expiry")),
            ("delegated_refresh_token_expiry", "-1", Err("delegated_refresh_token_expiry")),
            ("delegated_refresh_token_expiry", "soon", Err("delegated_refresh_token_expiry")),
            ("delegated_refresh_token_expiry", "99999999999999999999", Err("delegated_refresh_token_expiry")),
        ];
        for (name, value, expected) in cases {
            let found = of(name, value);
            assert_eq!(found.as_ref().map(|(r, s)| (r.as_str(), *s)).map_err(|e| *e), expected, "{name}={value}");
        }
    }

    #[test]
    fn no_secret_of_a_request_is_printed() {
        let fields = [("grant_type", "password"), ("username", "u"), ("password", "hunter2")];
        let printed = format!("{:?} {:?}", form(&fields), parse(BX, &fields));
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    proptest! {
        #[test]
        fn no_form_makes_it_fail_otherwise_than_with_an_error(
            header in proptest::option::of(".{0,40}"),
            fields in proptest::collection::vec(("(grant_type|apikey|account|response_type|.{0,8})", ".{0,20}"), 0..6),
        ) {
            let _ = TokenRequest::parse(header.as_deref(), &Form::new(fields), None);
        }
    }
}
