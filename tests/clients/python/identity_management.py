"""ibm-platform-services for Python as its users write it: identities are made, paged, changed, locked and deleted.

Run by tests/identity_management.rs with the address and the credentials of a server in the environment. REQUESTS_CA_BUNDLE
points at the server's authority. Any failed assertion ends the program with a traceback.
"""

import os
import time
import unittest.mock

from ibm_cloud_sdk_core import ApiException, BaseService, get_query_param
from ibm_cloud_sdk_core.authenticators import IAMAssumeAuthenticator, IAMAuthenticator
from ibm_platform_services import IamIdentityV1
from ibm_platform_services.iam_identity_v1 import (
    ApiKeyInsideCreateServiceIdRequest,
    CreateProfileLinkRequestLink,
    ProfileClaimRuleConditions,
    ProfileIdentityRequest,
    UserMfa,
)

ENDPOINT = os.environ["ENDPOINT"]
APIKEY = os.environ["APIKEY"]
ACCOUNT_ID = os.environ["ACCOUNT_ID"]
ADMINISTRATOR_APIKEY = os.environ["ADMINISTRATOR_APIKEY"]


def service(authenticator):
    identity = IamIdentityV1(authenticator=authenticator)
    identity.set_service_url(ENDPOINT)
    return identity


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ApiException as error:
        assert error.status_code == status, (error.status_code, error.message)
        assert error.message and error.http_response.json()["errors"][0]["code"], error
        return error.message
    raise SystemExit(f"{call.__name__} was not refused")


iam = service(IAMAuthenticator(APIKEY, url=ENDPOINT))
me = iam.get_api_keys_details(iam_api_key=APIKEY).get_result()["iam_id"]

system_time = time.time
ahead = 0
unittest.mock.patch("time.time", lambda: system_time() + ahead).start()


def advance_both_clocks(seconds):
    admin = BaseService(service_url=ENDPOINT, authenticator=IAMAuthenticator(ADMINISTRATOR_APIKEY, url=ENDPOINT))
    admin.send(admin.prepare_request(method="POST", url="/_boatyard/clock", data={"advance_seconds": seconds}))
    global ahead
    ahead += seconds


def api_keys():
    made = iam.create_api_key(name="one", iam_id=me, description="first", entity_lock="true", expires_at="2099-01-31T12:00+0000")
    assert made.get_status_code() == 201
    key = made.get_result()
    assert len(key["apikey"]) >= 32 and key["locked"] and key["expires_at"].startswith("2099-01-31T12:00")
    read = iam.get_api_key(id=key["id"], include_history=True)
    assert read.get_result()["apikey"] == ""
    tag = read.get_headers()["Etag"]
    assert "Unlock" in refused(409, iam.update_api_key, id=key["id"], if_match=tag, name="two")
    assert iam.unlock_api_key(id=key["id"]).get_status_code() == 204
    refused(409, iam.update_api_key, id=key["id"], if_match=tag, name="two")
    tag = iam.get_api_key(id=key["id"]).get_headers()["Etag"]
    changed = iam.update_api_key(id=key["id"], if_match=tag, name="two", description="").get_result()
    assert changed["name"] == "two" and "description" not in changed
    iam.disable_api_key(id=key["id"])
    assert iam.get_api_key(id=key["id"]).get_result()["disabled"]
    iam.enable_api_key(id=key["id"])
    assert iam.delete_api_key(id=key["id"]).get_status_code() == 204
    refused(404, iam.get_api_key, id=key["id"])


def pages():
    for number in range(5):
        iam.create_api_key(name=f"page-{number}", iam_id=me)
    names, token = [], None
    while True:
        query = {"pagetoken": token} if token else {"account_id": ACCOUNT_ID, "scope": "account", "pagesize": 2, "sort": "name"}
        page = iam.list_api_keys(**query).get_result()
        names += [key["name"] for key in page["apikeys"] if key["name"].startswith("page-")]
        token = get_query_param(page.get("next"), "pagetoken")
        if not token:
            break
    assert names == [f"page-{number}" for number in range(5)], names
    for key in iam.list_api_keys(filter='name sw "page-"').get_result()["apikeys"]:
        iam.delete_api_key(id=key["id"])


def paged(call, member):
    """Names of the items of every page of a list, in order, as far as they are ours."""
    names, token = [], None
    while True:
        query = {"pagetoken": token} if token else {"pagesize": 2, "sort": "name"}
        page = call(account_id=ACCOUNT_ID, **query).get_result()
        assert len(page[member]) <= 2, page
        names += [one["name"] for one in page[member] if one["name"].startswith("page-")]
        token = get_query_param(page.get("next"), "pagetoken")
        if not token:
            return names


def pages_of_service_ids():
    made = [iam.create_service_id(account_id=ACCOUNT_ID, name=f"page-{number}").get_result() for number in range(5)]
    assert paged(iam.list_service_ids, "serviceids") == [one["name"] for one in made]
    for one in made:
        iam.delete_service_id(id=one["id"])
    assert paged(iam.list_service_ids, "serviceids") == []


def pages_of_profiles():
    made = [iam.create_profile(account_id=ACCOUNT_ID, name=f"page-{number}").get_result() for number in range(5)]
    assert paged(iam.list_profiles, "profiles") == [one["name"] for one in made]
    for one in made:
        iam.delete_profile(profile_id=one["id"])
    assert paged(iam.list_profiles, "profiles") == []


def service_ids():
    group = iam.create_service_id_group(account_id=ACCOUNT_ID, name="robots").get_result()
    made = iam.create_service_id(
        account_id=ACCOUNT_ID,
        name="robot",
        group_id=group["id"],
        unique_instance_crns=["crn:v1:a"],
        apikey=ApiKeyInsideCreateServiceIdRequest(name="its key").to_dict(),
    )
    robot, tag = made.get_result(), made.get_headers()["Etag"]
    assert robot["iam_id"] == "iam-" + robot["id"] and len(robot["apikey"]["apikey"]) >= 32
    assert [one["id"] for one in iam.list_service_ids(account_id=ACCOUNT_ID, group_id=group["id"]).get_result()["serviceids"]] == [robot["id"]]
    changed = iam.update_service_id(id=robot["id"], if_match=tag, unique_instance_crns=[]).get_result()
    assert not changed.get("unique_instance_crns") and changed["name"] == "robot"
    refused(409, iam.update_service_id, id=robot["id"], if_match=tag, name="other")
    refused(409, iam.delete_service_id_group, id=group["id"])
    iam.lock_service_id(id=robot["id"])
    refused(409, iam.delete_service_id, id=robot["id"])
    iam.unlock_service_id(id=robot["id"])
    iam.delete_service_id(id=robot["id"])
    refused(404, iam.get_service_id, id=robot["id"])
    refused(404, iam.get_api_key, id=robot["apikey"]["id"])
    iam.delete_service_id_group(id=group["id"])


def profiles():
    profile = iam.create_profile(name="deployer", account_id=ACCOUNT_ID, description="d").get_result()
    refused(409, iam.create_profile, name="deployer", account_id=ACCOUNT_ID)
    changed = iam.update_profile(profile_id=profile["id"], if_match=profile["entity_tag"], description="other")
    identities = iam.set_profile_identities(
        profile_id=profile["id"],
        if_match=changed.get_headers()["Etag"],
        identities=[ProfileIdentityRequest(identifier=me, type="user", accounts=[ACCOUNT_ID])],
    ).get_result()
    assert [one["iam_id"] for one in identities["identities"]] == [me]
    crn = "crn:v1:bluemix:public:toolchain:us-south:a/x:y::"
    iam.set_profile_identity(profile_id=profile["id"], identity_type="crn", identifier=crn, type="crn", description="ci")
    one = iam.get_profile_identity(profile_id=profile["id"], identity_type="crn", identifier_id=crn).get_result()
    assert one["iam_id"] == "crn-" + crn
    iam.delete_profile_identity(profile_id=profile["id"], identity_type="crn", identifier_id=crn)
    condition = ProfileClaimRuleConditions(claim="blueGroups", operator="CONTAINS", value='"dev"').to_dict()
    rule = iam.create_claim_rule(
        profile_id=profile["id"], type="Profile-SAML", conditions=[condition], realm_name="https://idp.example.com", expiration=43200
    ).get_result()
    changed = iam.update_claim_rule(
        profile_id=profile["id"], rule_id=rule["id"], if_match=rule["entity_tag"], type="Profile-CR", cr_type="IKS_SA", conditions=[condition]
    ).get_result()
    assert (changed["cr_type"], changed["conditions"]) == ("IKS_SA", [condition])
    assert len(iam.list_claim_rules(profile_id=profile["id"]).get_result()["rules"]) == 1
    iam.delete_claim_rule(profile_id=profile["id"], rule_id=rule["id"])
    crn = f"crn:v1:bluemix:public:containers-kubernetes:us-south:a/{ACCOUNT_ID}:cluster::"
    named = {"crn": crn, "namespace": "default", "name": "robot"}
    link = iam.create_link(profile_id=profile["id"], cr_type="IKS_SA", link=CreateProfileLinkRequestLink(**named).to_dict())
    assert iam.get_link(profile_id=profile["id"], link_id=link.get_result()["id"]).get_result()["link"] == named
    iam.delete_link_by_parameters(profile_id=profile["id"], type="IKS_SA", **named)
    assert iam.list_links(profile_id=profile["id"]).get_result()["links"] == []
    usage = iam.get_account_limits(account_id=ACCOUNT_ID, profiles="true", apikeys_per_identity=me).get_result()
    assert usage["profiles"]["count"] == 1 and usage["apikeys_per_identity"]["identities"][0]["iam_id"] == me
    iam.update_preference_on_scope_account(
        account_id=ACCOUNT_ID, iam_id=profile["iam_id"], service="console", preference_id="landing_page", value_string="/iam"
    )
    found = iam.get_all_preferences_on_scope_account(account_id=ACCOUNT_ID, iam_id=profile["iam_id"]).get_result()
    assert [one["value_string"] for one in found["preferences"]] == ["/iam"]
    iam.delete_profile(profile_id=profile["id"])
    refused(404, iam.get_profile, profile_id=profile["id"])


def settings():
    read = iam.get_account_settings(account_id=ACCOUNT_ID)
    tag = read.get_headers()["Etag"]
    changed = iam.update_account_settings(
        account_id=ACCOUNT_ID, if_match=tag, max_sessions_per_identity="5", user_mfa=[UserMfa(iam_id=me, mfa="LEVEL1").to_dict()]
    ).get_result()
    assert changed["max_sessions_per_identity"] == "5" and changed["mfa"] == "NONE"
    message = refused(400, iam.update_account_settings, account_id=ACCOUNT_ID, if_match="*", session_expiration_in_seconds="60")
    assert "session_expiration_in_seconds" in message and "900" in message, message
    refused(409, iam.update_account_settings, account_id=ACCOUNT_ID, if_match=tag, mfa="NONE")
    status = iam.get_mfa_status(account_id=ACCOUNT_ID, iam_id=me).get_result()
    assert status["id_based_mfa"]["trait_effective"] == "LEVEL1" and not status["id_based_mfa"]["complies"]
    iam.update_account_settings(account_id=ACCOUNT_ID, if_match="*", user_mfa=[], max_sessions_per_identity="NOT_SET")


def each_login_survives_its_tokens():
    robot = iam.create_service_id(
        account_id=ACCOUNT_ID, name="robot", apikey=ApiKeyInsideCreateServiceIdRequest(name="key").to_dict()
    ).get_result()
    profile = iam.create_profile(name="assumed", account_id=ACCOUNT_ID).get_result()
    iam.set_profile_identity(profile_id=profile["id"], identity_type="user", identifier=me, type="user")
    iam.set_profile_identity(profile_id=profile["id"], identity_type="serviceid", identifier=robot["id"], type="serviceid")
    machine_key = robot["apikey"]["apikey"]
    logins = {
        "key": (me, IAMAuthenticator(APIKEY, url=ENDPOINT)),
        "service ID": (robot["iam_id"], IAMAuthenticator(machine_key, url=ENDPOINT, client_id="bx", client_secret="bx")),
        "profile": (profile["iam_id"], IAMAssumeAuthenticator(APIKEY, iam_profile_id=profile["id"], url=ENDPOINT)),
        "profile by name": (
            profile["iam_id"],
            IAMAssumeAuthenticator(machine_key, iam_profile_name="assumed", iam_account_id=ACCOUNT_ID, url=ENDPOINT),
        ),
    }
    for round in range(3):
        for name, (expected, authenticator) in logins.items():
            who = BaseService(service_url=ENDPOINT, authenticator=authenticator)
            info = who.send(who.prepare_request(method="GET", url="/identity/userinfo")).get_result()
            assert info["iam_id"] == expected, (round, name, info)
        advance_both_clocks(3601)
    iam.delete_service_id(id=robot["id"])
    for name in ("service ID", "profile by name"):
        who = BaseService(service_url=ENDPOINT, authenticator=logins[name][1])
        try:
            who.send(who.prepare_request(method="GET", url="/identity/userinfo"))
            raise SystemExit(f"{name} outlives the service ID")
        except ApiException as error:
            assert error.status_code in (400, 401), error


def documented_errors():
    refused(403, iam.create_api_key, name="k", iam_id="IBMid-SOMEBODY00")
    refused(404, iam.get_service_id, id="ServiceId-none")
    refused(404, iam.list_profiles, account_id="0" * 32)
    refused(400, iam.list_api_keys, pagesize=1000)
    refused(400, iam.create_api_key, name="k", iam_id=me, apikey="short")
    try:
        service(IAMAuthenticator("no-such-key-" + "x" * 30, url=ENDPOINT)).list_api_keys()
        raise SystemExit("a key that does not exist was accepted")
    except ApiException as error:
        assert error.status_code == 400 and "API key" in error.message, error


scenarios = [api_keys, pages, pages_of_service_ids, pages_of_profiles, service_ids, profiles, settings]
for scenario in [*scenarios, each_login_survives_its_tokens, documented_errors]:
    scenario()
    print("ok:", scenario.__name__)
