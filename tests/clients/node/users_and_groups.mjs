// UserManagementV1 and ResourceManagerV2 of @ibm-cloud/platform-services, as its users write them.
//
// Run by tests/sdk_users.rs with the address and the credentials of a server in the environment. NODE_EXTRA_CA_CERTS points at
// the server's authority. Any failed assertion ends the program with a stack.

import assert from 'node:assert/strict';
import { IamAuthenticator } from 'ibm-cloud-sdk-core';
import ResourceManagerV2 from '@ibm-cloud/platform-services/resource-manager/v2.js';
import UserManagementV1 from '@ibm-cloud/platform-services/user-management/v1.js';

const { ENDPOINT, APIKEY, ACCOUNT_ID: accountId, IBMCLOUD_USERNAME: owner } = process.env;

const made = (Service) => new (Service.default ?? Service)({
  authenticator: new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT }), serviceUrl: ENDPOINT,
});
const users = made(UserManagementV1);
const groups = made(ResourceManagerV2);
const { UsersPager } = UserManagementV1.default ?? UserManagementV1;

async function refused(promise, status, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, status, `${error.status} ${error.message}`);
    assert.equal(error.result.errors[0].code, code);
    return true;
  });
}

const scenarios = {
  async 'invites, pages and removes users'() {
    const invited = await users.inviteUsers({ accountId, users: [{ email: 'node-1@example.com', account_role: 'Member' }, { email: 'node-2@example.com' }] });
    assert.equal(invited.status, 202);
    const [first, second] = invited.result.resources;
    assert.deepEqual([first.state, second.state], ['PENDING', 'PENDING']);
    const pager = new UsersPager(users, { accountId, limit: 1 });
    const names = (await pager.getAll()).map((user) => user.user_id);
    assert.equal(names[0], owner);
    assert.deepEqual(names.slice(1).sort(), ['node-1@example.com', 'node-2@example.com']);
    assert.equal((await users.removeUser({ accountId, iamId: first.id })).status, 204);
    assert.equal((await users.v3RemoveUser({ accountId, iamId: second.id })).status, 202);
    await refused(users.getUserProfile({ accountId, iamId: first.id }), 404, 'not_found');
  },

  async 'changes profile and settings'() {
    const { iam_id: iamId } = (await users.listUsers({ accountId, userId: owner })).result.resources[0];
    assert.equal((await users.updateUserProfile({ accountId, iamId, phonenumber: '123456789' })).status, 204);
    assert.equal((await users.getUserProfile({ accountId, iamId })).result.phonenumber, '123456789');
    await users.updateUserSettings({ accountId, iamId, language: 'en-us', selfManage: true });
    const settings = (await users.getUserSettings({ accountId, iamId })).result;
    assert.deepEqual(settings, { language: 'en-us', notification_language: '', allowed_ip_addresses: '', self_manage: true });
    await refused(users.updateUserProfile({ accountId, iamId, state: 'VPN_ONLY' }), 400, 'owner');
  },

  async 'makes, renames and deletes a resource group'() {
    const { id } = (await groups.createResourceGroup({ name: 'node', accountId })).result;
    assert.equal((await groups.updateResourceGroup({ id, name: 'renamed' })).result.name, 'renamed');
    const listed = (await groups.listResourceGroups({ accountId })).result.resources.map((group) => group.name);
    assert.deepEqual(listed, ['Default', 'renamed']);
    await refused(groups.createResourceGroup({ name: 'renamed', accountId }), 409, 'conflict');
    assert.equal((await groups.deleteResourceGroup({ id })).status, 204);
    await refused(groups.getResourceGroup({ id }), 404, 'not_found');
    const [quota] = (await groups.listQuotaDefinitions()).result.resources;
    assert.deepEqual((await groups.getQuotaDefinition({ id: quota.id })).result, quota);
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  await scenario();
  console.log('ok:', name);
}
