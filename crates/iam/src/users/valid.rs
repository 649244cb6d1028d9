//! What a request of user management may say.

use boatyard_store::members::Member;

use super::{AccountUser, Grant, LONGEST_TEXT, MOST_USERS, PENDING, Profile, Result, STATES, UserError, UserSettings};
use crate::Error;
use crate::access::{SystemRole, catalog};
use crate::grants::LONGEST_USERNAME;

/// What was sent may be long.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

pub(super) fn page_start(text: &str) -> Result<(i64, String)> {
    let parsed = text.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parsed.ok_or_else(|| UserError::Invalid("'_start' must be the value in 'next_url' of the page before.".to_owned()))
}

/// Fields and what to look for in them, in lower case.
pub(super) fn search(text: &str) -> Result<Vec<(String, String)>> {
    const FIELDS: [&str; 9] = ["firstname", "lastname", "email", "state", "substate", "iam_id", "realm", "userId", "user_id"];
    let terms = text.split(',').map(str::trim).filter(|term| !term.is_empty());
    terms
        .map(|term| match term.split_once(':') {
            Some((field, text)) if FIELDS.contains(&field) => Ok((field.to_owned(), text.to_lowercase())),
            _ => Err(UserError::Invalid(format!(
                "'search' has the part '{}'. Each part is 'field:text', with one of these fields: {}.",
                shorten(term),
                FIELDS[..8].join(", ")
            ))),
        })
        .collect()
}

pub(super) fn holds(user: &AccountUser, field: &str, text: &str) -> bool {
    user.field(field).is_some_and(|value| !value.is_empty() && value.to_lowercase().contains(text))
}

/// The addresses of an invitation, each once, in lower case.
pub(super) fn addresses(given: &[String]) -> Result<Vec<String>> {
    if given.is_empty() || given.len() > MOST_USERS {
        return Err(UserError::Invalid(format!("Give the users to invite as 'users', 1 to {MOST_USERS} of them.")));
    }
    let mut emails = Vec::new();
    for email in given {
        let address = email.trim().to_lowercase();
        if !is_email(&address) {
            return Err(UserError::Invalid(format!(
                "'{}' is not an e-mail address. Each user needs an 'email'.",
                shorten(email)
            )));
        }
        if !emails.contains(&address) {
            emails.push(address);
        }
    }
    Ok(emails)
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    parts && text.len() <= LONGEST_USERNAME && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

pub(super) fn new_state(member: &Member, state: &str) -> Result<()> {
    if !STATES.contains(&state) {
        let text = format!("'{}' is no state that can be given. Valid values: {}.", shorten(state), STATES.join(", "));
        return Err(UserError::Invalid(text));
    }
    match (member.owner, member.state.as_str()) {
        (true, _) => Err(UserError::OwnerStays),
        (false, PENDING) => Err(UserError::NotAccepted),
        (false, _) => Ok(()),
    }
}

pub(super) fn valid_profile(profile: &mut Profile) -> Result<()> {
    for (name, value) in profile.members() {
        let Some(value) = value else { continue };
        let longest = if name == "photo" { LONGEST_TEXT } else { LONGEST_USERNAME };
        if value.len() > longest || value.chars().any(char::is_control) {
            let text = format!("'{name}' may have up to {longest} bytes, without control characters.");
            return Err(UserError::Invalid(text));
        }
        if name == "email" && !value.is_empty() && !is_email(value) {
            return Err(UserError::Invalid(format!("'{}' is not an e-mail address.", shorten(value))));
        }
    }
    Ok(())
}

pub(super) fn valid_settings(settings: &UserSettings) -> Result<()> {
    for language in [&settings.language, &settings.notification_language].into_iter().flatten() {
        let fine = language.len() <= 35 && language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fine {
            return Err(UserError::Invalid(format!("'{}' is not a language, such as 'en-us'.", shorten(language))));
        }
    }
    let Some(list) = &settings.allowed_ip_addresses else { return Ok(()) };
    let wrong = list.split(',').map(str::trim).find(|part| !part.is_empty() && !is_address(part));
    match wrong {
        _ if list.len() > LONGEST_TEXT => {
            Err(UserError::Invalid(format!("'allowed_ip_addresses' may have up to {LONGEST_TEXT} bytes.")))
        }
        Some(part) => Err(UserError::Invalid(format!(
            "'{}' in 'allowed_ip_addresses' is neither an IP address nor a range such as '192.0.2.0/24'.",
            shorten(part)
        ))),
        None => Ok(()),
    }
}

/// An IP address, or a range of them by its prefix or its ends.
fn is_address(text: &str) -> bool {
    use std::net::IpAddr;
    let ip = |text: &str| text.trim().parse::<IpAddr>().ok();
    if let Some((address, prefix)) = text.split_once('/') {
        let longest = ip(address).map(|address| if address.is_ipv4() { 32 } else { 128 });
        return longest.is_some_and(|longest| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest));
    }
    match text.split_once('-') {
        Some((first, last)) => ip(first).zip(ip(last)).is_some_and(|(first, last)| first <= last),
        None => ip(text).is_some(),
    }
}

/// Roles that every account has.
fn roles() -> impl Iterator<Item = &'static SystemRole> {
    catalog().platform_roles.iter().chain(&catalog().service_roles)
}

/// The CRN of a role that every account has, by its name in whatever case.
///
/// # Errors
/// [`Error::NotAcceptable`] with the names that there are.
pub(crate) fn role(name: &str) -> Result<String, Error> {
    let found = roles().find(|known| known.name.eq_ignore_ascii_case(name));
    found.map(|role| role.crn.clone()).ok_or_else(|| {
        let names: Vec<_> = roles().map(|role| role.name.as_str()).collect();
        Error::NotAcceptable(format!("There is no role '{}'. The roles are {}.", shorten(name), names.join(", ")))
    })
}

pub(super) fn valid_grant(grant: &Grant) -> Result<()> {
    if grant.roles.is_empty() {
        return Err(UserError::Invalid("Each policy needs 'roles', one at least.".to_owned()));
    }
    let known = |crn: &String| roles().any(|role| role.crn == *crn) || crn.contains(":customRole:");
    if let Some(wrong) = grant.roles.iter().find(|crn| !known(crn)) {
        let example = "crn:v1:bluemix:public:iam::::role:Viewer";
        let text = format!("There is no role '{}'. A role is named by its CRN, such as '{example}'.", shorten(wrong));
        return Err(UserError::Invalid(text));
    }
    match grant.attributes.iter().find(|(key, value)| key.is_empty() || value.is_empty()) {
        Some(_) => Err(UserError::Invalid("Each attribute of a resource needs a 'name' and a 'value'.".to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_and_ranges_only() {
        for fine in ["192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "192.0.2.1-192.0.2.9"] {
            assert!(is_address(fine), "{fine}");
        }
        for wrong in ["", "192.0.2", "192.0.2.0/33", "2001:db8::/129", "192.0.2.9-192.0.2.1", "example.com", "1.2.3.4/x"] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }

    #[test]
    fn invites_each_address_once() {
        let given = ["A@x.com", " a@x.com", "b@x.com"].map(str::to_owned);
        assert_eq!(addresses(&given).unwrap(), ["a@x.com", "b@x.com"]);
        for wrong in ["", "a", "@x", "a@", "a@b@c", "a b@c", "a@b\u{7}"] {
            assert!(addresses(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(addresses(&[]).is_err());
    }

    #[test]
    fn a_grant_is_limited_to_the_account_whatever_it_says() {
        let attributes = vec![("accountId".to_owned(), "other".to_owned()), ("region".to_owned(), "us-south".to_owned())];
        let document = Grant { roles: vec![role("viewer").unwrap()], attributes }.document("mine", "IBMid-A");
        let resource = &document["resource"]["attributes"];
        assert_eq!(resource[0]["value"], "mine");
        assert_eq!(resource[1]["key"], "region");
        assert_eq!(resource.as_array().unwrap().len(), 2);
    }
}
