/** The restart under tcpdump: capture on node1, decode, and set it beside the seed's listing. */
import { join } from "node:path";
import { SEED_EXCHANGE, type SeedMessage } from "../../test/fixtures/seed-exchange.ts";
import type { Cluster } from "../../test/support/cluster.ts";
import { type CapturedMessage, readBgpMessages } from "../../test/support/pcap-reader.ts";
import { Daemon, must, until } from "../../test/support/shell.ts";

const NAMES = new Map([
  ["192.168.50.50", "node1"],
  ["192.168.50.52", "node3"],
]);
const COLUMN = 72;

/** tcpdump on node1's interface, of node3's BGP traffic. */
export class Capture {
  readonly file: string;
  readonly #daemon: Daemon;

  constructor(cluster: Cluster) {
    this.file = join(cluster.folder, "restart.pcap");
    const filter = "port 179 and host 192.168.50.52";
    this.#daemon = new Daemon("tcpdump on node1", "ip", [
      ...["netns", "exec", cluster.namespaces.name("node1")],
      ...["tcpdump", "-i", "enp1s0", "-U", "-w", this.file, filter],
    ]);
  }

  async started(): Promise<void> {
    await until("tcpdump listens", () => this.#daemon.output.includes("listening on"));
  }

  /** The messages captured until now. */
  soFar(): Promise<readonly CapturedMessage[]> {
    return readBgpMessages(this.file);
  }

  async stop(): Promise<void> {
    await this.#daemon.stop("SIGINT");
  }
}

/**
 * For each message of the seed the same message of ours, from the connection that carried the
 * session (the one with an UPDATE): both agents may dial at once, and one connection is closed
 * again (RFC 4271 §6.8).
 */
export function matchSeed(
  messages: readonly CapturedMessage[],
): readonly { readonly seed: SeedMessage; readonly ours: CapturedMessage | undefined }[] {
  const left = messages.filter((message) => isSessionOf(message, messages));
  return SEED_EXCHANGE.map((seed) => {
    const index = left.findIndex(
      (message) => NAMES.get(message.source) === seed.from && message.hex === seed.hex,
    );
    return { seed, ours: index < 0 ? undefined : left.splice(index, 1)[0] };
  });
}

function isSessionOf(message: CapturedMessage, all: readonly CapturedMessage[]): boolean {
  const reverse = message.stream.split(">").reverse().join(">");
  return all.some(
    (other) =>
      (other.stream === message.stream || other.stream === reverse) &&
      other.hex.slice(36, 38) === "02",
  );
}

/** tcpdump's own decoding of one captured message: the lines from the message name on. */
export async function decodeWithTcpdump(file: string): Promise<readonly DecodedMessage[]> {
  const output = await must("tcpdump", ["-n", "-v", "-r", file]);
  const decoded: DecodedMessage[] = [];
  let source = "";
  for (const line of output.split("\n")) {
    const packet = /^\s+(\d+\.\d+\.\d+\.\d+)\.\d+ > /.exec(line);
    if (packet !== null) source = packet[1]!;
    if (!line.startsWith("\t")) continue;
    const text = line.replaceAll("\t", " ".repeat(8)).slice(8);
    if (/^\S/.test(text)) decoded.push({ source, lines: [text] });
    else decoded.at(-1)?.lines.push(text);
  }
  return decoded;
}

export interface DecodedMessage {
  readonly source: string;
  readonly lines: string[];
}

/** Two columns: the seed's listing, and tcpdump's of ours. */
export function sideBySide(
  matched: ReturnType<typeof matchSeed>,
  decoded: readonly DecodedMessage[],
): string {
  const rest = [...decoded];
  const rows: string[] = [
    row("2023, kube-router", "now, podrouter"),
    row("-".repeat(COLUMN - 2), "-".repeat(COLUMN - 2)),
  ];
  for (const { seed, ours } of matched) {
    const index = rest.findIndex(
      (message) =>
        NAMES.get(message.source) === seed.from &&
        message.lines[0] === seed.text[0] &&
        message.lines.includes(tellingLine(seed)),
    );
    const lines =
      ours === undefined ? ["(not seen)"] : (rest.splice(index, index < 0 ? 0 : 1)[0]?.lines ?? []);
    const verdict = ours === undefined ? "DIFFERS" : "same bytes";
    rows.push(row(`${seed.from} sends ${seed.kind}`, verdict));
    for (let i = 0; i < Math.max(seed.text.length, lines.length); i++) {
      rows.push(row(`  ${seed.text[i] ?? ""}`, `  ${lines[i] ?? ""}`));
    }
  }
  return rows.join("\n");
}

/** The line that tells a message from others of its kind, whatever the version of tcpdump. */
function tellingLine(seed: SeedMessage): string {
  return (seed.kind === "OPEN" ? seed.text[1] : seed.text.at(-1)) ?? "";
}

function row(left: string, right: string): string {
  return `${left.padEnd(COLUMN).slice(0, COLUMN)}| ${right}`.trimEnd();
}
