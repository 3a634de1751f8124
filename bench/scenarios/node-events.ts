/** S6: a Node goes, comes back or changes at the API server: until the kernel is as it must be. */
import { measureNodeEvents } from "../node-events.ts";
import type { Figures, Measure, Scenario } from "./scenario.ts";

const SIZES = [10, 100, 1000] as const;
const EVENTS = 100;

export const S6: Scenario = {
  key: "s6",
  title: "S6: a Node event until the kernel is right",
  text:
    "The agent in a cluster of so many Nodes, each a peer with its pod CIDR. One Node after the " +
    `other is deleted, made again and given another pod CIDR, ${EVENTS} in all: from the change ` +
    "in the API server until the kernel's routes and sets show it. The route of a Node that was " +
    "made comes over a new BGP session and is told apart, by whose turn it is to dial: the peer " +
    "sees the event 2–12 ms after the change and refuses connections until then, as an agent " +
    "does. The API server is the tests' own.",
  measures: [
    ...SIZES.flatMap((size): Measure[] => {
      const at = `${size.toLocaleString("en")} Nodes`;
      return [
        { key: `p50@${size}`, label: `${at}: p50`, unit: "ms", ratio: false },
        { key: `p99@${size}`, label: `${at}: p99`, unit: "ms", ratio: false },
        { key: `dials@${size}`, label: `${at}: new route, we dial`, unit: "ms", ratio: false },
        { key: `dialled@${size}`, label: `${at}: the peer dials`, unit: "ms", ratio: false },
        { key: `cpu@${size}`, label: `${at}: CPU a change`, unit: "ms", ratio: false },
      ];
    }),
    { key: "flat", label: "p50, 1,000 against 10", unit: "", ratio: false },
  ],
  chart: {
    ...{ kind: "lines", sizes: SIZES, of: "Nodes", measure: "p50" },
    axis: "Node event → kernel, median, ms",
  },
  takes: ({ agent }) => agent !== undefined,
  run: async ({ agent }, { scale }) => {
    let figures: Figures = {};
    for (const size of SIZES) {
      const nodes = Math.max(2, Math.round(size / scale));
      const events = Math.max(5, Math.round(EVENTS / scale));
      const seen = await measureNodeEvents({ ...agent, nodes, events });
      figures = {
        ...figures,
        [`p50@${size}`]: seen.p50,
        [`p99@${size}`]: seen.p99,
        [`dials@${size}`]: seen.agentDials.p50,
        [`dialled@${size}`]: seen.peerDials.p50,
        [`cpu@${size}`]: seen.cpuMsPerChange,
      };
    }
    const [few, many] = [figures["p50@10"] ?? 0, figures["p50@1000"] ?? 0];
    return { ...figures, flat: few === 0 ? 0 : many / few };
  },
};
