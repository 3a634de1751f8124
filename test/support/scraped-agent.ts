/**
 * Metrics pages of a real agent: two agents on the loopback interface, a dry run of both, so that no
 * privilege is needed and nothing is changed on the machine. The one that is scraped is first well,
 * and then has a warning of the routes and an error.
 */
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { hasLabels, parseSamples, type Sample } from "./prometheus-text.ts";
import { Daemon, until } from "./shell.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const SCRAPED = "127.0.0.1";
const PARTNER = "127.0.0.2";
const AS = 64_512;

export interface Scrapes {
  readonly well: readonly Sample[];
  readonly troubled: readonly Sample[];
}

export async function scrapeAgent(): Promise<Scrapes> {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-scrape-"));
  const [port, metrics] = [await freePort(SCRAPED), await freePort(SCRAPED)];
  const agents: Daemon[] = [];
  const page = async (): Promise<readonly Sample[]> => {
    const answer = await fetch(`http://${SCRAPED}:${metrics}/metrics`).catch(() => undefined);
    return answer === undefined ? [] : parseSamples(await answer.text());
  };
  /** The first page that is so. */
  const pageWith = async (what: string, holds: (samples: readonly Sample[]) => boolean) => {
    let samples: readonly Sample[] = [];
    await until(what, async () => {
      samples = await page();
      if (agents.some(({ running }) => !running)) throw new Error(agents[0]?.output);
      return holds(samples);
    });
    return samples;
  };
  try {
    await put(folder, SCRAPED, configuration(SCRAPED, PARTNER, port, []));
    await put(folder, PARTNER, configuration(PARTNER, SCRAPED, port, []));
    agents.push(start(folder, SCRAPED, [`--metrics-addr=${SCRAPED}`, `--metrics-port=${metrics}`]));
    agents.push(start(folder, PARTNER, []));
    const well = await pageWith(
      "the agent is ready and has its peer",
      (samples) =>
        has(samples, "podrouter_ready", {}) &&
        has(samples, "podrouter_bgp_peers", { type: "internal", state: "up" }),
    );
    const refused = [{ prefix: "0.0.0.0/0", nextHop: "192.0.2.1" }];
    await put(folder, PARTNER, configuration(PARTNER, SCRAPED, port, refused));
    await put(folder, SCRAPED, "global: 1\n");
    const troubled = await pageWith(
      "a route is refused, and the configuration file too",
      (samples) =>
        has(samples, "podrouter_conditions", { source: "routes" }) &&
        has(samples, "podrouter_conditions", { severity: "error" }),
    );
    return { well, troubled };
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether there is such a sample, above 0. */
function has(samples: readonly Sample[], name: string, labels: Sample["labels"]): boolean {
  return samples.some(
    (sample) => sample.name === name && sample.value > 0 && hasLabels(sample, labels),
  );
}

function start(folder: string, address: string, words: readonly string[]): Daemon {
  return new Daemon(`podrouter ${address}`, process.execPath, [
    ...[MAIN, "run", `--config=${join(folder, `${address}.yaml`)}`],
    `--admin-socket=${join(folder, `${address}.sock`)}`,
    `--state-dir=${join(folder, `${address}.state`)}`,
    ...["--dry-run=true", "--enable-cni=false", "--enable-pod-egress=false", "--health-port=0"],
    ...words,
  ]);
}

function configuration(
  address: string,
  other: string,
  port: number,
  networks: readonly object[],
): string {
  return JSON.stringify({
    global: { as: AS, routerId: address, listen: [{ address, port }] },
    peers: [{ name: "other", address: other, port, localAddress: address, remoteAs: AS }],
    networks,
  });
}

/** The agent follows its file: it is put in place whole. */
async function put(folder: string, address: string, text: string): Promise<void> {
  const path = join(folder, `${address}.yaml`);
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
