/** deploy/podrouter.yaml: valid by the Kubernetes schema, and what the agent needs and no more. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { configure } from "../../src/agent/config.ts";
import { ADMIN_SOCKET_DEFAULT, RUN_FLAGS } from "../../src/agent/flags.ts";
import { CNI_CONF_FILE_DEFAULT } from "../../src/agent/pod-network-flags.ts";
import { type DaemonSet, documents, type Manifest, problemsOf } from "../support/manifests.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const TEXT = readFileSync(join(ROOT, "deploy", "podrouter.yaml"), "utf8");

type Tree = Readonly<Record<string, never>>;

/** The kinds of the manifest, in its order. */
const KINDS = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet"];

function object<T = Tree>(kind: string): T {
  const found = documents(TEXT).find((document) => document.kind === kind);
  assert.ok(found !== undefined);
  return found as unknown as T;
}

test("each object is valid by the Kubernetes schema", async () => {
  const all = documents(TEXT);
  assert.deepEqual(
    all.map((document) => document.kind),
    KINDS,
  );
  for (const manifest of all) assert.deepEqual(await problemsOf(manifest), [], manifest.kind);
});

test("the schema refuses what the API server would refuse", async () => {
  const broken: readonly [search: string, replacement: string, problem: RegExp][] = [
    ["hostNetwork: true", "hostNetwrok: true", /additional properties .*hostNetwrok/],
    ["hostNetwork: true", 'hostNetwork: "yes"', /hostNetwork must be boolean/],
    ["periodSeconds: 10", "periodSeconds: 1.5", /periodSeconds must be integer/],
    ["operator: Exists", "operator: Always", /operator must be equal to one of/],
    ["- name: podrouter\n          image", "- image", /required property 'name'/],
    ["type: FileOrCreate", "type: MakeIt", /type must be equal to one of/],
    ["port: 20244", "prot: 20244", /required property 'port'/],
  ];
  for (const [search, replacement, problem] of broken) {
    assert.ok(TEXT.includes(search), search);
    const daemonSet = documents(TEXT.replace(search, replacement)).at(-1)!;
    assert.match((await problemsOf(daemonSet)).join("\n"), problem);
  }
});

test("the agent may read Nodes and nothing else", () => {
  const role = object<{ rules: unknown }>("ClusterRole");
  assert.deepEqual(role.rules, [
    { apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"] },
  ]);
  const binding = object<{ roleRef: unknown; subjects: unknown }>("ClusterRoleBinding");
  assert.deepEqual(binding.roleRef, {
    apiGroup: "rbac.authorization.k8s.io",
    kind: "ClusterRole",
    name: "podrouter",
  });
  assert.deepEqual(binding.subjects, [
    { kind: "ServiceAccount", name: "podrouter", namespace: "kube-system" },
  ]);
});

const daemonSet = object<DaemonSet>("DaemonSet");
const pod = daemonSet.spec.template.spec;
const [container] = pod.containers;

test("the DaemonSet selects its own pods and runs on every node, one at a time", () => {
  assert.deepEqual(daemonSet.spec.selector.matchLabels, daemonSet.spec.template.metadata.labels);
  assert.equal(pod.serviceAccountName, object<Manifest>("ServiceAccount").metadata.name);
  assert.equal(pod.hostNetwork, true);
  assert.deepEqual(pod.tolerations, [{ operator: "Exists" }]);
  assert.equal(daemonSet.spec.updateStrategy.rollingUpdate.maxUnavailable, 1);
});

test("capabilities instead of privileged, and a read-only root file system", () => {
  assert.deepEqual(container.securityContext, {
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsUser: 0,
    seLinuxOptions: { type: "spc_t" },
    capabilities: {
      drop: ["ALL"],
      add: ["NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW", "DAC_OVERRIDE"],
    },
  });
  const [init, ...others] = pod.initContainers;
  assert.deepEqual(others, []);
  assert.deepEqual(init.securityContext, {
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsUser: 0,
    seLinuxOptions: { type: "spc_t" },
    capabilities: { drop: ["ALL"], add: ["DAC_OVERRIDE"] },
  });
});

test("the arguments are accepted, and the probes ask where the agent answers", () => {
  assert.equal(container.args[0], "run");
  const given = container.args.slice(1).map((arg): [string, string] => {
    const [name, value] = arg.replace(/^--/, "").split("=");
    return [name!, value ?? "true"];
  });
  const configured = configure(new Map(given), {
    nodeName: "node1",
    hostName: "",
    inCluster: true,
  });
  assert.ok(configured.ok);
  const { health } = configured.value;
  for (const [probe, path] of [
    [container.livenessProbe, "/healthz"],
    [container.readinessProbe, "/readyz"],
  ] as const) {
    assert.deepEqual(probe.httpGet, { host: health?.address, path, port: health?.port });
  }
  assert.deepEqual(container.env, [
    { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
  ]);
});

test("an agent is ended for a minute without an answer, before peers give its session up", () => {
  const { periodSeconds, timeoutSeconds, failureThreshold } = container.livenessProbe;
  const unanswered = periodSeconds * failureThreshold;
  assert.ok(timeoutSeconds <= periodSeconds);
  assert.ok(unanswered >= 60, "a start with a thousand Nodes, and hardly any processor");
  const hold = RUN_FLAGS.bgpHoldtime.value.parse(RUN_FLAGS.bgpHoldtime.default)!;
  // Its last KEEPALIVE may have been due just then.
  assert.ok(unanswered <= hold - hold / 3);
});

test("what is read and written lies on the host, where the flags say by default", () => {
  const expected = [
    ADMIN_SOCKET_DEFAULT.replace(/\/[^/]*$/, ""),
    RUN_FLAGS.stateDir.default,
    CNI_CONF_FILE_DEFAULT.replace(/\/[^/]*$/, ""),
    RUN_FLAGS.cniBinDir.default,
    "/run/xtables.lock",
    // A second time, since a container's own is read-only: where src/runtime/sysctl.ts looks.
    "/host/proc/sys/net",
  ];
  assert.deepEqual(
    container.volumeMounts.map((mount) => mount.mountPath),
    expected,
  );
  assert.deepEqual(
    pod.volumes.map((volume) => [volume.name, volume.hostPath.path]),
    container.volumeMounts.map((mount) => [mount.name, mount.mountPath.replace(/^\/host/, "")]),
  );
  // Only the init step may write programs to the host.
  const readOnly = container.volumeMounts.filter((mount) => mount.readOnly === true);
  assert.deepEqual(
    readOnly.map((mount) => mount.name),
    ["cni-bin"],
  );
  const [init] = pod.initContainers;
  assert.deepEqual(init.volumeMounts, [{ name: "cni-bin", mountPath: init.command[2] }]);
});

test("the image has one tag everywhere, this version's", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    version: string;
  };
  assert.equal(container.image, `podrouter:${version}`);
  assert.equal(pod.initContainers[0].image, container.image);
  const kustomization = parse(readFileSync(join(ROOT, "deploy", "kustomization.yaml"), "utf8")) as {
    images: unknown;
    resources: unknown;
  };
  assert.deepEqual(kustomization.images, [{ name: "podrouter", newTag: version }]);
  assert.deepEqual(kustomization.resources, ["podrouter.yaml"]);
});
