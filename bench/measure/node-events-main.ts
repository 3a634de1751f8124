/**
 * In the agent's namespace: makes and deletes Nodes at the API server, and sees when the kernel
 * has the route and the sets have the members. Answers JSON commands.
 */
import { IpSets } from "ipset-js";
import { RouteMonitor } from "netlink-ts";
import { answerCommands } from "../../test/support/json-commands.ts";

export interface NodeEvent {
  readonly method: "POST" | "DELETE";
  readonly url: string;
  /** The Node, for POST. */
  readonly body?: unknown;
  readonly podCidr: string;
  readonly address: string;
}

/** Milliseconds from the request's beginning. */
export interface Seen {
  readonly route: number;
  readonly sets: number;
}

const POLL_MS = 1;
const SEEN_MS_MAX = 20_000;
const [POD_SUBNETS, NODE_IPS] = ["kube-router-pod-subnets", "kube-router-node-ips"];

const sets = new IpSets();
let onRoute: (change: "new" | "delete", destination: string) => void = () => undefined;

new RouteMonitor(
  { topics: ["route"] },
  {
    onEvent: (event) => {
      if (event.kind === "route") onRoute(event.change, event.route.destination);
    },
    onOverrun: (reason) => {
      throw new Error(`route events were lost: ${reason}`);
    },
  },
);

answerCommands({ event: (argument) => measure(argument as NodeEvent) });

async function measure(event: NodeEvent): Promise<Seen> {
  const present = event.method === "POST";
  const begin = performance.now();
  const routed = new Promise<number>((resolve) => {
    onRoute = (change, destination) => {
      if (destination === event.podCidr && (change === "new") === present) {
        resolve(performance.now() - begin);
      }
    };
  });
  const answered = request(event);
  const seen = setsAre(event, present, begin);
  const [route, members] = await Promise.all([within(routed), seen, answered]);
  return { route, sets: members };
}

async function request({ method, url, body }: NodeEvent): Promise<void> {
  const content = { "content-type": "application/json" };
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: content };
  const response = await fetch(url, { method, ...sent });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text.slice(0, 200)}`);
}

async function setsAre(event: NodeEvent, present: boolean, begin: number): Promise<number> {
  for (;;) {
    const podCidr = await sets.test(POD_SUBNETS!, event.podCidr);
    const address = await sets.test(NODE_IPS!, event.address);
    const now = performance.now();
    if (podCidr === present && address === present) return now - begin;
    if (now - begin > SEEN_MS_MAX) throw new Error(`the sets do not change: ${event.url}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function within(routed: Promise<number>): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), SEEN_MS_MAX);
  });
  const at = await Promise.race([routed, late]);
  clearTimeout(timer);
  if (at === undefined) throw new Error("the kernel's route does not change");
  return at;
}
