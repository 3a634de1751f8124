/** Two decoders that are not ours read what was said: neither may find anything wrong in it. */
import assert from "node:assert/strict";
import { run } from "../support/shell.ts";

/** tcpdump's words for what it cannot decode; without reassembly, so only for small messages. */
const TCPDUMP_COMPLAINT = /invalid|malformed|\[\||bogus|unknown|bad |\(!\)|trunc/i;
/** Version 4.99 has no name for the FQDN capability. */
const TCPDUMP_NAMELESS = /^\s+Unknown \(73\), length: \d+$/;

/**
 * Fails for any complaint about BGP messages from `source`.
 *
 * @returns the number of BGP messages that were read
 */
export async function assertDecodes(
  file: string,
  source: string,
  options: { readonly tcpdump?: boolean } = {},
): Promise<number> {
  const from = `${source.includes(":") ? "ipv6.src" : "ip.src"} == ${source}`;
  const statistics = [`expert,warn,${from}`, `io,stat,0,COUNT(bgp.type)bgp.type && ${from}`];
  const tshark = await run("tshark", [
    ...["-n", "-q", "-r", file],
    ...statistics.flatMap((each) => ["-z", each]),
  ]);
  assert.equal(tshark.status, 0, tshark.stderr);
  // Warnings and errors by protocol: `    1   Malformed   BGP   Malformed Packet (…)`.
  const complaints = tshark.stdout.split("\n").filter((line) => / BGP {2}/.test(line));
  assert.deepEqual(complaints, [], "tshark complains");
  if (options.tcpdump !== false) {
    const tcpdump = await run("tcpdump", ["-n", "-v", "-r", file, "src", "host", source]);
    assert.equal(tcpdump.status, 0, tcpdump.stderr);
    const bad = tcpdump.stdout
      .split("\n")
      .filter((line) => TCPDUMP_COMPLAINT.test(line) && !TCPDUMP_NAMELESS.test(line));
    assert.deepEqual(bad, [], "tcpdump complains");
  }
  const count = /<>[^|\n]*\|\s*(\d+)\s*\|/.exec(tshark.stdout);
  if (count === null) throw new Error(`tshark counted nothing: ${tshark.stdout}`);
  return Number(count[1]);
}
