/**
 * One change of one Node costs the same among 10 and among 1,000 Nodes: every step of ours is
 * counted, from the object of the API server to ipsets, guards, tunnels, sessions, routes and
 * conditions. What grows all the same is listed with its reason.
 */
import "../support/steps.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { agentConfig, machineObject, machines, NodeChain, SELF } from "../agent/node-chain.ts";
import { IPS, PODS } from "../ipset/lab.ts";
import { nodeObject } from "../k8s/node-objects.ts";
import { route } from "../routes/fake-kernel.ts";
import { type Steps, stepsOf } from "../support/steps.ts";
import { Growth, holdKnown, type Known, SESSIONS } from "./growth.ts";

const SIZES = [10, 100, 1000];
/** Until everything follows from a change, and the conditions are looked at. */
const CHANGE_MS = 100;
const LATER_MS = 900;

const LISTS: readonly Known[] = [
  {
    where: "src/k8s/node-facts.ts insertSorted: walk",
    each: 3,
    why: "sorted lists of references: what stands behind moves up, eight octets each",
  },
  {
    where: "src/k8s/node-facts.ts removeSorted: walk",
    each: 3,
    why: "the same, down",
  },
  {
    where: "src/k8s/topology-step.ts #newPeers: walk",
    each: 3,
    why: "a topology never changes: a list of it is copied, and the copy changed",
  },
  {
    where: "src/k8s/topology-step.ts finish",
    each: 3,
    why: "the lists of pod CIDRs and addresses are written anew: no Node is looked at",
  },
  {
    where: "src/k8s/topology.ts uniqueSorted",
    each: 3,
    why: "the same",
  },
];

const TABLES: readonly Known[] = [
  {
    where: "src/routes/sorted-addresses.ts SortedAddresses.put: walk",
    at: ["address", "address back"],
    each: 8,
    why: "a sorted column: four words an address move up",
  },
  {
    where: "src/routes/ranges.ts AddressIndex.put: walk",
    at: ["address", "address back"],
    each: 2,
    why: "the same",
  },
  {
    where: "src/routes/sorted-addresses.ts #grow: walk",
    each: 4,
    why: "doubles: each address pays for that once",
  },
  {
    where: "src/routes/prefix-index.ts PrefixIndex.grow: walk",
    each: 4,
    why: "doubles: each prefix pays for that once",
  },
];

/** A session that comes up is told the table: each row is looked at for what it is to be told. */
const SESSION_UP: readonly Known[] = [
  "src/bgp/rib/plain-adj-rib-out.ts",
  "src/bgp/rib/update-group.ts",
  "src/bgp/rib/row-set.ts",
  "src/bgp/rib/update-buckets.ts",
].map((where) => ({
  where,
  at: ["annotation back", "address back"],
  each: 6,
  why: "a session comes up, which is told the table",
}));

/** Its name, what happens, what follows from it, and within how many ms. */
type Event = readonly [
  what: string,
  () => void,
  follows?: (() => boolean) | undefined,
  ms?: number,
];

const WHOLE: readonly Known[] = [
  {
    where: "src/",
    at: ["added", "deleted", "pod CIDR", "pod CIDR back"].concat([
      "annotation",
      "annotation back",
      "address",
      "address back",
    ]),
    each: 80,
    why: "while Nodes contradict one another, the whole is computed at each change of one: once",
  },
];

class World {
  readonly chain: NodeChain;
  readonly #new: ReturnType<typeof machines>[number];
  readonly #one: ReturnType<typeof machines>[number];

  constructor(size: number, flags: Readonly<Record<string, string>>) {
    const all = machines(size + 1);
    this.#new = all[size]!;
    this.#one = all[3]!;
    this.chain = new NodeChain(agentConfig(flags), all.slice(0, size));
    const { kernel } = this.chain;
    kernel.addresses = [{ link: 2, address: SELF.address, subnet: prefix("192.168.0.0/16") }];
    kernel.links = [...kernel.links, { index: 3, name: "enp2s0", up: true }];
  }

  /** `contested`: two Nodes want one pod CIDR, all the time. */
  async start(contested: boolean): Promise<void> {
    await this.chain.start();
    const late = nodeObject("late", { internal: "192.168.99.1", cidrs: [SELF.cidr] });
    if (contested && this.chain.store.put(late)) this.chain.tell();
    // All have told their tables: what nobody wants is looked for, once.
    this.chain.lookAtConditions();
    await this.chain.rest();
    this.chain.assertUnmoved("at the start");
  }

  /** What happens, one after the other. */
  events(): readonly Event[] {
    const { store, kernel } = this.chain;
    const known = machineObject(this.#one);
    const { metadata, spec } = known as Record<string, Record<string, unknown>>;
    const annotated = { "kube-router.io/rr.client": "1" };
    const podCidr = this.#new.cidr;
    // Of what changes nothing, as a heartbeat does, the source does not tell.
    const put = (object: unknown) => () => {
      if (store.put(object)) this.chain.tell();
    };
    const remove = (object: unknown) => () => {
      if (store.remove(object)) this.chain.tell();
    };
    const foreign = route("203.0.113.0/24", { protocol: 4 });
    const has = (set: string, member: string) => () =>
      this.chain.fakeSets.members(set)?.includes(member) === true;
    const not = (follows: () => boolean) => () => !follows();
    const [pods, node] = [has(PODS, podCidr), has(IPS, this.#new.address)];
    const routed = () => kernel.routes.some(({ prefix: to }) => to === this.#one.cidr);
    return [
      ["heartbeat", put(known)],
      ["added", put(machineObject(this.#new)), node],
      ["deleted", remove(machineObject(this.#new)), not(node)],
      [
        "pod CIDR",
        put({ ...known, spec: { ...spec, podCIDR: podCidr, podCIDRs: [podCidr] } }),
        pods,
      ],
      ["pod CIDR back", put(known), not(pods)],
      ["label", put({ ...known, metadata: { ...metadata, labels: { a: "b" } } })],
      // We are no reflector, and no peer of a client then.
      [
        "annotation",
        put({ ...known, metadata: { ...metadata, annotations: annotated } }),
        not(routed),
      ],
      ["annotation back", put(known), routed],
      ["address", put(machineObject({ ...this.#one, address: this.#new.address })), node],
      ["address back", put(known), not(node)],
      ["nothing, for a second", () => undefined, undefined, 1000],
      ["a route of somebody else", () => kernel.add(foreign)],
      ["it goes", () => kernel.delete((entry) => entry === foreign)],
      [
        "a route of ours is removed",
        () => kernel.delete(({ prefix: to }) => to === this.#one.cidr),
        routed,
      ],
    ];
  }

  async stepsOf([what, event, follows, ms = CHANGE_MS]: Event): Promise<Steps> {
    const steps = await stepsOf(async () => {
      event();
      await this.chain.clock.advanceAsync(ms);
      this.chain.lookAtConditions();
    });
    assert.notEqual(follows?.(), false, `${what}: it has followed`);
    return steps;
  }
}

function hold(
  title: string,
  flags: Readonly<Record<string, string>>,
  known: readonly Known[],
  contested = false,
) {
  test(title, async (t) => {
    const growth = new Growth([...known, ...SESSIONS]);
    growths.push(growth);
    const runs = new Map<string, { size: number; steps: Steps }[]>();
    for (const size of SIZES) {
      const world = new World(size, flags);
      await world.start(contested);
      for (const event of world.events()) {
        const [what] = event;
        const steps = await world.stepsOf(event);
        runs.set(what, [...(runs.get(what) ?? []), { size, steps }]);
        await world.chain.clock.advanceAsync(LATER_MS);
      }
      await world.chain.stop();
    }
    for (const [what, list] of runs) await t.test(what, () => growth.hold(what, list));
  });
}

const growths: Growth[] = [];
const EACH = [...LISTS, ...TABLES, ...SESSION_UP];
hold("one change, without tunnels", {}, EACH);
hold("one change, IPv4 alone", { "enable-ipv6": "false" }, EACH);
const full = { "enable-overlay": "true", "overlay-type": "full", "overlay-encap": "vxlan" };
hold("one change, all Nodes by tunnels", full, EACH);
hold("one change, no Node needs a tunnel", { ...full, "overlay-type": "subnet" }, EACH);
hold("one change, beside a contradiction", {}, WHOLE, true);
test("what is known to grow does", () => holdKnown([...EACH, ...WHOLE], growths));
