/**
 * A machine of a real cluster: a network namespace that is there already, with processes, mounts
 * and /run, /etc, /opt and /var/lib of its own, in which a real containerd and kubelet run. What
 * they write lies below one folder; ending the first process of the machine ends all of them.
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Daemon, must, run, until } from "../shell.ts";

const CGROUPS = "/sys/fs/cgroup";
const CONTAINERD = "/run/containerd/containerd.sock";
const IMPORT_MS_MAX = 180_000;

export interface MachineOptions {
  readonly name: string;
  readonly address: string;
  /** Name of its network namespace. */
  readonly namespace: string;
  /** Everything of this machine goes below; made here. */
  readonly folder: string;
  readonly kubelet: string;
  readonly kubeconfig: string;
  /** Image of the sandboxes. */
  readonly sandboxImage: string;
}

export class Machine {
  readonly #options: MachineOptions;
  readonly #cgroup: string;
  #first: Daemon | undefined;
  #pid = 0;
  readonly #daemons: Daemon[] = [];

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#cgroup = options.namespace;
  }

  /** The first process and containerd; kubelet comes with {@link startKubelet}. */
  async start(): Promise<void> {
    const { folder, namespace } = this.#options;
    await mkdir(folder);
    for (const name of ["etc", "opt", "lib", "log"]) {
      await mkdir(join(folder, name, "upper"), { recursive: true });
      await mkdir(join(folder, name, "work"));
    }
    const layered = (name: string, path: string) =>
      `mount -t overlay overlay -o lowerdir=${path},upperdir=${join(folder, name, "upper")},` +
      `workdir=${join(folder, name, "work")} ${path}`;
    const script = [
      "mount --make-rprivate /",
      "mount -t tmpfs tmpfs /run",
      layered("etc", "/etc"),
      layered("opt", "/opt"),
      layered("lib", "/var/lib"),
      layered("log", "/var/log"),
      "mount --make-rshared /",
      "rm -rf /etc/cni /opt/cni",
      "mkdir -p /etc/cni/net.d /opt/cni/bin /run/netns",
      "touch /run/machine-ready",
      "exec sleep infinity",
    ].join(" && ");
    const network = `--net=/run/netns/${namespace}`;
    const unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    this.#first = new Daemon(namespace, "nsenter", [network, ...unshare, "sh", "-c", script]);
    await until("the machine's first process", () => this.#ready());
    for (const group of await hierarchies()) {
      await mkdir(join(group, this.#cgroup), { recursive: true });
    }
    await this.#startContainerd();
  }

  async startKubelet(): Promise<void> {
    const { address, folder, kubeconfig, kubelet, name } = this.#options;
    const config = {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      cgroupDriver: "cgroupfs",
      cgroupRoot: `/${this.#cgroup}`,
      cgroupsPerQOS: true,
      enforceNodeAllocatable: [],
      failCgroupV1: false,
      failSwapOn: false,
      containerRuntimeEndpoint: `unix://${CONTAINERD}`,
      evictionHard: { "memory.available": "1Mi", "nodefs.available": "0%" },
      imageGCHighThresholdPercent: 100,
      localStorageCapacityIsolation: false,
      makeIPTablesUtilChains: false,
      // The machine's own resolver is no business of these pods.
      resolvConf: "",
      nodeStatusUpdateFrequency: "1s",
      syncFrequency: "2s",
    };
    const file = join(folder, "kubelet.yaml");
    await writeFile(file, JSON.stringify(config));
    this.daemon("kubelet", kubelet, [
      `--config=${file}`,
      `--kubeconfig=${kubeconfig}`,
      `--root-dir=${join(folder, "kubelet")}`,
      `--cert-dir=${join(folder, "pki")}`,
      `--hostname-override=${name}`,
      `--node-ip=${address}`,
      "--v=1",
    ]);
  }

  /** As its upgrade does; pods go on. A Node that was deleted is registered anew by this alone. */
  async restartKubelet(): Promise<void> {
    await this.exec("pkill", "-x", "kubelet");
    const runs = this.#inside("pgrep", ["-x", "kubelet"]);
    await until("kubelet has ended", async () => (await run("nsenter", runs)).status === 1);
    await this.startKubelet();
  }

  /** Makes an image of an archive known to containerd. */
  async importImage(archive: string): Promise<void> {
    const args = ["-a", CONTAINERD, "-n", "k8s.io", "images", "import", archive];
    await must("nsenter", this.#inside("ctr", args), { timeoutMs: IMPORT_MS_MAX });
  }

  /** A command on the machine, as its operator would type it. */
  exec(program: string, ...args: string[]): Promise<string> {
    return must("nsenter", this.#inside(program, args));
  }

  /** A program that runs on the machine until it is stopped, or the machine is. */
  daemon(name: string, program: string, args: readonly string[]): Daemon {
    const inside = this.#inside(program, args);
    const daemon = new Daemon(`${this.#options.name} ${name}`, "nsenter", inside);
    this.#daemons.push(daemon);
    return daemon;
  }

  /** What its daemons said last, for a failure's message. */
  said(): string {
    return this.#daemons.map(({ name, output }) => `--- ${name}\n${output}`).join("\n");
  }

  /** Ends all its processes, and removes its control groups. */
  async stop(): Promise<void> {
    if (this.#pid !== 0) await run("kill", ["-KILL", String(this.#pid)]);
    await this.#first?.stop("SIGKILL");
    await Promise.all(this.#daemons.map((daemon) => daemon.stop("SIGKILL")));
    for (const group of await hierarchies()) await removeGroup(join(group, this.#cgroup));
  }

  async #ready(): Promise<boolean> {
    const outer = this.#first?.child.pid;
    if (this.#first?.running === false) throw new Error(this.#first.output);
    if (outer === undefined) return false;
    const children = await readFile(`/proc/${outer}/task/${outer}/children`, "utf8").catch(
      () => "",
    );
    this.#pid = Number(children.trim().split(" ")[0] ?? 0);
    if (this.#pid === 0) return false;
    const there = await run("nsenter", this.#inside("test", ["-e", "/run/machine-ready"]));
    return there.status === 0;
  }

  async #startContainerd(): Promise<void> {
    const { folder, sandboxImage } = this.#options;
    const file = join(folder, "containerd.toml");
    const cri = 'plugins."io.containerd.grpc.v1.cri"';
    const lines = [
      "version = 2",
      `root = "${join(folder, "containerd")}"`,
      'state = "/run/containerd"',
      "[grpc]",
      `  address = "${CONTAINERD}"`,
      `[${cri}]`,
      `  sandbox_image = "${sandboxImage}"`,
      // Scores below one's own need a right that not every root has.
      "  restrict_oom_score_adj = true",
      `  [${cri}.cni]`,
      '    bin_dir = "/opt/cni/bin"',
      '    conf_dir = "/etc/cni/net.d"',
    ];
    await writeFile(file, `${lines.join("\n")}\n`);
    this.daemon("containerd", "containerd", ["--config", file]);
    await until(
      "containerd answers",
      async () => {
        const args = ["-a", CONTAINERD, "version"];
        return (await run("nsenter", this.#inside("ctr", args))).status === 0;
      },
      30_000,
      200,
    );
  }

  #inside(program: string, args: readonly string[]): string[] {
    return ["--target", String(this.#pid), "--mount", "--pid", "--net", program, ...args];
  }
}

/** The mounted control group hierarchies; one folder each for version 1, one for version 2. */
async function hierarchies(): Promise<readonly string[]> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, path, type]) => type?.startsWith("cgroup") && path?.startsWith(CGROUPS))
    .map(([, path]) => path ?? "");
}

async function removeGroup(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  // Processes that were just killed may still be in it.
  const gone = async () =>
    rmdir(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code === "ENOENT",
    );
  await until(`the control group ${path} is empty`, gone, 10_000, 50);
}
