/**
 * Network namespaces for tests, demo and bench. Names are `pr-<pid>-<n>-<label>`; what is not
 * removed ends with this process, see keeper.ts.
 */
import { keptName } from "../../packages/netlink-ts/test/support/keeper.ts";
import { must, run } from "./shell.ts";

let counter = 0;

/** Why namespaces cannot be made here, or undefined when they can. */
export async function namespacesUnavailable(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "it needs root, to make network namespaces";
  if ((await run("ip", ["-V"])).status !== 0) return "the ip program (iproute2) is missing";
  const name = keptName("probe");
  const made = await run("ip", ["netns", "add", name]);
  if (made.status !== 0) return `ip netns add: ${made.stderr.trim()}`;
  await run("ip", ["netns", "delete", name]);
  return undefined;
}

/** One group of namespaces that lives and ends together. */
export class Namespaces {
  readonly group: string;
  readonly #made: string[] = [];

  constructor() {
    this.group = keptName(`${counter++}`);
  }

  /** Full name of the namespace called `label` here. */
  name(label: string): string {
    return `${this.group}-${label}`;
  }

  /** Makes a namespace with its loopback up. */
  async add(label: string): Promise<string> {
    const name = this.name(label);
    // First: an ip that is ended by the terminal, too, may have made it.
    this.#made.push(name);
    await must("ip", ["netns", "add", name]);
    await must("ip", ["-n", name, "link", "set", "lo", "up"]);
    return name;
  }

  /** A veth pair between two namespaces. */
  async veth(a: string, aName: string, b: string, bName: string): Promise<void> {
    const [from, to] = [this.name(a), this.name(b)];
    await must("ip", [
      "-n",
      from,
      "link",
      "add",
      aName,
      "type",
      "veth",
      "peer",
      bName,
      "netns",
      to,
    ]);
    await must("ip", ["-n", from, "link", "set", aName, "up"]);
    await must("ip", ["-n", to, "link", "set", bName, "up"]);
  }

  /** `ip` with words split on spaces, inside a namespace. */
  ip(label: string, words: string): Promise<string> {
    return must("ip", ["-n", this.name(label), ...words.split(" ")]);
  }

  /** Runs a program inside a namespace; a non-zero status is an error. */
  exec(label: string, program: string, ...args: string[]): Promise<string> {
    return must("ip", ["netns", "exec", this.name(label), program, ...args]);
  }

  /** Sets a sysctl inside a namespace. */
  async sysctl(label: string, key: string, value: string): Promise<void> {
    const path = `/proc/sys/${key.replaceAll(".", "/")}`;
    await this.exec(label, "sh", "-c", `echo ${value} > ${path}`);
  }

  /** Removes all; what is gone already is no error. */
  async remove(): Promise<void> {
    for (const name of this.#made.splice(0).reverse()) await run("ip", ["netns", "delete", name]);
  }
}
