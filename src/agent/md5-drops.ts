/** The kernel's counters of what it drops for TCP MD5: the only trace of a wrong password. */
import { readFileSync } from "node:fs";

/** Segments by cause, of all sockets of the node's network namespace, since it was made. */
export interface Md5Drops {
  readonly wrong: number;
  readonly missing: number;
  readonly unexpected: number;
}

const PATH = "/proc/self/net/netstat";

/** The counters now; undefined where the kernel does not have them. */
export function readMd5Drops(): Md5Drops | undefined {
  try {
    return parseMd5Drops(readFileSync(PATH, "utf8"));
  } catch {
    // No such file outside Linux: the metric is left out.
    return undefined;
  }
}

/** Of the text of /proc/net/netstat: a line of names, then one of numbers, behind `TcpExt:`. */
export function parseMd5Drops(text: string): Md5Drops | undefined {
  const [names, values] = text
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  if (names === undefined || values === undefined) return undefined;
  const of = (name: string) => Number(values[names.indexOf(name)]);
  const [wrong, missing, unexpected] = [
    of("TCPMD5Failure"),
    of("TCPMD5NotFound"),
    of("TCPMD5Unexpected"),
  ];
  if (![wrong, missing, unexpected].every(Number.isSafeInteger)) return undefined;
  return { wrong, missing, unexpected };
}
