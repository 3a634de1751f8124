/** What a speaker made by hand has been told, in a form in which the same thing is equal. */
import { prefixFromBytes } from "../../src/ip/prefix.ts";
import { attributesIn } from "../support/peers/wire-decode.ts";

/** By type: flags without the one for long attributes, and the value. */
type Attributes = Readonly<Record<number, string>>;

/** Of each prefix the paths: one, or with ADD-PATH several, in an order of their content. */
export type Told = Readonly<Record<string, readonly Attributes[]>>;

const TYPE = { asPath: 2, nextHop: 3, med: 4, communities: 8, mpReach: 14, large: 32 } as const;

/** Attributes by NLRI, as `Injector.attributes` gives them. */
export function normalTold(heard: Readonly<Record<string, string>>, addPath: boolean): Told {
  const told = new Map<string, Attributes[]>();
  for (const [key, hex] of Object.entries(heard)) {
    const [family, nlri] = key.split(" ");
    const prefix = prefixText(family!, addPath ? nlri!.slice(8) : nlri!);
    told.set(prefix, [...(told.get(prefix) ?? []), normalAttributes(hex)]);
  }
  const text = (attributes: Attributes) => JSON.stringify(attributes);
  return Object.fromEntries(
    [...told].sort().map(([prefix, paths]) => {
      return [prefix, paths.sort((a, b) => (text(a) < text(b) ? -1 : 1))];
    }),
  );
}

/** A prefix of which one receiver is told something else. */
export interface Difference {
  readonly receiver: number;
  readonly prefix: string;
  readonly text: string;
}

/** Where what we tell is not what `name` tells. */
export function differences(
  ours: readonly Told[],
  theirs: readonly Told[],
  name: string,
): readonly Difference[] {
  return ours.flatMap((mine, receiver) => {
    const other = theirs[receiver]!;
    const prefixes = [...new Set([...Object.keys(mine), ...Object.keys(other)])].sort();
    return prefixes.flatMap((prefix) => {
      const [we, they] = [mine, other].map((told) => JSON.stringify(told[prefix]));
      const text = `${prefix} to receiver ${receiver}\n  we tell ${we}\n  ${name} tells ${they}`;
      return we === they ? [] : [{ receiver, prefix, text }];
    });
  });
}

/** Of what is told, what must be as `other` tells it; `external` is the receiver of another AS. */
export function comparable(
  told: readonly Told[],
  other: string,
  external: number,
): readonly Told[] {
  return told.map((each, receiver) => {
    const same = mapped(each, other === "FRR" ? withoutZeroMed : partless);
    // RFC 4271 §5.1.3: they name the speaker on the same link as next hop, we always ourselves.
    return receiver === external ? mapped(same, ({ [TYPE.nextHop]: _, ...rest }) => rest) : same;
  });
}

function mapped(told: Told, change: (attributes: Attributes) => Attributes): Told {
  return Object.fromEntries(
    Object.entries(told).map(([prefix, paths]) => [prefix, paths.map(change)]),
  );
}

const MED_OF_ZERO = "80 00000000";

/** FRR 8.4.4 tells a MED of 0 where there is none: inside the AS, and of its own networks. */
function withoutZeroMed({ [TYPE.med]: med, ...rest }: Attributes): Attributes {
  return med === undefined || med === MED_OF_ZERO ? rest : { ...rest, [TYPE.med]: med };
}

/**
 * BIRD sets Partial where a filter attaches the first community. RFC 4271 §5 has it so; FRR and we
 * do not, see docs/rfc-coverage.md.
 */
function partless(attributes: Attributes): Attributes {
  const cleared = [TYPE.communities, TYPE.large].flatMap((type) => {
    const value = attributes[type];
    return value === undefined ? [] : [[type, value.replace(/^e0/, "c0")]];
  });
  return { ...attributes, ...Object.fromEntries(cleared) };
}

function prefixText(family: string, hex: string): string {
  const [length = 0, ...octets] = Buffer.from(hex, "hex");
  const bytes = new Uint8Array(family === "4" ? 4 : 16);
  bytes.set(octets);
  return prefixFromBytes(bytes, length);
}

function normalAttributes(hex: string): Attributes {
  return Object.fromEntries(
    attributesIn(Buffer.from(hex, "hex")).map(({ flags, type, value }) => {
      // The next hop, wherever it stands.
      const key = type === TYPE.mpReach ? TYPE.nextHop : type;
      return [key, `${flags.toString(16)} ${valueText(type, value)}`];
    }),
  );
}

function valueText(type: number, value: Buffer): string {
  // RFC 2545 §3: they put the link-local address behind it where they know one, we never do.
  if (type === TYPE.mpReach) return value.toString("hex", 0, 16);
  // Lists of communities are sets, RFC 1997, RFC 8092 §3.
  if (type === TYPE.communities) return chunks(value, 4).sort().join(" ");
  if (type === TYPE.large) return chunks(value, 12).sort().join(" ");
  return type === TYPE.asPath ? asPathText(value) : value.toString("hex");
}

/** `65001 65002 {65003 65004}`, however the sequences are cut into segments. */
function asPathText(value: Buffer): string {
  const words: string[] = [];
  for (let at = 0; at < value.length; ) {
    const end = at + 2 + 4 * value[at + 1]!;
    const asns = chunks(value.subarray(at + 2, end), 4).map((each) => Number.parseInt(each, 16));
    words.push(value[at] === 1 ? `{${asns.sort((a, b) => a - b).join(" ")}}` : asns.join(" "));
    at = end;
  }
  return words.join(" ");
}

function chunks(value: Buffer, size: number): string[] {
  return Array.from({ length: value.length / size }, (_, i) => {
    return value.toString("hex", i * size, (i + 1) * size);
  });
}
