//! Users of an account: invited, let in, given roles, changed and removed.

use serde_json::{Value, json};

use crate::harness::http::{array, text};
use crate::harness::postgres::Postgres;
use crate::harness::{APIKEY, Answer, BX, PASSWORD, REFRESH, Request, Server, User, shared};

const SECRET: &str = "as good as any password";

/// The owner of an account who works with its users.
struct Owner<'a> {
    server: &'a Server,
    user: User,
    token: String,
}

impl<'a> Owner<'a> {
    fn new(server: &'a Server, name: &str) -> Self {
        let user = server.account(name);
        Self { server, token: server.token(&user), user }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v2/accounts/{}/users{rest}", self.user.account_id)
    }

    #[track_caller]
    fn invite(&self, email: &str, policies: Value) -> String {
        let body = json!({ "users": [{ "email": email, "account_role": "Member" }], "iam_policy": policies });
        let answer = self.server.send(Request::post(self.path("")).bearer(&self.token).json(&body));
        text(&answer.json(202), "/resources/0/id").to_owned()
    }

    /// A user of this account with these policies, who has accepted; answers the IAM ID and a token for the account.
    #[track_caller]
    fn member(&self, email: &str, policies: Value) -> (String, String) {
        let iam_id = self.invite(email, policies);
        provide(self.server, email);
        let token = token(&login(self.server, email, None));
        accept(self.server, &token, &self.user.account_id).expect(202);
        (iam_id, self.enter(email))
    }

    #[track_caller]
    fn enter(&self, email: &str) -> String {
        token(&login(self.server, email, Some(&self.user.account_id)))
    }

    fn get(&self, rest: &str) -> Answer {
        self.server.send(Request::get(self.path(rest)).bearer(&self.token))
    }
}

/// Gives a user a password, as the operator does.
#[track_caller]
fn provide(server: &Server, username: &str) -> Value {
    let answer =
        server.administrate(Request::post("/_boatyard/users").json(&json!({ "username": username, "password": SECRET })));
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    answer.try_json().unwrap()
}

fn login(server: &Server, username: &str, account: Option<&str>) -> Answer {
    let mut fields = vec![("grant_type", PASSWORD), ("username", username), ("password", SECRET)];
    fields.extend(account.map(|account| ("bss_account", account)));
    server.grant(Some(BX), &fields)
}

#[track_caller]
fn token(answer: &Answer) -> String {
    text(&answer.json(200), "/access_token").to_owned()
}

fn accept(server: &Server, token: &str, account: &str) -> Answer {
    server.send(Request::post("/v2/users/accept").bearer(token).json(&json!({ "account_id": account })))
}

fn policy(role: &str, attributes: &[(&str, &str)]) -> Value {
    let kind = if ["Reader", "Writer", "Manager"].contains(&role) { "serviceRole" } else { "role" };
    let attributes: Vec<_> = attributes.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "type": "access",
        "roles": [{ "role_id": format!("crn:v1:bluemix:public:iam::::{kind}:{role}") }],
        "resources": [{ "attributes": attributes }],
    })
}

#[test]
fn who_was_invited_gets_no_token_for_the_account_before_accepting() {
    let server = shared();
    let owner = Owner::new(&server, "inviting");
    let account = &owner.user.account_id;
    let iam_id = owner.invite("invited@example.com", json!([policy("Viewer", &[("serviceName", "containers-kubernetes")])]));
    // There is a user now, and no way in but by the operator or an identity provider.
    assert_eq!(text(&login(&server, "invited@example.com", None).json(400), "/errorCode"), "BXNIM0608E");
    provide(&server, "invited@example.com");
    assert_eq!(text(&login(&server, "invited@example.com", Some(account)).json(400), "/errorCode"), "BXNIM0436E");
    let outside = token(&login(&server, "invited@example.com", None));
    let accounts = server.send(Request::get("/coe/v2/accounts").bearer(&outside)).json(200);
    assert_eq!(accounts["total_results"], 0, "{accounts}");

    // Invited once more, nothing changes but what is given along.
    assert_eq!(owner.invite("Invited@Example.com ", json!([])), iam_id);
    accept(&server, &outside, account).expect(202);
    accept(&server, &outside, account).expect(202);
    let inside = owner.enter("invited@example.com");
    let accounts = server.send(Request::get("/coe/v2/accounts").bearer(&outside)).json(200);
    assert_eq!(accounts["total_results"], 1, "{accounts}");
    // The policy of the invitation holds, and no more than it.
    server.send(Request::get("/global/v2/clusters").bearer(&inside)).expect(200);
    let order = server.vpc_order(&owner.token, "not-for-viewers");
    server.send(Request::post("/global/v2/vpc/createCluster").bearer(&inside).json(&order)).expect(403);
    let again = json!({ "users": [{ "email": "invited@example.com" }] });
    let answer = server.send(Request::post(owner.path("")).bearer(&owner.token).json(&again));
    assert_eq!(text(&answer.json(409), "/errors/0/code"), "conflict");
}

#[test]
fn nobody_accepts_for_an_account_that_did_not_invite_them() {
    let server = shared();
    let owner = Owner::new(&server, "uninviting");
    let stranger = server.token(&server.account("stranger"));
    for (account, status) in [(owner.user.account_id.as_str(), 404), ("none", 404), ("", 400)] {
        accept(&server, &stranger, account).expect(status);
    }
}

#[test]
fn removal_takes_tokens_keys_and_rights_at_once_and_leaves_other_accounts_alone() {
    removed(&shared());
}

#[test]
fn users_groups_and_sessions_work_on_postgresql() {
    let database = Postgres::start();
    let server = Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start();
    removed(&server);
    crate::resource_groups::renamed_and_deleted(&server);
    crate::sessions::of_others(&server);
}

fn removed(server: &Server) {
    let owner = Owner::new(server, "removing");
    let guest = server.account("removed");
    let account = owner.user.account_id.as_str();
    let iam_id = owner.invite(&guest.username, json!([policy("Administrator", &[("serviceName", "containers-kubernetes")])]));
    let own = server.login(&guest);
    accept(server, text(&own, "/access_token"), account).expect(202);
    let fields = [
        ("grant_type", PASSWORD),
        ("username", guest.username.as_str()),
        ("password", guest.password.as_deref().unwrap()),
        ("bss_account", account),
    ];
    let there = server.grant(Some(BX), &fields).json(200);
    let inside = text(&there, "/access_token");
    server.send(Request::get("/global/v2/clusters").bearer(inside)).expect(200);

    server.send(Request::delete(owner.path(&format!("/{iam_id}"))).bearer(&owner.token)).expect(204);
    server.send(Request::get("/global/v2/clusters").bearer(inside)).expect(401);
    let refresh = [("grant_type", REFRESH), ("refresh_token", text(&there, "/refresh_token"))];
    server.grant(Some(BX), &refresh).expect(400);
    assert_eq!(text(&server.grant(Some(BX), &fields).json(400), "/errorCode"), "BXNIM0436E");
    server.send(Request::get("/global/v2/clusters").bearer(text(&own, "/access_token"))).expect(200);
    server.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", &guest.apikey)]).expect(200);
    // Invited anew, the user has none of the old rights.
    owner.invite(&guest.username, json!([]));
    accept(server, text(&own, "/access_token"), account).expect(202);
    let inside = token(&server.grant(Some(BX), &fields));
    server.send(Request::get("/global/v2/clusters").bearer(&inside)).expect(403);
}

#[test]
fn the_owner_stays() {
    let server = shared();
    let owner = Owner::new(&server, "staying");
    let iam_id = owner.user.iam_id.clone().unwrap();
    for path in [owner.path(&format!("/{iam_id}")), owner.path(&format!("/{iam_id}")).replace("/v2/", "/v3/")] {
        let answer = server.send(Request::delete(path).bearer(&owner.token));
        assert_eq!(text(&answer.json(400), "/errors/0/code"), "owner");
    }
    owner.get(&format!("/{iam_id}")).expect(200);
}

#[test]
fn a_member_without_roles_works_on_the_own_profile_only() {
    let server = shared();
    let owner = Owner::new(&server, "rolesless");
    let (own, token) = owner.member("plain-member@example.com", json!([]));
    let of_owner = owner.user.iam_id.clone().unwrap();
    let send = |method: &str, rest: &str, body: Value| {
        let request = Request::new(method, owner.path(rest)).bearer(&token);
        server.send(if body.is_null() { request } else { request.json(&body) }).status
    };
    let (mine, owners) = (format!("/{own}"), format!("/{of_owner}"));
    let (my_settings, owners_settings) = (format!("{mine}/settings"), format!("{owners}/settings"));
    let rows = [
        ("GET", "", Value::Null, 200),
        ("GET", &owners, Value::Null, 200),
        ("GET", &my_settings, Value::Null, 200),
        ("GET", &owners_settings, Value::Null, 403),
        ("PATCH", &mine, json!({ "phonenumber": "1" }), 204),
        ("PATCH", &mine, json!({ "state": "VPN_ONLY" }), 403),
        ("PATCH", &owners, json!({ "phonenumber": "1" }), 403),
        ("PATCH", &my_settings, json!({ "language": "de" }), 204),
        ("PATCH", &my_settings, json!({ "allowed_ip_addresses": "192.0.2.1" }), 403),
        ("PATCH", &my_settings, json!({ "self_manage": true }), 403),
        ("PATCH", &owners_settings, json!({ "language": "de" }), 403),
        ("POST", "", json!({ "users": [{ "email": "x@example.com" }] }), 403),
        ("DELETE", &owners, Value::Null, 403),
        ("DELETE", &mine, Value::Null, 403),
    ];
    for (method, rest, body, expected) in rows {
        assert_eq!(send(method, rest, body.clone()), expected, "{method} {rest} {body}");
    }
    let manage = Request::new("PATCH", owner.path(&my_settings)).bearer(&owner.token).json(&json!({ "self_manage": true }));
    server.send(manage).expect(204);
    assert_eq!(send("PATCH", &my_settings, json!({ "allowed_ip_addresses": "192.0.2.1" })), 204);
    let settings = owner.get(&my_settings).json(200);
    assert_eq!(
        settings,
        json!({ "language": "de", "notification_language": "", "allowed_ip_addresses": "192.0.2.1", "self_manage": true })
    );
}

#[test]
fn whoever_may_invite_gives_no_rights_away_by_it() {
    let server = shared();
    let owner = Owner::new(&server, "delegating");
    let (_, editor) =
        owner.member("users-editor@example.com", json!([policy("Editor", &[("serviceName", "user-management")])]));
    let invite = |body: &Value| server.send(Request::post(owner.path("")).bearer(&editor).json(body));
    invite(&json!({ "users": [{ "email": "one@example.com" }] })).expect(202);
    invite(&json!({ "users": [{ "email": "two@example.com" }], "iam_policy": [policy("Administrator", &[])] })).expect(403);
    invite(&json!({ "users": [{ "email": "two@example.com" }], "access_groups": ["AccessGroupId-1"] })).expect(403);
    let found = owner.get("?user_id=two@example.com").json(200);
    assert_eq!(found["total_results"], 0, "{found}");
}

#[test]
fn an_invitation_that_is_wrong_invites_nobody() {
    let server = shared();
    let owner = Owner::new(&server, "mistaken");
    let user = json!([{ "email": "nobody@example.com" }]);
    let rows = [
        (json!({}), 400),
        (json!({ "users": [] }), 400),
        (json!({ "users": [{ "email": "nobody@example.com" }, { "email": "no address" }] }), 400),
        (json!({ "users": [{ "email": "nobody@example.com", "account_role": "King" }] }), 400),
        (json!({ "users": user, "iam_policy": [{ "type": "authorization" }] }), 400),
        (json!({ "users": user, "iam_policy": [{ "type": "access", "roles": [] }] }), 400),
        (json!({ "users": user, "iam_policy": [{ "type": "access", "roles": [{ "role_id": "King" }] }] }), 400),
        (json!({ "users": user, "iam_policy": [policy("Viewer", &[("", "x")])] }), 400),
        (json!({ "users": user, "access_groups": ["AccessGroupId-none"] }), 404),
        (json!({ "users": vec![json!({ "email": "nobody@example.com" }); 101] }), 400),
        (json!([]), 400),
    ];
    for (body, status) in rows {
        let answer = server.send(Request::post(owner.path("")).bearer(&owner.token).json(&body));
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(!text(&answer.try_json().unwrap(), "/errors/0/message").is_empty());
    }
    assert_eq!(owner.get("").json(200)["total_results"], 1);
}

#[test]
fn a_vpn_only_user_gets_no_token_and_is_let_in_again() {
    let server = shared();
    let owner = Owner::new(&server, "vpn");
    let (iam_id, inside) = owner.member("vpn-only@example.com", json!([]));
    let state = |state: &str| {
        let request = Request::new("PATCH", owner.path(&format!("/{iam_id}"))).bearer(&owner.token);
        server.send(request.json(&json!({ "state": state }))).status
    };
    assert_eq!(state("VPN_ONLY"), 204);
    server.send(Request::get(owner.path("")).bearer(&inside)).expect(401);
    login(&server, "vpn-only@example.com", Some(&owner.user.account_id)).expect(400);
    assert_eq!(state("DISABLED_CLASSIC_INFRASTRUCTURE"), 204);
    login(&server, "vpn-only@example.com", Some(&owner.user.account_id)).expect(200);
    assert_eq!(state("PENDING"), 400);
    let invited = owner.invite("pending@example.com", json!([]));
    let request = Request::new("PATCH", owner.path(&format!("/{invited}"))).bearer(&owner.token);
    server.send(request.json(&json!({ "state": "ACTIVE" }))).expect(409);
}

#[test]
fn pages_are_stable_and_follow_their_links() {
    let server = shared();
    let owner = Owner::new(&server, "paging");
    for n in 0..5 {
        owner.invite(&format!("page-{n}@example.com"), json!([]));
    }
    let mut seen = Vec::new();
    let mut next = Some(owner.path("?limit=2&search=state%3Apending"));
    while let Some(path) = next {
        let page = server.send(Request::get(path).bearer(&owner.token)).json(200);
        assert_eq!((page["total_results"].as_i64(), page["limit"].as_i64()), (Some(5), Some(2)), "{page}");
        seen.extend(array(&page["resources"]).iter().map(|user| text(user, "/user_id").to_owned()));
        next = page["next_url"].as_str().map(str::to_owned);
    }
    seen.sort();
    assert_eq!(seen, (0..5).map(|n| format!("page-{n}@example.com")).collect::<Vec<_>>());
    for wrong in ["?limit=0", "?limit=x", "?_start=x", "?search=nonsense"] {
        owner.get(wrong).expect(400);
    }
}

#[test]
fn another_account_is_out_of_reach() {
    let server = shared();
    let (mine, other) = (Owner::new(&server, "mine"), Owner::new(&server, "other"));
    let iam_id = other.user.iam_id.clone().unwrap();
    for (method, rest) in [("GET", String::new()), ("GET", format!("/{iam_id}")), ("DELETE", format!("/{iam_id}"))] {
        server.send(Request::new(method, other.path(&rest)).bearer(&mine.token)).expect(403);
    }
    mine.get(&format!("/{iam_id}")).expect(404);
}

#[test]
fn the_operator_makes_users_and_replaces_passwords() {
    let server = shared();
    let send = |body: &Value| server.administrate(Request::post("/_boatyard/users").json(body));
    let made = send(&json!({ "username": "Operated@example.com", "given_name": "Op" })).json(201);
    let first = text(&made, "/password").to_owned();
    assert!(text(&made, "/iam_id").starts_with("IBMid-") && made["username"] == "operated@example.com", "{made}");
    let login = |password: &str| {
        server.grant(Some(BX), &[("grant_type", PASSWORD), ("username", "operated@example.com"), ("password", password)])
    };
    let session = login(&first).json(200);
    // Another name leaves the password and the sessions.
    let named = send(&json!({ "username": "operated@example.com", "family_name": "Erated" })).json(200);
    assert_eq!((named.get("password"), &named["iam_id"]), (None, &made["iam_id"]), "{named}");
    let refresh = |session: &Value| {
        server.grant(Some(BX), &[("grant_type", REFRESH), ("refresh_token", text(session, "/refresh_token"))])
    };
    let session_of = refresh(&session).json(200);

    send(&json!({ "username": "operated@example.com", "password": "another password" })).expect(200);
    login(&first).expect(401);
    refresh(&session_of).expect(400);
    server.send(Request::get("/coe/v2/accounts").bearer(text(&session_of, "/access_token"))).expect(401);
    let session = login("another password").json(200);
    let info = server.send(Request::get("/identity/userinfo").bearer(text(&session, "/access_token"))).json(200);
    assert_eq!(info["name"], "Op Erated", "{info}");

    send(&json!({ "username": "operated@example.com", "federated": true })).expect(200);
    assert_eq!(text(&login("another password").json(400), "/errorCode"), "BXNIM0608E");
    for wrong in [
        json!({}),
        json!({ "username": "nobody" }),
        json!({ "username": "a@example.com", "password": "short" }),
        json!({ "username": "a@example.com", "password": "long enough", "federated": true }),
    ] {
        send(&wrong).expect(400);
    }
    let user = server.account("no-operator");
    let request = Request::post("/_boatyard/users").bearer(&server.token(&user)).json(&json!({ "username": "b@example.com" }));
    server.send(request).expect(403);
}
