/** `--peer-router-*`: parallel lists into peers, and their passwords from a file. Pure. */
import { parsePeerAddress } from "../ip/host-address.ts";
import { PASSWORD_BYTES_MAX, parseAs, parsePort } from "../k8s/annotation-values.ts";
import { quoted } from "../k8s/problem.ts";
import type { ExternalPeer, ExternalSettings } from "./external-peers.ts";
import type { RunFlags } from "./flags.ts";

/** The peers of the flags, without passwords; undefined after a problem, which names the flag. */
export function externalSettings(
  flags: RunFlags,
  problems: string[],
): ExternalSettings | undefined {
  const before = problems.length;
  const addresses = entries("peer-router-ips", flags.peerRouterIps, parsePeerAddress, problems);
  const asns = entries("peer-router-asns", flags.peerRouterAsns, parseAs, problems);
  const ports = entries("peer-router-ports", flags.peerRouterPorts, parsePort, problems);
  // What was given counts, not what was understood: that is said already.
  inStep("peer-router-asns", flags.peerRouterAsns, flags.peerRouterIps, problems);
  if (flags.peerRouterPorts.length > 0) {
    inStep("peer-router-ports", flags.peerRouterPorts, flags.peerRouterIps, problems);
  }
  const again = addresses.find((address, index) => addresses.indexOf(address) < index);
  if (again !== undefined) {
    problems.push(`--peer-router-ips: expected each address once, ${again} is there again`);
  }
  if (problems.length > before) return undefined;
  const peers = addresses.map(
    (address, index): ExternalPeer => ({
      address,
      as: asns[index]!,
      port: ports[index],
      localAddress: undefined,
      password: undefined,
    }),
  );
  const file = flags.peerRouterPasswordsFile;
  return {
    peers,
    multihopTtl: flags.peerRouterMultihopTtl,
    passwordsFile: file === "" ? undefined : file,
  };
}

/** Peers with the passwords of the file's text, or one sentence; the text is never repeated. */
export function withPasswords(
  peers: readonly ExternalPeer[],
  text: string,
  file: string,
): readonly ExternalPeer[] | string {
  // As a shell leaves it while what is to stand in it is still made: nobody has no password by it.
  if (text.trim() === "") return `${file}: is empty`;
  const parts = text.trim().split(",");
  if (parts.length !== peers.length) {
    return `${file}: expected ${peers.length} passwords, one for each peer, not ${parts.length}`;
  }
  const passwords = parts.map(decodePassword);
  const wrong = passwords.indexOf(null);
  if (wrong >= 0) {
    const expected = `base64 of 1 to ${PASSWORD_BYTES_MAX} bytes of text`;
    return `${file}: password ${wrong + 1} is not ${expected}`;
  }
  return peers.map((peer, index) => ({ ...peer, password: passwords[index] ?? undefined }));
}

/** Undefined for an empty entry, null for a wrong one. */
function decodePassword(part: string): string | undefined | null {
  const text = part.trim();
  if (text === "") return undefined;
  const bytes = Buffer.from(text, "base64");
  const decoded = bytes.toString("utf8");
  const same = bytes.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "");
  const sound = same && bytes.length <= PASSWORD_BYTES_MAX && Buffer.from(decoded).equals(bytes);
  return sound && bytes.length > 0 ? decoded : null;
}

function entries<T>(
  flag: string,
  texts: readonly string[],
  parse: (text: string) => T | undefined,
  problems: string[],
): readonly T[] {
  return texts.flatMap((text) => {
    const value = parse(text);
    if (value !== undefined) return [value];
    problems.push(`--${flag}: ${quoted(text)} is ${EXPECTED[flag]}`);
    return [];
  });
}

const EXPECTED: Readonly<Record<string, string>> = {
  "peer-router-ips": "no IP address that a peer can have",
  "peer-router-asns": "no AS number (1 to 4294967294)",
  "peer-router-ports": "no port (1 to 65535)",
};

function inStep(
  flag: string,
  list: readonly string[],
  addresses: readonly string[],
  problems: string[],
): void {
  if (list.length === addresses.length) return;
  const wanted = addresses.length === 1 ? "1 entry" : `${addresses.length} entries`;
  problems.push(
    `--${flag}: expected ${wanted}, one for each of --peer-router-ips, not ${list.length}`,
  );
}
