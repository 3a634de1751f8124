/** The source of Nodes as the agent makes it of its flags: what it says at the start. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeSourceOf } from "../../src/agent/node-feed.ts";
import { type LogFields, silentLog } from "../../src/runtime/log.ts";
import { until } from "../k8s/recorder.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { agentConfig } from "./node-chain.ts";

/** Lines of level warn of a source that begins with a kubeconfig whose user has a token. */
async function warnings(t: TestContext, server: string): Promise<readonly unknown[]> {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-feed-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const kubeconfig = join(folder, "kubeconfig");
  const config = {
    clusters: [{ name: "c", cluster: { server } }],
    users: [{ name: "u", user: { token: "s3cr3t-token" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  const said: unknown[] = [];
  const warn = (fields: LogFields, message: string) => said.push({ ...fields, message });
  const source = nodeSourceOf(agentConfig({ kubeconfig, "state-dir": folder }), {
    clock: new FakeClock(),
    random: () => 0,
    log: { ...silentLog, warn },
  });
  assert.ok(source !== undefined);
  source.start(() => {});
  await until("it asks", () => source.status().origin === server);
  await source.stop();
  return said;
}

test("that credentials are not used over http is said once, without them", async (t) => {
  assert.deepEqual(await warnings(t, "http://127.0.0.1:1"), [
    {
      reason:
        'the server of context "x", http://127.0.0.1:1, is without TLS: what its user "u" has to ' +
        "say who it is (token, password, plugin, certificate) is not used, as by kubectl",
      message: "the API server is told no credentials",
    },
  ]);
  assert.deepEqual(await warnings(t, "https://127.0.0.1:1"), []);
});
