// An OpenID Connect provider with one client, on a free port. It prints the port, answers 503 until a line of JSON on standard input
// names the client, and ends with standard input. Whoever logs in is who they say; any password is right.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

const server = createServer({ cert: readFileSync(process.env.CERTIFICATE), key: readFileSync(process.env.KEY) });
let answer = (_, response) => response.writeHead(503).end();
server.on("request", (request, response) => answer(request, response));

const account = (name) => ({
  accountId: name,
  claims: () => ({
    sub: name,
    email: `${name}@example.com`,
    email_verified: !name.startsWith("unverified"),
    given_name: "Ada",
    family_name: "<b>Byron</b>",
    groups: ["boaters", "menders"],
  }),
});

const provider = (client) =>
  new Provider(`https://localhost:${server.address().port}`, {
    clients: [{ ...client, response_types: ["code"], grant_types: ["authorization_code"] }],
    claims: { email: ["email", "email_verified"], profile: ["given_name", "family_name", "groups"] },
    findAccount: (_, name) => account(name),
    cookies: { keys: ["only for tests"] },
  });

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => (answer = provider(JSON.parse(line)).callback()));
lines.on("close", () => process.exit(0));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
