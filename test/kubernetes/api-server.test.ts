/**
 * The agents against a real kube-apiserver and etcd, with the shipped manifest applied and the
 * rights that it gives, nothing more: what the embedded API server of the other cluster tests
 * stands for. Not among the groups that run by default, since the server must be built first:
 * `scripts/kubernetes-programs.sh && npm test kubernetes`.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseAllDocuments } from "yaml";
import {
  Cluster,
  type ClusterNode,
  clusterUnavailable,
  nodeObject,
  SEED_NODES,
} from "../support/cluster.ts";
import {
  memberIs,
  meshUp,
  NODE_IPS,
  POD_SUBNETS,
  routedEverywhere,
  routeIs,
  routeLine,
  sessionCounts,
} from "../support/cluster-checks.ts";
import { ControlPlane } from "../support/kubernetes/control-plane.ts";
import { debianProgramsMissing, kubernetesPrograms } from "../support/kubernetes/programs.ts";
import { namespacesUnavailable } from "../support/namespaces.ts";
import { PODROUTER } from "../support/program.ts";
import { requireReal } from "../support/real.ts";
import { Daemon, until } from "../support/shell.ts";

const [, node2, node3] = SEED_NODES as readonly [ClusterNode, ClusterNode, ClusterNode];
const NODES = "/api/v1/nodes";
const MANIFEST = join(import.meta.dirname, "..", "..", "deploy", "podrouter.yaml");

/** Where objects of the manifest are created. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  ServiceAccount: "/api/v1/namespaces/kube-system/serviceaccounts",
  ClusterRole: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  ClusterRoleBinding: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
  DaemonSet: "/apis/apps/v1/namespaces/kube-system/daemonsets",
};

interface Real {
  readonly cluster: Cluster;
  readonly api: ControlPlane;
  readonly token: string;
}

/** Namespaces, server, manifest, Nodes; the kubeconfig has the ServiceAccount's rights. */
async function realCluster(t: TestContext): Promise<Real | undefined> {
  const reason = (await namespacesUnavailable()) ?? (await clusterUnavailable());
  const programs = await kubernetesPrograms(["kube-apiserver"]);
  const missing =
    reason ??
    (await debianProgramsMissing({ etcd: "etcd-server" })) ??
    (typeof programs === "string" ? programs : undefined);
  if (!requireReal(t, missing === undefined, missing ?? "")) return undefined;
  if (typeof programs === "string") return undefined;
  const cluster = new Cluster();
  t.after(() => cluster.remove());
  await cluster.build();
  const api = new ControlPlane({
    programs,
    namespaces: cluster.namespaces,
    label: "fabric",
    address: "192.168.50.1",
    folder: cluster.folder,
  });
  t.after(() => api.stop());
  await api.start();
  t.diagnostic(await api.version());
  await applyManifest(api);
  for (const node of SEED_NODES) await api.must("POST", NODES, nodeObject(node));
  const token = await api.serviceAccountToken("kube-system", "podrouter");
  const tokenFile = join(cluster.folder, "token");
  await writeFile(tokenFile, token, { mode: 0o600 });
  await api.writeKubeconfig(cluster.kubeconfig, tokenFile);
  return { cluster, api, token };
}

/** Ends the connections of the agent on a node to the server, as a load balancer does. */
async function breakConnections(cluster: Cluster, node: string): Promise<void> {
  await cluster.namespaces.exec(node, "ss", "-K", "dst", "192.168.50.1", "dport", "=", ":6443");
}

/** As `kubectl apply` would, with unknown and duplicate fields refused. */
async function applyManifest(api: ControlPlane): Promise<void> {
  for (const document of parseAllDocuments(await readFile(MANIFEST, "utf8"))) {
    const object = document.toJS() as { kind: string };
    const path = COLLECTIONS[object.kind];
    assert.ok(path !== undefined, `a kind that this test does not know: ${object.kind}`);
    const answer = await api.request("POST", `${path}?fieldValidation=Strict`, object);
    assert.equal(answer.status, 201, `${object.kind}: ${JSON.stringify(answer.body)}`);
    assert.equal(answer.warning, undefined, object.kind);
  }
}

test("agents on a real kube-apiserver, with the rights of the manifest", async (t) => {
  const real = await realCluster(t);
  if (real === undefined) return;
  const { cluster, api, token } = real;

  await t.test("the ServiceAccount may list Nodes and nothing else", async () => {
    const get = async (path: string) =>
      (await api.request("GET", path, undefined, { token })).status;
    assert.equal(await get(NODES), 200);
    assert.equal(await get(`${NODES}/node1`), 403, "nothing asks for a Node by its name");
    assert.equal(await get("/api/v1/pods"), 403);
    assert.equal(await get("/api/v1/secrets"), 403);
    const patch = { metadata: { labels: { changed: "yes" } } };
    assert.equal((await api.request("PATCH", `${NODES}/node1`, patch, { token })).status, 403);
    assert.equal((await api.request("DELETE", `${NODES}/node1`, undefined, { token })).status, 403);
  });

  await t.test("the mesh comes up, with routes and sets", async () => {
    for (const node of SEED_NODES) cluster.startAgent(node.name);
    await meshUp(cluster, SEED_NODES);
    await routedEverywhere(cluster, SEED_NODES);
    for (const node of SEED_NODES) {
      await memberIs(cluster, "node1", POD_SUBNETS, node.podCidr, true);
      await memberIs(cluster, "node1", NODE_IPS, node.address, true);
    }
  });

  await t.test("a deleted Node goes everywhere at once, and comes back", async () => {
    await api.must("DELETE", `${NODES}/node3`);
    await routeIs(cluster, "node1", routeLine(node3), false);
    await routeIs(cluster, "node2", routeLine(node3), false);
    await memberIs(cluster, "node1", POD_SUBNETS, node3.podCidr, false);
    await memberIs(cluster, "node1", NODE_IPS, node3.address, false);
    await api.must("POST", NODES, nodeObject(node3));
    await meshUp(cluster, SEED_NODES);
    await routedEverywhere(cluster, SEED_NODES);
  });

  await t.test("watches that break are taken up again without a flap", async () => {
    const before = await sessionCounts(cluster, "node1");
    await breakConnections(cluster, "node1");
    const path = `${NODES}/node3`;
    const annotations = { "kube-router.io/pod-cidrs": "10.233.80.0/24" };
    await api.must("PATCH", path, { metadata: { annotations } });
    await routeIs(cluster, "node1", routeLine(node3, "10.233.80.0/24"), true);
    await api.must("PATCH", path, {
      metadata: { annotations: { ...annotations, "kube-router.io/pod-cidrs": null } },
    });
    await routeIs(cluster, "node1", routeLine(node3), true);
    assert.deepEqual(await sessionCounts(cluster, "node1"), before);
  });

  await t.test("a token that is good no more is named, and the new one is taken", async () => {
    const secrets = "/api/v1/namespaces/kube-system/secrets";
    const metadata = { name: "holds-the-token" };
    await api.must("POST", secrets, { apiVersion: "v1", kind: "Secret", metadata });
    const bound = await api.serviceAccountToken("kube-system", "podrouter", metadata.name);
    const tokenFile = join(cluster.folder, "token");
    const said = async () => (await cluster.podrouter("node1", "status")).stdout;
    await writeFile(tokenFile, bound);
    await breakConnections(cluster, "node1");
    await until("the watch is there again", async () => /No conditions/.test(await said()));
    // Its end is that of the token, as its time would be, or the pod's.
    await api.must("DELETE", `${secrets}/${metadata.name}`);
    const refused = async () => {
      await breakConnections(cluster, "node1");
      return /401: Unauthorized/.test(await said());
    };
    await until("the token is refused", refused, 30_000, 1000);
    assert.ok((await cluster.routes("node1")).includes(routeLine(node2)));
    await writeFile(tokenFile, token);
    await until("the new one is taken", async () => /No conditions/.test(await said()), 30_000);
  });

  await t.test("each right that is taken away is named, and routes stay", async () => {
    const role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/podrouter";
    const may = (verbs: readonly string[]) => {
      const rules = [{ apiGroups: [""], resources: ["nodes"], verbs }];
      return api.must("PATCH", role, { rules });
    };
    const said = async () => (await cluster.podrouter("node1", "status")).stdout;
    await may(["list"]);
    // What is being watched goes on; the next watch is refused.
    await breakConnections(cluster, "node1");
    const refused = async () => /podrouter" cannot watch resource "nodes"/.test(await said());
    await until("the right is named", refused, 30_000);
    assert.ok((await cluster.routes("node1")).includes(routeLine(node2)));
    await may(["list", "watch"]);
    await until("nothing is wrong", async () => /No conditions/.test(await said()), 30_000);
  });

  await t.test("a server that is restored from a backup is followed, Node by Node", async () => {
    await api.backUp();
    const later: ClusterNode = {
      name: "later",
      address: "192.168.50.60",
      podCidr: "10.233.90.0/24",
    };
    await api.must("POST", NODES, nodeObject(later));
    await memberIs(cluster, "node1", NODE_IPS, later.address, true);
    await api.restore();
    // Watches from the later version are accepted, and silent: until that is too long.
    const gone = async () => {
      const members = await cluster.setMembers("node1", NODE_IPS);
      return members?.includes(`${later.address} timeout 0`) === false;
    };
    await until("the Node that never was is gone", gone, 150_000, 500);
    await api.must("POST", NODES, nodeObject({ ...later, address: "192.168.50.61" }));
    await memberIs(cluster, "node1", NODE_IPS, "192.168.50.61", true);
    await api.must("DELETE", `${NODES}/${later.name}`);
    await meshUp(cluster, SEED_NODES);
    await routedEverywhere(cluster, SEED_NODES);
  });

  await t.test(
    "a server that goes and comes back: routes stay, changes are caught up",
    async () => {
      const before = await sessionCounts(cluster, "node1");
      await api.stopServer();
      await until("the agent notices", async () => {
        const status = await cluster.podrouter("node1", "status");
        return /API server|kube-apiserver|192\.168\.50\.1/.test(status.stdout);
      });
      assert.ok((await cluster.routes("node1")).includes(routeLine(node2)));
      // The agent on node3 is stopped, so that only the Node's deletion can take its route away.
      await api.startServer();
      await api.must("DELETE", `${NODES}/node3`);
      await routeIs(cluster, "node1", routeLine(node3), false);
      await api.must("POST", NODES, nodeObject(node3));
      await meshUp(cluster, SEED_NODES);
      const after = await sessionCounts(cluster, "node1");
      assert.equal(after["node2"], before["node2"], "the session to node2 was left alone");
    },
  );

  await t.test("in the pod's own way: service account files and variables", async () => {
    await cluster.agents.get("node1")?.stop();
    // A /run of its own with the three files, as kubelet mounts them; /var/run leads there.
    const files = "/var/run/secrets/kubernetes.io/serviceaccount";
    const script = [
      "mount -t tmpfs none /run",
      `mkdir -p ${files}`,
      `cp "$AUTHORITY" ${files}/ca.crt`,
      `cp "$TOKEN_FILE" ${files}/token`,
      `printf kube-system >${files}/namespace`,
      'exec "$@"',
    ].join(" && ");
    const wanted = cluster.agentArguments()("node1");
    const args = wanted.filter((argument) => !argument.startsWith("--kubeconfig"));
    const namespace = cluster.namespaces.name("node1");
    const inside = ["unshare", "-m", "sh", "-c", script, "sh", PODROUTER, ...args];
    const agent = new Daemon("podrouter node1", "ip", ["netns", "exec", namespace, ...inside], {
      env: {
        NODE_NAME: "node1",
        AUTHORITY: api.authority,
        TOKEN_FILE: join(cluster.folder, "token"),
        KUBERNETES_SERVICE_HOST: "192.168.50.1",
        KUBERNETES_SERVICE_PORT: "6443",
      },
    });
    t.after(() => agent.stop());
    cluster.agents.set("node1", agent);
    await meshUp(cluster, SEED_NODES);
    await routedEverywhere(cluster, SEED_NODES);
    assert.doesNotMatch(agent.output, new RegExp(token.slice(0, 20)), "the token is in no log");
  });
});
