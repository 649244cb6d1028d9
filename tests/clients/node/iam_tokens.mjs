// ibm-cloud-sdk-core for Node as its users write it: an authenticator, a service, a call.
//
// Run by tests/sdk_node.rs with the address and the credentials of a server in the environment. NODE_EXTRA_CA_CERTS points at
// the server's authority. Any failed assertion ends the program with a stack.

import assert from 'node:assert/strict';
import {
  BaseService,
  BearerTokenAuthenticator,
  IamAuthenticator,
  IamRequestBasedAuthenticator,
  NoAuthAuthenticator,
  getAuthenticatorFromEnvironment,
} from 'ibm-cloud-sdk-core';

const { ENDPOINT, APIKEY, ACCOUNT_ID, ADMINISTRATOR_APIKEY } = process.env;

class Clusters extends BaseService {
  constructor(authenticator, options = {}) {
    super({ authenticator, serviceUrl: `${ENDPOINT}/global`, ...options });
  }

  async names(url, qs = {}) {
    const response = await this.createRequest({
      options: { url, method: 'GET', qs },
      defaultOptions: { ...this.baseOptions, headers: { Accept: 'application/json' } },
    });
    assert.equal(response.status, 200);
    return response.result.map((cluster) => cluster.name).sort();
  }
}

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());

async function listsClusters(service) {
  assert.deepEqual(await service.names('/v2/vpc/getClusters', { provider: 'vpc-gen2' }), ['sdk-vpc']);
  assert.deepEqual(await service.names('/v2/classic/getClusters'), ['sdk-classic']);
  assert.deepEqual(await service.names('/v2/clusters'), ['sdk-classic', 'sdk-vpc']);
  assert.deepEqual(await service.names('/v1/clusters'), ['sdk-classic']);
}

async function refused(promise, status, message) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.status, status, `${error.status} ${error.message}`);
    if (message) assert.match(error.message, message);
    return true;
  });
}

// Moves the server's clock and, for the rest of this program, Node's. The SDK compares a token's dates with its own.
let ahead = 0;
const systemNow = Date.now;
Date.now = () => systemNow() + ahead * 1000;

async function advanceBothClocks(seconds) {
  const authenticator = new IamAuthenticator({ apikey: ADMINISTRATOR_APIKEY, url: ENDPOINT });
  const service = new Clusters(authenticator, { serviceUrl: ENDPOINT });
  await service.createRequest({
    options: { url: '/_boatyard/clock', method: 'POST', body: { advance_seconds: seconds } },
    defaultOptions: { ...service.baseOptions, headers: { 'Content-Type': 'application/json' } },
  });
  ahead += seconds;
}

const scenarios = {
  async 'API key without a client'() {
    const authenticator = new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT });
    await listsClusters(new Clusters(authenticator));
    const token = await authenticator.tokenManager.getToken();
    assert.equal(claims(token).client_id, 'default');
    assert.equal(claims(token).account.bss, ACCOUNT_ID);
    assert.equal(await authenticator.tokenManager.getToken(), token, 'a token that is good is used again');
  },

  async 'API key as client bx'() {
    const authenticator = new IamAuthenticator({
      apikey: APIKEY, url: `${ENDPOINT}/identity/token`, clientId: 'bx', clientSecret: 'bx', scope: 'ibm openid',
    });
    assert.ok(authenticator instanceof IamRequestBasedAuthenticator);
    await listsClusters(new Clusters(authenticator));
    const token = await authenticator.tokenManager.getToken();
    assert.equal(claims(token).client_id, 'bx');
    assert.ok(!['', 'not_supported', undefined].includes(authenticator.getRefreshToken()));
  },

  async 'client set after construction'() {
    const authenticator = new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT });
    authenticator.setClientIdAndSecret('bx', 'bx');
    authenticator.setScope('ibm openid');
    authenticator.setHeaders({ 'X-Request-ID': 'from-the-node-sdk' });
    await listsClusters(new Clusters(authenticator));
    assert.equal(claims(await authenticator.tokenManager.getToken()).client_id, 'bx');
  },

  async 'a service configured from the environment'() {
    process.env.CLUSTERS_URL = `${ENDPOINT}/global`;
    process.env.CLUSTERS_AUTH_TYPE = 'iam';
    process.env.CLUSTERS_AUTH_URL = ENDPOINT;
    process.env.CLUSTERS_APIKEY = APIKEY;
    const service = new Clusters(getAuthenticatorFromEnvironment('clusters'));
    service.configureService('clusters');
    await listsClusters(service);
  },

  async 'bearer token'() {
    const bearerToken = await new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT }).tokenManager.getToken();
    await listsClusters(new Clusters(new BearerTokenAuthenticator({ bearerToken })));
  },

  async 'no authentication'() {
    await refused(new Clusters(new NoAuthAuthenticator()).names('/v2/clusters'), 401);
  },

  async 'plain HTTP on the same port'() {
    const plain = ENDPOINT.replace('https://', 'http://');
    const authenticator = new IamAuthenticator({ apikey: APIKEY, url: plain });
    await listsClusters(new Clusters(authenticator, { serviceUrl: `${plain}/global` }));
  },

  async 'wrong API key'() {
    const authenticator = new IamAuthenticator({ apikey: `${APIKEY.slice(0, -4)}0000`, url: ENDPOINT });
    await refused(authenticator.tokenManager.getToken(), 400);
    await assert.rejects(authenticator.tokenManager.getToken(), (error) => {
      const body = typeof error.body === 'string' ? JSON.parse(error.body) : (error.result ?? error.body);
      assert.equal(body.errorCode, 'BXNIM0415E');
      assert.match(body.errorMessage, /API key could not be found/);
      return true;
    });
  },

  async 'calls at the same time ask for one token'() {
    const authenticator = new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT });
    const tokens = await Promise.all(Array.from({ length: 8 }, () => authenticator.tokenManager.getToken()));
    assert.equal(new Set(tokens).size, 1);
  },

  async 'refreshes in the last fifth of a token’s life'() {
    const authenticator = new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT });
    const service = new Clusters(authenticator);
    await listsClusters(service);
    const first = await authenticator.tokenManager.getToken();
    await advanceBothClocks(3000);
    await listsClusters(service);
    // The refresh runs in the background, beside the call that noticed; later calls get its token.
    let second = first;
    for (let attempt = 0; attempt < 500 && second === first; attempt += 1) {
      await new Promise((resolve) => { setTimeout(resolve, 10); });
      second = await authenticator.tokenManager.getToken();
    }
    assert.ok(claims(second).iat >= claims(first).iat + 3000, 'the token was not refreshed ahead of its end');
  },

  async 'replaces an expired token'() {
    const authenticator = new IamAuthenticator({ apikey: APIKEY, url: ENDPOINT, clientId: 'bx', clientSecret: 'bx' });
    const service = new Clusters(authenticator);
    await listsClusters(service);
    const first = await authenticator.tokenManager.getToken();
    await advanceBothClocks(3601);
    await refused(new Clusters(new BearerTokenAuthenticator({ bearerToken: first })).names('/v2/clusters'), 401);
    await listsClusters(service);
    assert.notEqual(await authenticator.tokenManager.getToken(), first);
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  await scenario();
  console.log('ok:', name);
}
