// IamIdentityV1 of @ibm-cloud/platform-services and the authenticators of ibm-cloud-sdk-core, as their users write them.
//
// Run by tests/identity_management.rs with the address and the credentials of a server in the environment. NODE_EXTRA_CA_CERTS points
// at the server's authority. Any failed assertion ends the program with a stack.

import assert from 'node:assert/strict';
import { BaseService, IamAssumeAuthenticator, IamAuthenticator } from 'ibm-cloud-sdk-core';
import IamIdentityV1 from '@ibm-cloud/platform-services/iam-identity/v1.js';

const { ENDPOINT, APIKEY, ACCOUNT_ID: accountId, ADMINISTRATOR_APIKEY } = process.env;

const Identity = IamIdentityV1.default ?? IamIdentityV1;
const made = (authenticator) => new Identity({ authenticator, serviceUrl: ENDPOINT });
const iam = made(new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT }));
const iamId = (await iam.getApiKeysDetails({ iamApiKey: APIKEY })).result.iam_id;

async function refused(promise, status) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, status, `${error.status} ${error.message}`);
    assert.ok(error.result.errors[0].code, JSON.stringify(error.result));
    return true;
  });
}

// Moves the server's clock and, for the rest of this program, Node's. The SDK compares a token's dates with its own.
let ahead = 0;
const systemNow = Date.now;
Date.now = () => systemNow() + ahead * 1000;

async function advanceBothClocks(seconds) {
  const authenticator = new IamAuthenticator({ apikey: ADMINISTRATOR_APIKEY, url: ENDPOINT });
  const service = new BaseService({ authenticator, serviceUrl: ENDPOINT });
  await service.createRequest({
    options: { url: '/_boatyard/clock', method: 'POST', body: { advance_seconds: seconds } },
    defaultOptions: { ...service.baseOptions, headers: { 'Content-Type': 'application/json' } },
  });
  ahead += seconds;
}

const whoIs = async (authenticator) => {
  const service = new BaseService({ authenticator, serviceUrl: ENDPOINT });
  const answer = await service.createRequest({
    options: { url: '/identity/userinfo', method: 'GET' },
    defaultOptions: { ...service.baseOptions, headers: { Accept: 'application/json' } },
  });
  return answer.result.iam_id;
};

// Items of every page of a list, in order.
async function paged(list, member, query) {
  const items = [];
  for (let pagetoken; ; ) {
    const page = (await list({ ...query, pagesize: 2, pagetoken })).result;
    assert.ok(page[member].length <= 2);
    items.push(...page[member]);
    if (!page.next) return items;
    pagetoken = new URL(page.next).searchParams.get('pagetoken');
  }
}

const scenarios = {
  async 'makes, pages, changes, locks and deletes API keys'() {
    const key = (await iam.createApiKey({ name: 'one', iamId, description: 'first', entityLock: 'true' })).result;
    assert.ok(key.apikey.length >= 32 && key.locked);
    const read = await iam.getApiKey({ id: key.id });
    assert.equal(read.result.apikey, '');
    await refused(iam.updateApiKey({ id: key.id, ifMatch: read.headers.etag, name: 'two' }), 409);
    await iam.unlockApiKey({ id: key.id });
    await refused(iam.updateApiKey({ id: key.id, ifMatch: read.headers.etag, name: 'two' }), 409);
    assert.equal((await iam.updateApiKey({ id: key.id, ifMatch: '*', name: 'two' })).result.name, 'two');
    const names = [];
    for (let pagetoken; ; ) {
      const page = (await iam.listApiKeys({ accountId, iamId, pagesize: 1, pagetoken })).result;
      names.push(...page.apikeys.map((one) => one.name));
      if (!page.next) break;
      pagetoken = new URL(page.next).searchParams.get('pagetoken');
    }
    assert.ok(names.length >= 2 && names.includes('two'), names.join());
    await iam.disableApiKey({ id: key.id });
    await assert.rejects(whoIs(new IamAuthenticator({ apikey: key.apikey, url: ENDPOINT })));
    await iam.enableApiKey({ id: key.id });
    assert.equal(await whoIs(new IamAuthenticator({ apikey: key.apikey, url: ENDPOINT })), iamId);
    assert.equal((await iam.deleteApiKey({ id: key.id })).status, 204);
    await refused(iam.getApiKey({ id: key.id }), 404);
  },

  async 'a key that is to be kept can be read again, and only that of a service ID'() {
    const robot = (await iam.createServiceId({ accountId, name: 'kept', apikey: { name: 'kept', store_value: true } })).result;
    assert.equal((await iam.getApiKey({ id: robot.apikey.id })).result.apikey, robot.apikey.apikey);
    await refused(iam.createApiKey({ name: 'mine', iamId, storeValue: true }), 400);
    await iam.deleteServiceId({ id: robot.id });
    await refused(iam.getApiKey({ id: robot.apikey.id }), 404);
  },

  async 'makes, pages, changes, locks and deletes service IDs'() {
    const made = [];
    for (let n = 0; n < 5; n += 1) made.push((await iam.createServiceId({ accountId, name: `page-${n}` })).result);
    const query = { accountId, sort: 'name' };
    const seen = (await paged((q) => iam.listServiceIds(q), 'serviceids', query)).map((one) => one.name);
    assert.deepEqual(seen.filter((name) => name.startsWith('page-')), made.map((one) => one.name));
    const [{ id }] = made;
    const read = await iam.getServiceId({ id });
    const change = { id, ifMatch: read.headers.etag, name: 'renamed', description: 'changed' };
    assert.equal((await iam.updateServiceId(change)).result.description, 'changed');
    await refused(iam.updateServiceId(change), 409);
    await iam.lockServiceId({ id });
    await refused(iam.updateServiceId({ id, ifMatch: '*', name: 'locked' }), 409);
    await refused(iam.deleteServiceId({ id }), 409);
    await iam.unlockServiceId({ id });
    assert.equal((await iam.updateServiceId({ id, ifMatch: '*', name: 'unlocked' })).result.name, 'unlocked');
    for (const one of made) await iam.deleteServiceId({ id: one.id });
    await refused(iam.getServiceId({ id }), 404);
  },

  async 'makes, pages, changes and deletes trusted profiles'() {
    const made = [];
    for (let n = 0; n < 5; n += 1) made.push((await iam.createProfile({ accountId, name: `page-${n}` })).result);
    const query = { accountId, sort: 'name' };
    const seen = (await paged((q) => iam.listProfiles(q), 'profiles', query)).map((one) => one.name);
    assert.deepEqual(seen.filter((name) => name.startsWith('page-')), made.map((one) => one.name));
    const [{ id: profileId }] = made;
    const read = await iam.getProfile({ profileId });
    const change = { profileId, ifMatch: read.headers.etag, name: 'renamed', description: 'changed' };
    assert.equal((await iam.updateProfile(change)).result.name, 'renamed');
    await refused(iam.updateProfile(change), 409);
    await refused(iam.updateProfile({ profileId, ifMatch: '*', name: 'page-1' }), 409);
    for (const one of made) await iam.deleteProfile({ profileId: one.id });
    await refused(iam.getProfile({ profileId }), 404);
  },

  async 'a key, the key of a service ID and a trusted profile work past the expiry of their tokens'() {
    const robot = (await iam.createServiceId({ accountId, name: 'robot', apikey: { name: 'key' } })).result;
    const profile = (await iam.createProfile({ accountId, name: 'assumed' })).result;
    const trust = { profileId: profile.id, identityType: 'user', identifier: iamId, type: 'user', accounts: [accountId] };
    await iam.setProfileIdentity(trust);
    const authenticators = {
      key: [iamId, new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT })],
      'service ID': [robot.iam_id, new IamAuthenticator({ apikey: robot.apikey.apikey, url: ENDPOINT })],
      profile: [profile.iam_id, new IamAssumeAuthenticator({ apikey: APIKEY, iamProfileId: profile.id, url: ENDPOINT })],
    };
    const check = async () => {
      for (const [what, [expected, authenticator]] of Object.entries(authenticators)) {
        assert.equal(await whoIs(authenticator), expected, what);
      }
    };
    await check();
    await advanceBothClocks(2 * 3600);
    await check();
    await iam.deleteProfile({ profileId: profile.id });
    await assert.rejects(whoIs(authenticators.profile[1]), 'a profile that is gone');
  },

  async 'reads and changes account settings'() {
    const before = (await iam.getAccountSettings({ accountId })).result;
    assert.equal(before.session_expiration_in_seconds, 'NOT_SET');
    await refused(iam.updateAccountSettings({ ifMatch: before.entity_tag, accountId, sessionExpirationInSeconds: '5' }), 400);
    const change = { ifMatch: before.entity_tag, accountId, systemAccessTokenExpirationInSeconds: '900' };
    assert.equal((await iam.updateAccountSettings(change)).result.system_access_token_expiration_in_seconds, '900');
    await refused(iam.updateAccountSettings(change), 409);
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  await scenario();
  console.log(`ok: ${name}`);
}
