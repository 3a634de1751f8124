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
  const address = source.includes(":") ? "ipv6.src" : "ip.src";
  const fields = ["bgp.type", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"];
  const tshark = await run("tshark", [
    ...["-n", "-r", file, "-Y", `bgp && ${address} == ${source}`, "-T", "fields"],
    ...["-E", "separator=;", ...fields.flatMap((field) => ["-e", field])],
  ]);
  assert.equal(tshark.status, 0, tshark.stderr);
  const lines = tshark.stdout.split("\n").filter((line) => line !== "");
  const complaints = lines.filter((line) => complains(line.split(";")));
  assert.deepEqual(complaints, [], "tshark complains");
  if (options.tcpdump !== false) {
    const words = ["-n", "-v", "-r", file, "src", "host", source];
    const tcpdump = await run("tcpdump", words);
    assert.equal(tcpdump.status, 0, tcpdump.stderr);
    const bad = tcpdump.stdout
      .split("\n")
      .filter((line) => TCPDUMP_COMPLAINT.test(line) && !TCPDUMP_NAMELESS.test(line));
    assert.deepEqual(bad, [], "tcpdump complains");
  }
  return lines.reduce((sum, line) => sum + line.split(";")[0]!.split(",").length, 0);
}

/** Severity in tshark: chat and note are 0x200000 and 0x400000, warnings and errors above. */
const SEVERITY_WARN = 0x600000;

function complains(fields: readonly string[]): boolean {
  const [, malformed = "", severity = "", message = ""] = fields;
  if (malformed !== "") return true;
  const worst = Math.max(0, ...severity.split(",").filter(Boolean).map(Number));
  // TCP's own remarks are not about BGP.
  const about = message
    .split(",")
    .filter((text) => !/^(?:This frame|Connection|TCP|ACK)/.test(text));
  return worst >= SEVERITY_WARN && about.length > 0;
}
