// @ibm-cloud/platform-services for Node as its users write it: policies, roles and access groups.
//
// Run by tests/access.rs with the address and the credentials of an account's owner in the environment. NODE_EXTRA_CA_CERTS points
// at the server's authority. Any failed assertion ends the program with a stack.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { IamAuthenticator } from 'ibm-cloud-sdk-core';

const require = createRequire(import.meta.url);
const IamPolicyManagementV1 = require('@ibm-cloud/platform-services/iam-policy-management/v1');
const IamAccessGroupsV2 = require('@ibm-cloud/platform-services/iam-access-groups/v2');

const { ENDPOINT, APIKEY, ACCOUNT_ID: accountId, IAM_ID: iamId } = process.env;
const VIEWER = 'crn:v1:bluemix:public:iam::::role:Viewer';
const EDITOR = 'crn:v1:bluemix:public:iam::::role:Editor';

const authenticator = new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT });
const policies = new IamPolicyManagementV1({ authenticator, serviceUrl: ENDPOINT });
const groups = new IamAccessGroupsV2({ authenticator, serviceUrl: ENDPOINT });

async function refused(promise, status, message) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, status, `${error.status} ${error.message}`);
    if (message) assert.match(error.message, message);
    return true;
  });
}

const v1 = (region, role = VIEWER) => ({
  type: 'access',
  subjects: [{ attributes: [{ name: 'iam_id', value: iamId }] }],
  roles: [{ role_id: role }],
  resources: [{
    attributes: Object.entries({ accountId, serviceName: 'containers-kubernetes', region })
      .map(([name, value]) => ({ name, value, operator: 'stringEquals' })),
  }],
});

const v2 = (region, role = VIEWER) => ({
  type: 'access',
  control: { grant: { roles: [{ role_id: role }] } },
  subject: { attributes: [{ key: 'iam_id', operator: 'stringEquals', value: iamId }] },
  resource: {
    attributes: Object.entries({ accountId, serviceName: 'containers-kubernetes', region })
      .map(([key, value]) => ({ key, value, operator: 'stringEquals' })),
  },
});

const scenarios = {
  async 'policies of the older API'() {
    const { result: { id }, status } = await policies.createPolicy(v1('eu-de'));
    assert.equal(status, 201);
    const { headers: { etag: ifMatch } } = await policies.getPolicy({ policyId: id });
    const { result } = await policies.replacePolicy({ policyId: id, ifMatch, ...v1('eu-de', EDITOR) });
    assert.equal(result.roles[0].role_id, EDITOR);
    await refused(policies.replacePolicy({ policyId: id, ifMatch, ...v1('eu-gb') }), 412);
    await refused(policies.createPolicy(v1('eu-de', EDITOR)), 409, new RegExp(id));
    await policies.deletePolicy({ policyId: id });
    await refused(policies.deletePolicy({ policyId: id }), 404);
  },

  async 'policies of the newer API, by the page'() {
    const made = [];
    for (const region of ['a', 'b', 'c', 'd', 'e']) {
      made.push((await policies.createV2Policy(v2(region))).result.id);
    }
    for (const Pager of [IamPolicyManagementV1.PoliciesPager, IamPolicyManagementV1.V2PoliciesPager]) {
      const all = await new Pager(policies, { accountId, iamId, limit: 2 }).getAll();
      assert.deepEqual(all.map((policy) => policy.id).sort(), [...made].sort());
    }
    const { headers: { etag: ifMatch } } = await policies.getV2Policy({ id: made[0] });
    const { result } = await policies.replaceV2Policy({ id: made[0], ifMatch, ...v2('f', EDITOR) });
    assert.deepEqual(result.control.grant.roles, [{ role_id: EDITOR }]);
    for (const id of made) await policies.deleteV2Policy({ id });
    await refused(policies.createV2Policy(v2('a', 'Viewer')), 400, /There is no role/);
  },

  async roles() {
    const role = { displayName: 'Watcher', actions: ['containers-kubernetes.cluster.read'] };
    const { result } = await policies.createRole({ ...role, name: 'Watcher', accountId, serviceName: 'containers-kubernetes' });
    const { headers: { etag: ifMatch } } = await policies.getRole({ roleId: result.id });
    await policies.replaceRole({ roleId: result.id, ifMatch, ...role, displayName: 'Keeper' });
    await refused(policies.replaceRole({ roleId: result.id, ifMatch, ...role }), 412);
    const { result: list } = await policies.listRoles({ accountId, serviceName: 'containers-kubernetes' });
    assert.deepEqual(list.custom_roles.map((custom) => custom.display_name), ['Keeper']);
    assert.deepEqual(list.service_roles.map((known) => known.display_name), ['Reader', 'Writer', 'Manager']);
    await policies.deleteRole({ roleId: result.id });
    await refused(policies.getRole({ roleId: result.id }), 404);
  },

  async 'access groups, by the page'() {
    const made = [];
    for (const name of ['a', 'b', 'c']) {
      made.push((await groups.createAccessGroup({ accountId, name })).result.id);
    }
    const all = await new IamAccessGroupsV2.AccessGroupsPager(groups, { accountId, hidePublicAccess: true, limit: 2 }).getAll();
    assert.deepEqual(all.map((group) => group.id), made);
    const [accessGroupId] = made;
    const { headers: { etag: ifMatch } } = await groups.getAccessGroup({ accessGroupId });
    await groups.updateAccessGroup({ accessGroupId, ifMatch, description: 'first' });
    await refused(groups.updateAccessGroup({ accessGroupId, ifMatch, description: 'second' }), 409);
    await groups.addMembersToAccessGroup({ accessGroupId, members: [{ iam_id: iamId, type: 'user' }] });
    assert.equal((await groups.isMemberOfAccessGroup({ accessGroupId, iamId })).status, 204);
    const members = await new IamAccessGroupsV2.AccessGroupMembersPager(groups, { accessGroupId, limit: 10 }).getAll();
    assert.deepEqual(members.map((member) => member.iam_id), [iamId]);
    await refused(groups.deleteAccessGroup({ accessGroupId }), 409, /force/);
    for (const id of made) await groups.deleteAccessGroup({ accessGroupId: id, force: true });
    await refused(groups.getAccessGroup({ accessGroupId }), 404);
  },

  async 'rules of an access group'() {
    const { result: { id: accessGroupId } } = await groups.createAccessGroup({ accountId, name: 'federated' });
    const rule = {
      accessGroupId, expiration: 12, realmName: 'https://idp.example.com',
      conditions: [{ claim: 'groups', operator: 'CONTAINS', value: '"team"' }],
    };
    const { result: { id: ruleId } } = await groups.addAccessGroupRule(rule);
    const { headers: { etag: ifMatch } } = await groups.getAccessGroupRule({ accessGroupId, ruleId });
    assert.equal((await groups.replaceAccessGroupRule({ ...rule, ruleId, ifMatch, expiration: 8 })).result.expiration, 8);
    await refused(groups.replaceAccessGroupRule({ ...rule, ruleId, ifMatch }), 409);
    await groups.removeAccessGroupRule({ accessGroupId, ruleId });
    assert.deepEqual((await groups.listAccessGroupRules({ accessGroupId })).result.rules, []);
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  await scenario();
  console.log('ok:', name);
}
