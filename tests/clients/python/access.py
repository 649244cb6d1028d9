"""ibm-platform-services for Python as its users write it: policies, roles and access groups.

Run by tests/access.rs with the address and the credentials of an account's owner in the environment. REQUESTS_CA_BUNDLE points at
the server's authority. Any failed assertion ends the program with a traceback.
"""

import os

from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_platform_services import IamAccessGroupsV2, IamPolicyManagementV1
from ibm_platform_services.iam_access_groups_v2 import (
    AccessGroupMembersPager,
    AccessGroupsPager,
    AddGroupMembersRequestMembersItem,
    RuleConditions,
)
from ibm_platform_services.iam_policy_management_v1 import (
    Control,
    Grant,
    PoliciesPager,
    PolicyResource,
    PolicyRole,
    PolicySubject,
    ResourceAttribute,
    Roles,
    SubjectAttribute,
    V2PoliciesPager,
    V2PolicyResource,
    V2PolicyResourceAttribute,
    V2PolicySubject,
    V2PolicySubjectAttribute,
)

ENDPOINT = os.environ["ENDPOINT"]
ACCOUNT_ID = os.environ["ACCOUNT_ID"]
IAM_ID = os.environ["IAM_ID"]
VIEWER = "crn:v1:bluemix:public:iam::::role:Viewer"
EDITOR = "crn:v1:bluemix:public:iam::::role:Editor"

authenticator = IAMAuthenticator(os.environ["APIKEY"], url=ENDPOINT)
policies = IamPolicyManagementV1(authenticator=authenticator)
policies.set_service_url(ENDPOINT)
groups = IamAccessGroupsV2(authenticator=authenticator)
groups.set_service_url(ENDPOINT)


def refused(call, status, text=""):
    try:
        call()
    except ApiException as error:
        assert error.status_code == status, error
        assert text in str(error), error
        return error
    raise SystemExit(f"not refused with {status}")


def v1(region, role=VIEWER):
    attributes = {"accountId": ACCOUNT_ID, "serviceName": "containers-kubernetes", "region": region}
    return {
        "type": "access",
        "subjects": [PolicySubject(attributes=[SubjectAttribute(name="iam_id", value=IAM_ID)])],
        "roles": [PolicyRole(role_id=role)],
        "resources": [
            PolicyResource(attributes=[ResourceAttribute(name=n, value=v, operator="stringEquals") for n, v in attributes.items()])
        ],
    }


def v2(subject, region, role=VIEWER):
    key = "access_group_id" if subject.startswith("AccessGroupId-") else "iam_id"
    attributes = {"accountId": ACCOUNT_ID, "serviceName": "containers-kubernetes", "region": region}
    return {
        "type": "access",
        "control": Control(grant=Grant(roles=[Roles(role_id=role)])),
        "subject": V2PolicySubject(attributes=[V2PolicySubjectAttribute(key=key, operator="stringEquals", value=subject)]),
        "resource": V2PolicyResource(
            attributes=[V2PolicyResourceAttribute(key=k, operator="stringEquals", value=v) for k, v in attributes.items()]
        ),
    }


def policies_of_the_older_api():
    made = policies.create_policy(**v1("eu-de"))
    assert made.get_status_code() == 201
    policy = made.get_result()
    got = policies.get_policy(policy["id"])
    etag = got.get_headers()["ETag"]
    replaced = policies.replace_policy(policy["id"], etag, **v1("eu-de", EDITOR))
    assert replaced.get_result()["roles"][0]["role_id"] == EDITOR
    refused(lambda: policies.replace_policy(policy["id"], etag, **v1("eu-gb")), 412)
    etag = replaced.get_headers()["ETag"]
    assert policies.update_policy_state(policy["id"], etag, state="active").get_result()["state"] == "active"
    refused(lambda: policies.create_policy(**v1("eu-de", EDITOR)), 409, policy["id"])
    assert policies.delete_policy(policy["id"]).get_status_code() == 204
    refused(lambda: policies.delete_policy(policy["id"]), 404)
    refused(lambda: policies.create_policy(**v1("eu-de", "Viewer")), 400, "There is no role")


def policies_by_the_page():
    made = sorted(policies.create_policy(**v1(region)).get_result()["id"] for region in ("a", "b", "c", "d", "e"))
    for pager in (PoliciesPager, V2PoliciesPager):
        every = pager(client=policies, account_id=ACCOUNT_ID, iam_id=IAM_ID, limit=2)
        pages = []
        while every.has_next():
            pages.append([policy["id"] for policy in every.get_next()])
        assert [len(page) for page in pages] == [2, 2, 1], pages
        assert sorted(sum(pages, [])) == made
    for policy in made:
        policies.delete_policy(policy)
    assert policies.list_policies(ACCOUNT_ID, iam_id=IAM_ID).get_result()["policies"] == []


def policies_of_the_newer_api():
    policy = policies.create_v2_policy(**v2(IAM_ID, "eu-de")).get_result()
    etag = policies.get_v2_policy(policy["id"]).get_headers()["ETag"]
    changed = policies.replace_v2_policy(policy["id"], etag, **v2(IAM_ID, "eu-gb", EDITOR)).get_result()
    assert changed["control"]["grant"]["roles"] == [{"role_id": EDITOR}]
    refused(lambda: policies.replace_v2_policy(policy["id"], etag, **v2(IAM_ID, "eu-gb")), 412)
    refused(lambda: policies.create_v2_policy(**v2("IBMid-nobody", "eu-de")), 400, "IBMid-nobody")
    policies.delete_v2_policy(policy["id"])
    assert policies.get_v2_policy(policy["id"]).get_result()["state"] == "deleted"


def roles():
    everywhere = policies.list_roles().get_result()
    assert [role["display_name"] for role in everywhere["system_roles"]] == ["Viewer", "Editor", "Operator", "Administrator"]
    service = policies.list_roles(account_id=ACCOUNT_ID, service_name="containers-kubernetes").get_result()
    assert [role["display_name"] for role in service["service_roles"]] == ["Reader", "Writer", "Manager"]
    actions = ["containers-kubernetes.cluster.read"]
    made = policies.create_role("Watcher", actions, "Watcher", ACCOUNT_ID, "containers-kubernetes")
    role, etag = made.get_result(), policies.get_role(made.get_result()["id"]).get_headers()["ETag"]
    changed = policies.replace_role(role["id"], etag, "Keeper", actions, description="keeps watch").get_result()
    assert (changed["display_name"], changed["name"]) == ("Keeper", "Watcher")
    listed = policies.list_roles(account_id=ACCOUNT_ID, service_name="containers-kubernetes").get_result()["custom_roles"]
    assert [role["id"] for role in listed] == [role["id"]]
    policy = policies.create_v2_policy(**v2(IAM_ID, "eu-de", role["crn"])).get_result()
    refused(lambda: policies.delete_role(role["id"]), 409, policy["id"])
    policies.delete_v2_policy(policy["id"])
    policies.delete_role(role["id"])
    refused(lambda: policies.get_role(role["id"]), 404)


def access_groups():
    made = [groups.create_access_group(ACCOUNT_ID, name=f"team {n}").get_result()["id"] for n in range(5)]
    every = AccessGroupsPager(client=groups, account_id=ACCOUNT_ID, hide_public_access=True, limit=2)
    assert [group["id"] for group in every.get_all()] == made
    refused(lambda: groups.create_access_group(ACCOUNT_ID, name="Team 0"), 409)
    etag = groups.get_access_group(made[0]).get_headers()["ETag"]
    assert groups.update_access_group(made[0], etag, description="first").get_result()["description"] == "first"
    refused(lambda: groups.update_access_group(made[0], etag, description="second"), 409)

    member = AddGroupMembersRequestMembersItem(iam_id=IAM_ID, type="user")
    added = groups.add_members_to_access_group(made[0], members=[member])
    assert (added.get_status_code(), added.get_result()["members"][0]["status_code"]) == (207, 200)
    assert groups.is_member_of_access_group(made[0], IAM_ID).get_status_code() == 204
    refused(lambda: groups.is_member_of_access_group(made[1], IAM_ID), 404)
    assert len(AccessGroupMembersPager(client=groups, access_group_id=made[0], limit=1).get_all()) == 1
    groups.add_member_to_multiple_access_groups(ACCOUNT_ID, IAM_ID, type="user", groups=made[1:3])
    assert len(groups.list_access_groups(ACCOUNT_ID, iam_id=IAM_ID).get_result()["groups"]) == 3
    groups.remove_member_from_access_group(made[0], IAM_ID)
    groups.remove_members_from_access_group(made[1], members=[IAM_ID])
    groups.remove_member_from_all_access_groups(ACCOUNT_ID, IAM_ID)
    refused(lambda: groups.remove_member_from_all_access_groups(ACCOUNT_ID, IAM_ID), 404)
    policies.create_v2_policy(**v2(made[4], "eu-de"))
    for group in made:
        groups.delete_access_group(group, force=True)
    refused(lambda: groups.get_access_group(made[4]), 404)
    assert policies.list_v2_policies(ACCOUNT_ID, access_group_id=made[4]).get_result()["policies"] == []


def rules_and_settings():
    group = groups.create_access_group(ACCOUNT_ID, name="federated").get_result()["id"]
    conditions = [RuleConditions(claim="groups", operator="CONTAINS", value='"team"')]
    rule = groups.add_access_group_rule(group, 12, "https://idp.example.com", conditions, name="team").get_result()
    etag = groups.get_access_group_rule(group, rule["id"]).get_headers()["ETag"]
    replaced = groups.replace_access_group_rule(group, rule["id"], etag, 8, "https://idp.example.com", conditions)
    assert replaced.get_result()["expiration"] == 8
    refused(lambda: groups.replace_access_group_rule(group, rule["id"], etag, 9, "https://idp.example.com", conditions), 409)
    assert len(groups.list_access_group_rules(group).get_result()["rules"]) == 1
    groups.remove_access_group_rule(group, rule["id"])
    groups.delete_access_group(group)
    assert groups.get_account_settings(ACCOUNT_ID).get_result()["public_access_enabled"] is True
    assert groups.update_account_settings(ACCOUNT_ID, public_access_enabled=False).get_result()["public_access_enabled"] is False


for scenario in (policies_of_the_older_api, policies_by_the_page, policies_of_the_newer_api, roles, access_groups, rules_and_settings):
    scenario()
    print("ok:", scenario.__name__)
