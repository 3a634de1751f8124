/** A speaker with a peer of bytes, for what a peer of its own kind would never do. */
import type { PeerConfig } from "../../../src/bgp/types.ts";
import { openOf, RawPeer, restartCapability } from "../../support/raw-peer.ts";
import { ip, World } from "../../support/speakers.ts";

/** A speaker with an established raw peer. */
export function withRaw(
  changes: Partial<PeerConfig> = {},
  capabilities = [restartCapability()],
  options: ConstructorParameters<typeof World>[0] = {},
) {
  const world = new World(options);
  const a = world.node("192.0.2.1");
  const address = ip("192.0.2.9");
  const raw = new RawPeer(world.network.host(address), address).listen();
  raw.autoOpen = openOf(address, {
    capabilities: [{ kind: "fourOctetAs", as: 64512 }, { kind: "routeRefresh" }, ...capabilities],
  });
  const config = { ...a.peerTo(a, changes), address, name: "raw" };
  a.speaker.setPeers([config]);
  a.speaker.start();
  const up = () => a.speaker.peer(address)?.state === "Established";
  world.until(up, "session");
  world.advance(10);
  return { world, a, raw, address, config, up };
}
