"""UserManagementV1 and ResourceManagerV2 of ibm-platform-services, as its users write them.

Run by tests/sdk_users.rs with the address and the credentials of a server in the environment. REQUESTS_CA_BUNDLE points at
the server's authority. Any failed assertion ends the program with a traceback.
"""

import os

from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import BearerTokenAuthenticator, IAMAuthenticator
from ibm_platform_services import ResourceManagerV2, UserManagementV1
from ibm_platform_services.user_management_v1 import UsersPager

ENDPOINT = os.environ["ENDPOINT"]
ACCOUNT_ID = os.environ["ACCOUNT_ID"]
USERNAME = os.environ["IBMCLOUD_USERNAME"]
# A token of the guest that is for no account: that is all who was only invited can have.
GUEST_TOKEN = os.environ["GUEST_TOKEN"]
GUEST = os.environ["GUEST_USERNAME"]


def service(kind, authenticator=None):
    made = kind(authenticator=authenticator or IAMAuthenticator(os.environ["APIKEY"], url=ENDPOINT))
    made.set_service_url(ENDPOINT)
    return made


users = service(UserManagementV1)
groups = service(ResourceManagerV2)


def refused(status, code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ApiException as error:
        assert error.status_code == status, error
        assert error.http_response.json()["errors"][0]["code"] == code, error.http_response.text
        assert error.message, error
        return
    raise SystemExit(f"{call.__name__} was not refused")


def by_name(name):
    found = users.list_users(ACCOUNT_ID, user_id=name).get_result()
    assert found["total_results"] == len(found["resources"]) == 1, found
    return found["resources"][0]


def invites_gets_and_lists():
    body = [{"email": email, "account_role": "Member"} for email in (GUEST, "new-1@example.com", "new-2@example.com")]
    policy = {
        "type": "access",
        "roles": [{"role_id": "crn:v1:bluemix:public:iam::::role:Viewer"}],
        "resources": [{"attributes": [{"name": "serviceName", "value": "containers-kubernetes"}]}],
    }
    response = users.invite_users(ACCOUNT_ID, users=body, iam_policy=[policy])
    assert response.get_status_code() == 202
    invited = response.get_result()["resources"]
    assert [user["email"] for user in invited] == [GUEST, "new-1@example.com", "new-2@example.com"], invited
    assert all(user["state"] == "PENDING" for user in invited), invited
    profile = users.get_user_profile(ACCOUNT_ID, invited[0]["id"]).get_result()
    assert (profile["user_id"], profile["state"], profile["account_id"]) == (GUEST, "PENDING", ACCOUNT_ID), profile
    assert profile["iam_id"].startswith("IBMid-") and profile["realm"] == "IBMid" and profile["added_on"], profile


def pages_through_all_users():
    pager = UsersPager(client=users, account_id=ACCOUNT_ID, limit=1)
    names = [user["user_id"] for user in pager.get_all()]
    assert names[0] == USERNAME and sorted(names[1:]) == sorted([GUEST, "new-1@example.com", "new-2@example.com"]), names
    found = users.list_users(ACCOUNT_ID, search="email:new-1,email:new-2", include_settings=True).get_result()
    assert [user["settings"]["self_manage"] for user in found["resources"]] == [False, False], found
    assert users.list_users(ACCOUNT_ID, search="state:ACTIVE").get_result()["total_results"] == 1
    refused(400, "invalid_request", users.list_users, ACCOUNT_ID, search="shoe size")
    refused(400, "invalid_request", users.list_users, ACCOUNT_ID, limit=1000)


def accepts_an_invitation():
    guest = service(UserManagementV1, BearerTokenAuthenticator(GUEST_TOKEN))
    refused(404, "not_found", guest.accept, account_id="0" * 32)
    assert guest.accept(account_id=ACCOUNT_ID).get_status_code() == 202
    assert by_name(GUEST)["state"] == "ACTIVE"


def updates_profile_and_settings():
    iam_id = by_name(GUEST)["iam_id"]
    assert users.update_user_profile(ACCOUNT_ID, iam_id, phonenumber="123456789", firstname="Grace").get_status_code() == 204
    profile = users.get_user_profile(ACCOUNT_ID, iam_id).get_result()
    assert (profile["phonenumber"], profile["firstname"], profile["lastname"]) == ("123456789", "Grace", "User"), profile
    change = {"language": "French", "notification_language": "English", "allowed_ip_addresses": "32.96.110.50,172.16.254.0/24", "self_manage": True}
    assert users.update_user_settings(ACCOUNT_ID, iam_id, **change).get_status_code() == 204
    assert users.get_user_settings(ACCOUNT_ID, iam_id).get_result() == change
    users.update_user_profile(ACCOUNT_ID, iam_id, state="VPN_ONLY")
    assert by_name(GUEST)["state"] == "VPN_ONLY"
    refused(400, "invalid_request", users.update_user_profile, ACCOUNT_ID, iam_id, state="PENDING")
    refused(400, "invalid_request", users.update_user_settings, ACCOUNT_ID, iam_id, allowed_ip_addresses="anywhere")
    refused(404, "not_found", users.get_user_profile, ACCOUNT_ID, "IBMid-NOBODY")


def removes_users():
    assert users.remove_user(ACCOUNT_ID, by_name("new-1@example.com")["iam_id"]).get_status_code() == 204
    assert users.v3_remove_user(ACCOUNT_ID, by_name("new-2@example.com")["iam_id"]).get_status_code() == 202
    refused(400, "owner", users.remove_user, ACCOUNT_ID, by_name(USERNAME)["iam_id"])
    refused(404, "not_found", users.remove_user, ACCOUNT_ID, "IBMid-NOBODY")
    assert users.list_users(ACCOUNT_ID).get_result()["total_results"] == 2


def works_with_resource_groups():
    made = groups.create_resource_group(name="team-a", account_id=ACCOUNT_ID)
    assert made.get_status_code() == 201
    made = made.get_result()
    group = groups.get_resource_group(made["id"]).get_result()
    assert (group["name"], group["state"], group["default"], group["crn"]) == ("team-a", "ACTIVE", False, made["crn"]), group
    assert group["created_at"] == group["updated_at"], group
    listed = groups.list_resource_groups(account_id=ACCOUNT_ID).get_result()["resources"]
    assert [each["name"] for each in listed] == ["Default", "team-a"], listed
    renamed = groups.update_resource_group(made["id"], name="team-b", state="ACTIVE").get_result()
    assert renamed["name"] == "team-b", renamed
    assert groups.list_resource_groups(name="team-a").get_result()["resources"] == []
    refused(409, "conflict", groups.create_resource_group, name="TEAM-B", account_id=ACCOUNT_ID)
    refused(400, "invalid_request", groups.create_resource_group, name="", account_id=ACCOUNT_ID)
    refused(404, "not_found", groups.create_resource_group, name="x", account_id="0" * 32)
    refused(400, "default_group", groups.delete_resource_group, listed[0]["id"])
    assert groups.delete_resource_group(made["id"]).get_status_code() == 204
    refused(404, "not_found", groups.get_resource_group, made["id"])
    refused(404, "not_found", groups.delete_resource_group, made["id"])


def reads_quotas():
    [quota] = groups.list_quota_definitions().get_result()["resources"]
    assert groups.get_quota_definition(quota["id"]).get_result() == quota
    default = groups.list_resource_groups(default=True).get_result()["resources"][0]
    assert default["quota_id"] == quota["id"], default
    refused(404, "not_found", groups.get_quota_definition, "none")


for scenario in (
    invites_gets_and_lists,
    pages_through_all_users,
    accepts_an_invitation,
    updates_profile_and_settings,
    removes_users,
    works_with_resource_groups,
    reads_quotas,
):
    scenario()
    print("ok:", scenario.__name__)
