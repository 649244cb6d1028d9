//! Sessions as people see and end them, and the question whether a token is good.

use serde_json::{Value, json};

use crate::harness::http::{array, text};
use crate::harness::{Answer, BX, KUBE, REFRESH, Request, Server, shared};

fn introspect(server: &Server, authorization: &str, token: &str) -> Answer {
    let request = Request::post("/identity/introspect").form(&[("token", token)]);
    server.send(if authorization.is_empty() { request } else { request.header("Authorization", authorization) })
}

#[track_caller]
fn active(server: &Server, token: &str) -> bool {
    let answer = introspect(server, BX, token).json(200);
    let active = answer["active"].as_bool().unwrap();
    assert!(active || answer == json!({ "active": false }), "nothing is told of a token that is not good: {answer}");
    active
}

#[test]
fn introspection_tells_of_a_good_token_what_it_says_and_of_another_nothing() {
    let server = Server::start();
    let user = server.account("introspected");
    let login = server.login(&user);
    let token = text(&login, "/access_token");
    let told = introspect(&server, BX, token).json(200);
    assert_eq!((&told["active"], &told["iam_id"]), (&json!(true), &json!(user.iam_id)), "{told}");
    assert_eq!((&told["account"]["bss"], &told["session_id"]), (&json!(user.account_id), &login["session_id"]), "{told}");
    let bearer = format!("Bearer {token}");
    assert_eq!(introspect(&server, &bearer, token).json(200)["active"], true);

    for garbage in ["x", "a.b.c", &format!("{token}x"), text(&login, "/refresh_token")] {
        assert!(!active(&server, garbage), "{garbage}");
    }
    for (authorization, status) in [("", 401), ("Basic eDp5", 401), ("Basic !", 401), ("Bearer x", 401)] {
        introspect(&server, authorization, token).expect(status);
    }
    server.send(Request::post("/identity/introspect").header("Authorization", BX).form(&[])).expect(400);
    server.send(Request::post("/identity/revoke").form(&[("token", text(&login, "/refresh_token"))])).expect(200);
    assert!(!active(&server, token), "its session is over");
    let other = server.token(&user);
    assert!(active(&server, &other));
    server.advance_clock(3601);
    assert!(!active(&server, &other), "it is expired");
}

fn list(server: &Server, token: &str, query: &str) -> Answer {
    server.send(Request::get(format!("/v1/sessions{query}")).bearer(token))
}

fn ids(list: &Value) -> Vec<String> {
    array(&list["sessions"]).iter().map(|session| text(session, "/id").to_owned()).collect()
}

#[test]
fn a_person_lists_and_ends_the_own_sessions() {
    let server = shared();
    let user = server.account("own-sessions");
    let logins: Vec<_> = (0..3).map(|_| server.login(&user)).collect();
    let token = text(&logins[0], "/access_token");
    let mut seen = Vec::new();
    let mut path = Some("?limit=2".to_owned());
    while let Some(query) = path {
        let page = list(&server, token, &query).json(200);
        seen.extend(array(&page["sessions"]).clone());
        path = page["next"].as_str().map(|next| next.strip_prefix("/v1/sessions").unwrap().to_owned());
    }
    assert_eq!(seen.len(), 3);
    for session in &seen {
        let current = session["id"] == logins[0]["session_id"];
        assert_eq!((&session["iam_id"], &session["current"]), (&json!(user.iam_id), &json!(current)), "{session}");
        assert!(session["api_key_id"].is_string() && session["client_id"] == "bx", "{session}");
    }

    let second = text(&logins[1], "/session_id");
    server.send(Request::delete(format!("/v1/sessions/{second}")).bearer(token)).expect(204);
    server.send(Request::get("/coe/v2/accounts").bearer(text(&logins[1], "/access_token"))).expect(401);
    let refresh = [("grant_type", REFRESH), ("refresh_token", text(&logins[1], "/refresh_token"))];
    server.grant(Some(BX), &refresh).expect(400);
    server.send(Request::delete(format!("/v1/sessions/{second}")).bearer(token)).expect(404);

    let iam_id = user.iam_id.clone().unwrap();
    server.send(Request::delete(format!("/v1/sessions?iam_id={iam_id}")).bearer(token)).expect(204);
    for login in &logins {
        server.send(Request::get("/coe/v2/accounts").bearer(text(login, "/access_token"))).expect(401);
    }
}

#[test]
fn sessions_of_others_are_for_administrators_of_the_account() {
    of_others(&shared());
}

pub fn of_others(server: &Server) {
    let owner = server.account("sessions-owner");
    let guest = server.account("sessions-guest");
    let owner_token = server.token(&owner);
    let invite = json!({ "users": [{ "email": guest.username }] });
    server
        .send(Request::post(format!("/v2/accounts/{}/users", owner.account_id)).bearer(&owner_token).json(&invite))
        .expect(202);
    let at_home = server.token(&guest);
    let accept = json!({ "account_id": owner.account_id });
    server.send(Request::post("/v2/users/accept").bearer(&at_home).json(&accept)).expect(202);
    let fields = [
        ("grant_type", "password"),
        ("username", guest.username.as_str()),
        ("password", guest.password.as_deref().unwrap()),
        ("bss_account", owner.account_id.as_str()),
    ];
    let visit = server.grant(Some(BX), &fields).json(200);
    let (token, session) = (text(&visit, "/access_token"), text(&visit, "/session_id"));

    let (of_owner, of_guest) = (owner.iam_id.clone().unwrap(), guest.iam_id.clone().unwrap());
    list(server, token, &format!("?iam_id={of_owner}")).expect(403);
    list(server, token, &format!("?account_id={}", owner.account_id)).expect(403);
    server.send(Request::delete(format!("/v1/sessions?iam_id={of_owner}")).bearer(token)).expect(403);
    let owners = text(&server.login(&owner), "/session_id").to_owned();
    server.send(Request::delete(format!("/v1/sessions/{owners}")).bearer(token)).expect(403);
    server.send(Request::delete("/v1/sessions/C-none").bearer(token)).expect(403);

    // The owner sees the guest's session in this account, and not the one at home.
    assert_eq!(ids(&list(server, &owner_token, &format!("?iam_id={of_guest}")).json(200)), [session]);
    assert!(
        ids(&list(server, &owner_token, &format!("?account_id={}", owner.account_id)).json(200)).contains(&session.to_owned())
    );
    list(server, &owner_token, &format!("?account_id={}", guest.account_id)).expect(404);
    list(server, &owner_token, "?limit=0").expect(400);
    list(server, &owner_token, "?start=x").expect(400);
    server.send(Request::delete("/v1/sessions").bearer(&owner_token)).expect(400);
    server.send(Request::delete(format!("/v1/sessions?iam_id={of_guest}")).bearer(&owner_token)).expect(204);
    server.send(Request::get("/coe/v2/accounts").bearer(token)).expect(401);
    server.send(Request::get("/coe/v2/accounts").bearer(&at_home)).expect(200);
}

#[test]
fn a_session_is_kept_by_its_client() {
    let server = Server::start();
    let user = server.account("kept");
    let login = server.login(&user);
    let session = text(&login, "/session_id");
    let keep = |session: &str, authorization: &str| {
        let request = Request::new("PATCH", format!("/v1/sessions/{session}/state"));
        server.send(if authorization.is_empty() { request } else { request.header("Authorization", authorization) })
    };
    server.advance_clock(600);
    let kept = keep(session, BX);
    assert!(kept.expect(202).body.is_empty());
    let listed = list(&server, text(&login, "/access_token"), "").json(200);
    assert_ne!(listed["sessions"][0]["used_at"], listed["sessions"][0]["created_at"], "{listed}");
    for (session, authorization, status, code) in [
        (session, "", 401, "BXNIM0308E"),
        (session, "Basic eDp5", 401, "BXNIM0310E"),
        (session, KUBE, 400, "BXNIM0439E"),
        ("C-none", BX, 400, "BXNIM0439E"),
    ] {
        assert_eq!(text(&keep(session, authorization).json(status), "/errorCode"), code);
    }
}
