/**
 * A real cluster of two machines: kube-apiserver, controllers and scheduler, and on each machine
 * containerd and kubelet, with the shipped manifest applied and the image's files in containerd.
 * Nothing else connects pods: what is seen here is what an operator gets. On demand, see
 * scripts/kubernetes-programs.sh.
 */
import assert from "node:assert/strict";
import { appendFile, cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { stringify } from "yaml";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { imageRecipe } from "../support/image-recipe.ts";
import { ControlPlane } from "../support/kubernetes/control-plane.ts";
import { writeImage, writeToolbox } from "../support/kubernetes/image.ts";
import { Machine } from "../support/kubernetes/machine.ts";
import { debianProgramsMissing, kubernetesPrograms } from "../support/kubernetes/programs.ts";
import { Namespaces, namespacesUnavailable } from "../support/namespaces.ts";
import { requireReal } from "../support/real.ts";
import { must, until } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** Components of the kustomization that are applied, by the CNI plugins that then connect pods. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  "the reference plugins": [],
  "podrouter-cni and a configuration file": ["own-plugin", "bgp-config"],
};
const SYSTEM = ["-n", "kube-system"];
const API = "192.168.50.1";
const MACHINES = [
  { name: "node1", address: "192.168.50.50" },
  { name: "node2", address: "192.168.50.51" },
] as const;
const CLUSTER_CIDR = "10.233.64.0/18";
const TOOLBOX = "docker.io/library/toolbox:1";
const PODROUTER = "docker.io/library/podrouter:0.1.0";
const SLOW = 120_000;
/** Addresses that host-local holds for pods. */
const LEASES = "find /var/lib/cni/networks -name '10.*' 2>/dev/null || true";

const PACKAGES = {
  etcd: "etcd-server",
  containerd: "containerd",
  runc: "runc",
  busybox: "busybox-static",
  debootstrap: "debootstrap",
};

interface Real {
  readonly api: ControlPlane;
  readonly machines: ReadonlyMap<string, Machine>;
}

async function realCluster(t: TestContext): Promise<Real | undefined> {
  const programs = await kubernetesPrograms([
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubectl",
  ]);
  const missing =
    (await namespacesUnavailable()) ??
    (await debianProgramsMissing(PACKAGES)) ??
    (typeof programs === "string" ? programs : undefined);
  if (!requireReal(t, missing === undefined, missing ?? "")) return undefined;
  if (typeof programs === "string") return undefined;

  const folder = keptFolder();
  const namespaces = new Namespaces();
  const machines = new Map<string, Machine>();
  const api = new ControlPlane({ programs, namespaces, label: "fabric", address: API, folder });
  t.after(async () => {
    await Promise.all([...machines.values()].map((machine) => machine.stop()));
    await api.stop();
    await namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  await buildNetwork(namespaces);

  const images = [join(folder, "toolbox.tar"), join(folder, "podrouter.tar")] as const;
  await writeToolbox(images[0], TOOLBOX);
  await writePodrouter(images[1], join(folder, "image"));

  await api.start();
  await api.startControllers(CLUSTER_CIDR);
  const kubeconfig = await api.adminKubeconfig();
  for (const { name, address } of MACHINES) {
    const machine = new Machine({
      name,
      address,
      namespace: namespaces.name(name),
      folder: join(folder, name),
      kubelet: programs.get("kubelet") ?? "",
      kubeconfig,
      sandboxImage: TOOLBOX,
    });
    machines.set(name, machine);
    await machine.start();
    for (const image of images) await machine.importImage(image);
    await machine.startKubelet();
  }
  t.diagnostic(await api.version());
  return { api, machines };
}

async function buildNetwork(ns: Namespaces): Promise<void> {
  await ns.add("fabric");
  await ns.ip("fabric", "link add br0 type bridge");
  await ns.ip("fabric", `addr add ${API}/24 dev br0`);
  await ns.ip("fabric", "link set br0 up");
  for (const [index, { name, address }] of MACHINES.entries()) {
    await ns.add(name);
    await ns.veth(name, "enp1s0", "fabric", `port${index}`);
    await ns.ip("fabric", `link set port${index} master br0`);
    await ns.ip(name, `addr add ${address}/24 dev enp1s0`);
    await ns.ip(name, `route add default via ${API}`);
    // The one Service that agents use; on a real cluster kube-proxy does this.
    const to = ["-j", "DNAT", "--to-destination", `${API}:6443`];
    const from = ["-A", "OUTPUT", "-p", "tcp", "-d", "10.96.0.1", "--dport", "443"];
    await ns.exec(name, "iptables", "-t", "nat", ...from, ...to);
  }
}

async function writePodrouter(archive: string, folder: string): Promise<void> {
  const script = join(ROOT, "scripts", "image-folder.sh");
  await must(script, [folder], { timeoutMs: 600_000 });
  const { entrypoint, command, environment } = imageRecipe();
  const config = { Entrypoint: entrypoint, Cmd: command, Env: environment };
  await writeImage(archive, PODROUTER, folder, config);
  await rm(folder, { recursive: true });
}

interface NodeList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly podCIDR?: string };
    readonly status: {
      readonly conditions: readonly {
        readonly type: string;
        readonly status: string;
        readonly message: string;
      }[];
    };
  }[];
}

async function readiness(api: ControlPlane): Promise<ReadonlyMap<string, string>> {
  const { items } = (await api.must("GET", "/api/v1/nodes")) as NodeList;
  return new Map(
    items.map(({ metadata, status }) => {
      const ready = status.conditions.find(({ type }) => type === "Ready");
      return [metadata.name, ready?.status === "True" ? "Ready" : (ready?.message ?? "")];
    }),
  );
}

/** Waits until each agent is ready; a failure quotes what Kubernetes and the agents say. */
async function rolledOut(api: ControlPlane): Promise<void> {
  await rolled(api, "podrouter");
}

/** Waits until each pod of the DaemonSet is ready. */
async function rolled(api: ControlPlane, name: string): Promise<void> {
  const rollout = ["rollout", "status", `daemonset/${name}`, ...SYSTEM, "--timeout=110s"];
  await api.kubectl(...rollout).catch(async (error: Error) => {
    const pods = await api.kubectl("describe", "pods", ...SYSTEM);
    const logs = ["logs", ...SYSTEM, `ds/${name}`, "--all-containers"];
    assert.fail(`${error.message}\n${pods}\n${await api.kubectl(...logs).catch(String)}`);
  });
}

/** A command of podrouter in the agent's pod of a node, as docs/deploy.md has it. */
async function podrouterOn(api: ControlPlane, node: string, ...args: string[]): Promise<string> {
  const pods = ["-l", "app.kubernetes.io/name=podrouter", "--field-selector"];
  const found = await api.kubectl(
    "get",
    "pods",
    ...SYSTEM,
    ...pods,
    `spec.nodeName=${node}`,
    "-o=name",
  );
  const inside = [found.trim(), "-c", "podrouter", "--", "podrouter"];
  return api.kubectl("exec", ...SYSTEM, ...inside, ...args);
}

/** A configuration file with these peers, which nobody waits for. */
function peersFile(...names: string[]): string {
  const peers = names.map((name, index) => {
    return { name, address: `192.168.50.${100 + index}`, remoteAs: 65001, shutdown: true };
  });
  return stringify({ peers });
}

async function bothReady(api: ControlPlane): Promise<void> {
  const ready = async () => [...(await readiness(api)).values()].every((text) => text === "Ready");
  await until("both Nodes are ready", ready, SLOW, 500);
}

/** A pod of the toolbox on one machine; its address once it runs. */
async function startPod(api: ControlPlane, name: string, nodeName: string): Promise<string> {
  const path = "/api/v1/namespaces/default/pods";
  await api.must("POST", path, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "toolbox", image: TOOLBOX, imagePullPolicy: "Never" }],
    },
  });
  return until(
    `the pod ${name} runs`,
    async () => {
      const pod = (await api.must("GET", `${path}/${name}`)) as {
        status: { phase: string; podIP?: string };
      };
      return pod.status.phase === "Running" ? pod.status.podIP : undefined;
    },
    SLOW,
    500,
  );
}

for (const [plugins, components] of Object.entries(VARIANTS)) {
  test(`a real cluster that has podrouter alone, with ${plugins}`, (t) => tried(t, components));
}

async function tried(t: TestContext, components: readonly string[]): Promise<void> {
  const real = await realCluster(t);
  if (real === undefined) return;
  const { api, machines } = real;
  const said = () => [...machines.values()].map((machine) => machine.said()).join("\n");
  const copy = await mkdtemp(join(tmpdir(), "podrouter-deploy-"));
  t.after(() => rm(copy, { recursive: true }));
  await cp(join(ROOT, "deploy"), copy, { recursive: true });
  const peers = join(copy, "bgp-config", "bgp.yaml");
  await writeFile(peers, peersFile("tor1"));
  await appendFile(join(copy, "kustomization.yaml"), stringify({ components }));

  await t.test("without it, nodes say that the CNI plugin is missing", async () => {
    await until(
      "two Nodes that are not ready",
      async () => {
        const nodes = await readiness(api);
        return (
          [...nodes.values()].filter((text) => /cni plugin not initialized/.test(text)).length === 2
        );
      },
      SLOW,
      500,
    ).catch((error: Error) => assert.fail(`${error.message}\n${said()}`));
  });

  await t.test("kubectl apply makes both Nodes ready", async () => {
    await api.kubectl("apply", "-k", copy);
    await rolledOut(api);
    await bothReady(api);
  });

  await t.test("the agents say that nothing is wrong, and route to each other", async () => {
    for (const machine of machines.values()) {
      const routes = await machine.exec("ip", "route", "show", "proto", "17");
      assert.match(routes, /^10\.233\.\d+\.0\/24 via 192\.168\.50\.5[01] dev enp1s0 *$/m);
    }
    for (const { name } of MACHINES) {
      assert.match(await podrouterOn(api, name, "status"), new RegExp(`^${name}: ready, `));
      assert.match(await podrouterOn(api, name, "peers"), / Establ /);
    }
  });

  if (components.includes("bgp-config")) {
    await t.test("a change of the ConfigMap is taken by the agents that run", async () => {
      const agents = ["get", "pods", ...SYSTEM, "-o=name"];
      const before = await api.kubectl(...agents);
      assert.match(await podrouterOn(api, "node1", "peers"), /tor1/);
      await writeFile(peers, peersFile("tor1", "tor2"));
      await api.kubectl("apply", "-k", copy);
      const taken = async () => (await podrouterOn(api, "node1", "peers")).includes("tor2");
      await until("the other peer is there", taken, SLOW, 500);
      assert.equal(await api.kubectl(...agents), before);
    });
  }

  await t.test("pods of both machines reach each other and the API server", async () => {
    const [a, b, c] = [
      await startPod(api, "a", "node1"),
      await startPod(api, "b", "node2"),
      await startPod(api, "c", "node2"),
    ];
    const exec = (pod: string, ...command: string[]) => api.kubectl("exec", pod, "--", ...command);
    for (const [pod, target] of [
      ["a", b],
      ["b", a],
      ["b", c],
      ["a", "192.168.50.51"],
      ["a", API],
    ] as const) {
      assert.match(await exec(pod, "ping", "-c", "1", "-W", "5", target), /1 packets received/);
    }
    await exec("b", "sh", "-c", "dd if=/dev/zero of=/www/file bs=1024 count=1024 && httpd -h /www");
    const size = await exec("a", "sh", "-c", `wget -q -O - http://${b}/file | wc -c`);
    assert.equal(size.trim(), "1048576");
  });

  await t.test("pods that go free their addresses and interfaces", async () => {
    const machine = machines.get("node2") as Machine;
    const kept = async () => {
      const veths = await machine.exec("ip", "-br", "link", "show", "type", "veth");
      const leases = await machine.exec("sh", "-c", LEASES);
      return [
        ...veths.split("\n").filter((line) => line.startsWith("veth")),
        ...leases.split("\n").filter((line) => line !== ""),
      ];
    };
    assert.notDeepEqual(await kept(), []);
    await api.kubectl("delete", "pod", "a", "b", "c", "--wait=true", "--timeout=60s");
    await until("nothing of them is left", async () => (await kept()).length === 0, SLOW, 500);
  });

  await t.test("a rolling restart of the agents takes no route away", async () => {
    const machine = machines.get("node1") as Machine;
    const monitor = machine.daemon("monitor", "ip", ["monitor", "route"]);
    await api.kubectl("rollout", "restart", "daemonset/podrouter", "-n", "kube-system");
    await rolledOut(api);
    await monitor.stop();
    assert.doesNotMatch(monitor.output, /^Deleted 10\.233\..* proto 17/m);
  });

  await t.test("a Node that is registered anew is followed to its other pod CIDR", async () => {
    const agents = ["get", "pods", ...SYSTEM, "-o=name"];
    const before = await api.kubectl(...agents);
    const [node1, node2] = [...machines.values()] as [Machine, Machine];
    const routes = () => node1.exec("ip", "route", "show", "proto", "17");
    const former = await routes();
    await api.kubectl("delete", "node", "node2");
    await until("its route is gone", async () => (await routes()) === "", SLOW, 200);
    await node2.restartKubelet();
    const routed = async () => / via 192\.168\.50\.51 /.test(await routes());
    await until("there is a route to it", routed, SLOW, 200);
    assert.notEqual(await routes(), former, "the controller gave the former pod CIDR again");
    await bothReady(api);
    const [d, e] = [await startPod(api, "d", "node1"), await startPod(api, "e", "node2")];
    const ping = ["exec", "d", "--", "ping", "-c", "1", "-W", "5"];
    assert.match(await api.kubectl(...ping, e), /1 packets received/, `${d} to ${e}`);
    assert.equal(await api.kubectl(...agents), before, "without a restart of an agent");
    await api.kubectl("delete", "pod", "d", "e", "--wait=true", "--timeout=60s");
  });

  await t.test("cleanup leaves nothing on the nodes, and all of it comes again", async () => {
    await api.kubectl("delete", "-k", copy, "--cascade=foreground", "--timeout=60s");
    await api.kubectl("apply", "-k", join(copy, "cleanup"));
    await rolled(api, "podrouter-cleanup");
    const selector = ["-l", "app.kubernetes.io/name=podrouter-cleanup", "-c", "cleanup"];
    const told = await api.kubectl("logs", ...SYSTEM, ...selector, "--tail=-1");
    assert.equal([...told.matchAll(/^Removed:$/gm)].length, MACHINES.length, told);
    for (const machine of machines.values()) {
      assert.equal(await machine.exec("ip", "route", "show", "proto", "17"), "");
      assert.equal(await machine.exec("ipset", "list", "-n"), "");
      assert.doesNotMatch(await machine.exec("iptables-save"), /kube-bridge|kube-router/);
      assert.equal(await machine.exec("ls", "/etc/cni/net.d"), "");
    }
    await api.kubectl("delete", "-k", join(copy, "cleanup"), "--timeout=60s");
    await api.kubectl("apply", "-k", copy);
    await rolledOut(api);
    await bothReady(api);
  });

  await t.test("a deleted Node is withdrawn on the other", async () => {
    const machine = machines.get("node1") as Machine;
    await machines.get("node2")?.stop();
    await api.kubectl("delete", "node", "node2");
    const gone = async () => (await machine.exec("ip", "route", "show", "proto", "17")) === "";
    await until("its route is gone", gone);
    const sets = await machine.exec("ipset", "list", "kube-router-node-ips");
    assert.doesNotMatch(sets, /192\.168\.50\.51/);
  });
}
