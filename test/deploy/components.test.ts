/**
 * The components of deploy/ and deploy/cleanup: valid by the Kubernetes schema, what each needs and
 * no more, and together in either order.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ADMIN_SOCKET_DEFAULT, RUN_FLAGS } from "../../src/agent/flags.ts";
import { CNI_CONF_FILE_DEFAULT } from "../../src/agent/pod-network-flags.ts";
import { HOST_LOCAL_FOLDERS } from "../../src/cni/plugin/host-local.ts";
import { CNI_SOCKET_DEFAULT, LEASES_FILE } from "../../src/cni/plugin/wire.ts";
import {
  type DaemonSet,
  DEPLOY,
  type KustomizePatch,
  type Manifest,
  plainDaemonSet,
  problemsOf,
  readDeploy,
  withComponents,
} from "../support/manifests.ts";

const pod = plainDaemonSet().spec.template.spec;
const [container] = pod.containers;

const parent = (path: string) => path.replace(/\/[^/]*$/, "");
const valid = async (whole: unknown) => assert.deepEqual(await problemsOf(whole as Manifest), []);

/** The kustomization of a component, patches apart: those with operations must name the target. */
function component(name: string): { readonly rest: unknown; readonly patches: KustomizePatch[] } {
  const all = readDeploy<{ patches: KustomizePatch[] }>(name, "kustomization.yaml");
  const { patches, ...rest } = all;
  for (const { path, target } of patches) {
    const expected = path === undefined ? { kind: "DaemonSet", name: "podrouter" } : undefined;
    assert.deepEqual(target, expected);
  }
  return { rest, patches };
}

/** As kustomize refuses a folder that refers to the one around it. */
const COMPONENT = { apiVersion: "kustomize.config.k8s.io/v1alpha1", kind: "Component" };

test("with the own plugin the agent enters the namespaces of pods, and no more", async () => {
  const { rest, patches } = component("own-plugin");
  assert.deepEqual(rest, COMPONENT);
  assert.deepEqual(
    patches.map(({ path }) => path),
    ["daemonset.yaml", undefined],
  );
  const whole = withComponents("own-plugin");
  await valid(whole);
  const { spec } = whole.spec.template;
  const [agent, ...others] = spec.containers;
  assert.deepEqual(others, []);
  assert.deepEqual(agent.args, [...container.args, "--cni-plugin=podrouter"]);
  const { capabilities, ...security } = container.securityContext as {
    readonly capabilities: { readonly add: readonly string[] };
  };
  assert.deepEqual(agent.securityContext, {
    ...security,
    capabilities: { drop: ["ALL"], add: [...capabilities.add, "SYS_ADMIN"] },
  });
  assert.deepEqual(spec.initContainers[0].command, [
    ...pod.initContainers[0].command,
    "/opt/podrouter",
  ]);
  assert.deepEqual(agent.volumeMounts.slice(container.volumeMounts.length), [
    { name: "netns", mountPath: "/run/netns", mountPropagation: "HostToContainer" },
    { name: "cni-state", mountPath: parent(HOST_LOCAL_FOLDERS[0]) },
  ]);
  // The socket and the leases lie in folders that are the host's, where podrouter-cni finds them.
  const mounts = agent.volumeMounts.map(({ mountPath }) => mountPath);
  for (const path of [CNI_SOCKET_DEFAULT, join(RUN_FLAGS.stateDir.default, LEASES_FILE)]) {
    assert.ok(mounts.includes(parent(path)), path);
  }
});

test("with a configuration file the agent has it, and passwords where there are some", async () => {
  const { rest } = component("bgp-config");
  assert.deepEqual(rest, {
    ...COMPONENT,
    configMapGenerator: [
      {
        name: "podrouter-bgp",
        namespace: "kube-system",
        files: ["bgp.yaml"],
        // Another name for each content would restart every agent.
        options: { disableNameSuffixHash: true },
      },
    ],
  });
  const whole = withComponents("bgp-config");
  await valid(whole);
  const { spec } = whole.spec.template;
  const [agent] = spec.containers;
  const { volumes } = spec;
  assert.deepEqual(spec, { ...pod, containers: [agent], volumes });
  assert.deepEqual(agent.securityContext, container.securityContext);
  assert.deepEqual(volumes.slice(pod.volumes.length), [
    { name: "bgp-config", configMap: { name: "podrouter-bgp" } },
    {
      name: "bgp-secrets",
      secret: { secretName: "podrouter-bgp", optional: true, defaultMode: 0o400 },
    },
  ]);
  const mounts = agent.volumeMounts.slice(container.volumeMounts.length);
  // Whole folders, no subPath: a change of the ConfigMap is a swap of a symbolic link in them.
  assert.deepEqual(mounts, [
    { name: "bgp-config", mountPath: "/etc/podrouter/config", readOnly: true },
    { name: "bgp-secrets", mountPath: "/etc/podrouter/secrets", readOnly: true },
  ]);
  assert.deepEqual(agent.args, [...container.args, `--config=${mounts[0]?.mountPath}/bgp.yaml`]);
  // Beside it, as a comment: it would want --peer-router-ips.
  const text = readFileSync(join(DEPLOY, "bgp-config", "kustomization.yaml"), "utf8");
  const [, flag, file] = /^ *# +value: --([a-z-]+)=(\S+)$/m.exec(text) ?? [];
  assert.equal(flag, RUN_FLAGS.peerRouterPasswordsFile.name);
  assert.equal(parent(file ?? ""), mounts[1]?.mountPath);
});

test("both components together, in either order", async () => {
  const added = ["--cni-plugin=podrouter", "--config=/etc/podrouter/config/bgp.yaml"];
  for (const names of [
    ["own-plugin", "bgp-config"],
    ["bgp-config", "own-plugin"],
  ]) {
    const whole = withComponents(...names);
    await valid(whole);
    const [agent] = whole.spec.template.spec.containers;
    assert.deepEqual(agent.args.toSorted(), [...container.args, ...added].sort());
    assert.equal(agent.volumeMounts.length, container.volumeMounts.length + 4);
  }
});

const cleanup = readDeploy<DaemonSet>("cleanup", "daemonset.yaml");
const [cleaner] = cleanup.spec.template.spec.initContainers;

test("cleanup runs on every node beside nothing else, and each step once", async () => {
  await valid(cleanup);
  const { metadata, spec } = cleanup.spec.template;
  assert.deepEqual(cleanup.spec.selector.matchLabels, metadata.labels);
  // Or the pods of one DaemonSet would be those of the other.
  assert.notDeepEqual(metadata.labels, plainDaemonSet().spec.template.metadata.labels);
  assert.equal(cleanup.metadata.namespace, "kube-system");
  assert.equal(spec.hostNetwork, true);
  assert.deepEqual(spec.tolerations, pod.tolerations);
  assert.deepEqual(cleaner.args, ["cleanup", "--yes"]);
  const images = [...spec.initContainers, ...spec.containers].map(({ image }) => image);
  assert.deepEqual(images, [container.image, container.image]);
  assert.deepEqual(readDeploy("cleanup", "kustomization.yaml"), {
    ...readDeploy<object>("kustomization.yaml"),
    resources: ["daemonset.yaml"],
  });
});

test("cleanup has the agent's rights without the port, and the folders that it looks into", () => {
  const { capabilities, ...security } = container.securityContext;
  assert.deepEqual(capabilities, {
    drop: ["ALL"],
    add: ["NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW", "DAC_OVERRIDE"],
  });
  assert.deepEqual(cleaner.securityContext, {
    ...security,
    capabilities: { drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW", "DAC_OVERRIDE"] },
  });
  assert.deepEqual(
    cleaner.volumeMounts.map(({ mountPath }) => mountPath),
    [
      parent(ADMIN_SOCKET_DEFAULT),
      RUN_FLAGS.stateDir.default,
      parent(CNI_CONF_FILE_DEFAULT),
      "/run/xtables.lock",
    ],
  );
  const { spec } = cleanup.spec.template;
  assert.deepEqual(
    spec.volumes.map(({ name, hostPath }) => [name, hostPath]),
    cleaner.volumeMounts.map(({ name }) => [
      name,
      pod.volumes.find((volume) => volume.name === name)?.hostPath,
    ]),
  );
  const [idle] = spec.containers;
  assert.deepEqual(idle.securityContext["capabilities"], { drop: ["ALL"] });
  assert.equal(idle.securityContext["seLinuxOptions"], undefined);
  assert.equal(idle.volumeMounts, undefined);
});
