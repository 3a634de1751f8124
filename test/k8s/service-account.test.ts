/** The service account of a pod: who the agent is in a cluster, and what may be wrong with it. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadKubeAccess } from "../../src/k8s/kube-config.ts";
import { TLS_FILE_BYTES_MAX, TOKEN_BYTES_MAX } from "../../src/k8s/limits.ts";
import { refusal, TOKEN } from "./refused-access.ts";

const environment = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

/** An empty folder in the place of the service account's, below `root`. */
async function mount(t: TestContext): Promise<{ root: string; folder: string }> {
  const root = await mkdtemp(join(tmpdir(), "podrouter-sa-"));
  t.after(() => rm(root, { recursive: true }));
  const folder = join(root, "var/run/secrets/kubernetes.io/serviceaccount");
  await mkdir(folder, { recursive: true });
  return { root, folder };
}

test("the service account", async (t) => {
  const { root, folder } = await mount(t);
  await writeFile(join(folder, "token"), TOKEN);
  const missing = refusal({ kubeconfig: undefined, root, environment });
  assert.match(missing, /ca\.crt is missing\): give --kubeconfig FILE, or --nodes-file FILE/);
  await writeFile(join(folder, "ca.crt"), "CA");
  const access = loadKubeAccess({ kubeconfig: undefined, root, environment });
  const options = await access.requestOptions();
  assert.equal(access.server.href, "https://10.96.0.1/");
  assert.deepEqual(options.headers, { Authorization: `Bearer ${TOKEN}` });
  assert.equal(String(options.ca), "CA");
});

test("a token or a CA with nothing in it, or without end, is said at the start", async (t) => {
  const { root, folder } = await mount(t);
  const [token, ca] = [join(folder, "token"), join(folder, "ca.crt")];
  for (const [texts, problem] of [
    [[TOKEN, ""], `${ca}: is empty`],
    [[TOKEN, " \n"], `${ca}: is empty`],
    [["\n", "CA"], `${token}: is empty`],
    [[TOKEN, "x".repeat(TLS_FILE_BYTES_MAX + 1)], `${ca}: the file is too large`],
    [["x".repeat(TOKEN_BYTES_MAX + 1), "CA"], `${token}: the file is too large`],
  ] as const) {
    await writeFile(token, texts[0]);
    await writeFile(ca, texts[1]);
    const message = refusal({ kubeconfig: undefined, root, environment });
    assert.equal(message, `the service account: ${problem}`);
  }
});

test("not in one", () => {
  assert.match(
    refusal({ kubeconfig: undefined, root: "/nowhere", environment: {} }),
    /^not in a cluster \(KUBERNETES_SERVICE_HOST is not set\): give --kubeconfig FILE/,
  );
});
