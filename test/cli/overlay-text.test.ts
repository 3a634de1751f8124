/** The line of `podrouter status` about tunnels. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OverlaySummary } from "../../src/agent/overlay-part.ts";
import { overlayText } from "../../src/cli/status-command.ts";

const NONE = {
  tunnels: { 4: 0, 6: 0 },
  missing: 0,
  looked: true,
  devices: [],
  repairs: 0,
  failed: 0,
};

test("tunnels are counted by family, and at most two devices named", () => {
  const cases: readonly (readonly [OverlaySummary, string])[] = [
    [{ ...NONE, encap: "vxlan", type: "subnet" }, "vxlan, subnet: no node needs a tunnel"],
    [
      { ...NONE, encap: "vxlan", type: "subnet", looked: false },
      "vxlan, subnet: which nodes need a tunnel is not known yet",
    ],
    [
      {
        ...{ ...NONE, encap: "vxlan", type: "full", missing: 2 },
        ...{ tunnels: { 4: 3, 6: 1 }, devices: ["podrouter-vx4", "podrouter-vx6"] },
      },
      "vxlan, full: 3 by IPv4, 1 by IPv6, 2 missing (podrouter-vx4, podrouter-vx6)",
    ],
    [
      {
        ...{ ...NONE, encap: "ipip", type: "subnet", tunnels: { 4: 3, 6: 0 } },
        devices: ["tun-0a00020a", "tun-0a00020b\u001b", "tun-0a00020c"],
      },
      "ipip, subnet: 3 by IPv4 (tun-0a00020a, tun-0a00020b? and 1 more)",
    ],
    [
      { ...NONE, encap: "ipip", type: "subnet", missing: 1 },
      "ipip, subnet: no tunnel works, 1 missing",
    ],
  ];
  for (const [overlay, text] of cases) {
    assert.equal(overlayText(overlay), `Overlay ${text}\n`);
  }
});
