/**
 * What agents of another version leave on a node, and what podrouter-cni of another version says:
 * taken as it is, and written in the same form, so that an upgrade and the way back find it. The
 * texts are what earlier bundles wrote. Who changes a form must go on reading the old one, and know
 * that no older agent reads the new one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { planConflist } from "../../src/cni/conflist.ts";
import { decodeAlias, encodeAlias, hostLinkName } from "../../src/cni/plugin/attachment.ts";
import { LeaseBook } from "../../src/cni/plugin/lease-book.ts";
import { decodeCall, encodeAnswer, encodeCall } from "../../src/cni/plugin/wire.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { decodeNodes, encodeNodes } from "../../src/k8s/node-cache.ts";

const RANGES = [prefix("10.233.64.0/24"), prefix("fd00:10:233:64::/64")] as const;

const NODES =
  '{"version":1,"savedAt":"2026-11-21T04:32:00.000Z","items":[{"kind":"Node","metadata":{' +
  '"name":"node1","uid":"60453a95-3ed3-436b-9d43-ae79f4218d38",' +
  '"creationTimestamp":"2026-11-21T04:08:02.000Z",' +
  '"annotations":{"kube-router.io/node.asn":"64513"}},' +
  '"spec":{"podCIDRs":["10.233.64.0/24","fd00:10:233:64::/64"]},' +
  '"status":{"addresses":[{"type":"InternalIP","address":"192.168.50.50"},' +
  '{"type":"InternalIP","address":"fd00:192:168:50::50"}]}}]}';

const LEASES =
  '{"format":1,"last":{"10.233.64.0/24":"10.233.64.2",' +
  '"fd00:10:233:64::/64":"fd00:10:233:64::2"},"leases":[\n' +
  '{"network":"podrouter","containerId":"pod3","interfaceName":"eth0",' +
  '"addresses":["10.233.64.2","fd00:10:233:64::2"]}\n]}\n';

const ALIAS = "podrouter podrouter pod3 eth0 10.233.64.2,fd00:10:233:64::2";

const BRIDGE = `{
  "cniVersion": "1.0.0",
  "name": "mynet",
  "createdBy": "podrouter",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "kube-bridge",
      "isDefaultGateway": true,
      "forceAddress": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [
          [
            {
              "subnet": "10.233.64.0/24"
            }
          ],
          [
            {
              "subnet": "fd00:10:233:64::/64"
            }
          ]
        ]
      },
      "mtu": 1500
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      },
      "snat": true
    }
  ]
}
`;

const OWN_PLUGIN = `{
  "cniVersion": "1.0.0",
  "name": "podrouter",
  "createdBy": "podrouter",
  "plugins": [
    {
      "type": "podrouter-cni",
      "socket": "/run/podrouter/cni.sock",
      "leases": "/var/lib/podrouter/pod-leases.json",
      "capabilities": {
        "ips": true,
        "mac": true
      },
      "mtu": 1450
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      },
      "snat": true
    }
  ]
}
`;

test("the saved Nodes", () => {
  const saved = decodeNodes(NODES);
  assert.deepEqual([...saved.nodes.keys()], ["node1"]);
  assert.equal(saved.version, undefined);
  assert.equal(encodeNodes(saved, Date.parse("2026-11-21T04:32:00Z")), NODES);
});

test("the leases, and what the pods' links say", () => {
  const book = new LeaseBook();
  book.setRanges(RANGES);
  assert.ok(book.load(LEASES));
  assert.equal(book.encode(), LEASES);
  const [lease] = book.leases();
  assert.deepEqual(decodeAlias(ALIAS), lease);
  assert.equal(encodeAlias(lease!), ALIAS);
  assert.equal(hostLinkName(lease!), "vethfc0e58c6723");
});

test("the CNI configuration stays, and a new one is the same to the byte", () => {
  const own = { socket: "/run/podrouter/cni.sock", leases: "/var/lib/podrouter/pod-leases.json" };
  const cases = [
    [BRIDGE, { kind: "bridge", podCidrs: RANGES, mtu: 1500 }],
    [OWN_PLUGIN, { kind: "podrouter", podCidrs: RANGES, mtu: 1450, own }],
  ] as const;
  for (const [text, wanted] of cases) {
    const [kept, made] = [planConflist(text, wanted), planConflist(undefined, wanted)];
    assert.ok(kept.ok && made.ok);
    assert.equal(kept.text, undefined);
    assert.equal(made.text, text);
  }
});

test("a call of podrouter-cni and its answer", () => {
  const config = '{"cniVersion":"1.0.0"}';
  const environment = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "pod3", CNI_IFNAME: "eth0" };
  const line =
    '{"env":{"CNI_COMMAND":"ADD","CNI_CONTAINERID":"pod3","CNI_IFNAME":"eth0"},' +
    '"config":"{\\"cniVersion\\":\\"1.0.0\\"}"}\n';
  assert.equal(encodeCall({ environment, config }), line);
  assert.deepEqual(decodeCall(line), { environment, config });
  assert.deepEqual(decodeCall(line.replace('"env"', '"later":1,"env"')), { environment, config });
  assert.equal(encodeAnswer({ status: 1, output: "{}" }), '{"status":1,"output":"{}"}\n');
});
