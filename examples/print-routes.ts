/** Prints the routes of a peer: `node print-routes.ts PEER-ADDRESS PEER-AS OWN-ADDRESS OWN-AS`. */
import * as bgp from "../src/bgp/index.ts";

const [peer = "", peerAs, own = "", ownAs] = process.argv.slice(2);
const [address, routerId] = [bgp.parseAddress(peer), bgp.parseAddress(own)];
if (address === undefined || routerId === undefined || ownAs === undefined) {
  throw new Error("usage: print-routes.ts PEER-ADDRESS PEER-AS OWN-ADDRESS OWN-AS");
}
const services = { clock: bgp.systemClock, random: Math.random, log: bgp.silentLog };
const config = bgp.speakerConfig({ as: Number(ownAs), routerId });
const speaker = new bgp.Speaker({ ...services, transport: new bgp.TcpTransport() }, config);
const say = (line: string) => process.stdout.write(`${line}\n`);

speaker.onBestChange((routes) => {
  for (const { prefix, nextHops } of routes) {
    if (nextHops.length === 0) say(`- ${prefix}`);
    for (const path of nextHops.length === 0 ? [] : speaker.ribPaths({ view: "loc", prefix })) {
      say(`+ ${prefix} via ${path.nextHop} AS path ${path.asPath}`);
    }
  }
});
speaker.onPeerChange(() => {
  const { state, lastError } = speaker.peer(address)!;
  say(`${peer} is ${state}${lastError === undefined ? "" : ` (${lastError.reason})`}`);
});
speaker.setPeers([
  bgp.peerConfig({ address, remoteAs: Number(peerAs), importPolicy: bgp.ACCEPT_ALL }),
]);
speaker.start();
process.once("SIGTERM", () => speaker.stop({ notify: true }));
