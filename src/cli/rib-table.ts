/** `podrouter rib`: the columns and marks of `gobgp global rib`. */
import type { RibPath } from "../agent/admin-protocol.ts";
import { formatAge } from "./age.ts";
import type { Column } from "./table.ts";

/** gobgp's words for a table, or a part of it, without a path. */
export const EMPTY_TABLE = "Network not in table";

/** Columns for paths at wall time `now` (ms since the epoch). */
export function ribColumns(now: number, wide: boolean): readonly Column<RibPath>[] {
  const familiar: readonly Column<RibPath>[] = [
    // Mark and network are one cell: between them stands no space of the table's.
    {
      header: "   Network",
      align: "left",
      widthMin: 23,
      value: (path) => mark(path) + path.prefix,
    },
    { header: "Next Hop", align: "left", widthMin: 20, value: (path) => path.nextHop ?? "-" },
    { header: "AS_PATH", align: "left", widthMin: 20, value: (path) => path.asPath },
    { header: "Age", align: "left", widthMin: 10, value: (path) => formatAge(now - path.since) },
    { header: "Attrs", align: "left", widthMin: 5, value: attributesText },
  ];
  return wide ? [...familiar.slice(0, 4), ...WIDE_COLUMNS, familiar[4]!] : familiar;
}

const WIDE_COLUMNS: readonly Column<RibPath>[] = [
  {
    header: "Peer",
    align: "left",
    widthMin: 15,
    value: (path) => (path.peer === undefined ? "local" : path.peer.address),
  },
  { header: "Name", align: "left", widthMin: 5, value: (path) => path.peer?.name ?? "-" },
  { header: "Not best because", align: "left", widthMin: 16, value: (path) => path.lost ?? "-" },
];

/** `S` stale, `*` usable, `>` best or used together with the best. */
function mark(path: RibPath): string {
  const stale = path.stale ? "S" : "";
  const usable = path.valid ? "*" : " ";
  const chosen = path.best ? ">" : path.multipath ? "=" : " ";
  return `${stale}${usable}${chosen}`.padEnd(3);
}

const ORIGIN_LETTERS = { igp: "i", egp: "e", incomplete: "?" } as const;

/** `[{Origin: i} {LocalPref: 100}]`. */
function attributesText(path: RibPath): string {
  const parts = [`{Origin: ${ORIGIN_LETTERS[path.origin]}}`];
  const add = (name: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== "") parts.push(`{${name}: ${value}}`);
  };
  add("Med", path.med);
  add("LocalPref", path.localPref);
  if (path.atomicAggregate) parts.push("{AtomicAggregate}");
  add("Aggregator", path.aggregator && `${path.aggregator.as} ${path.aggregator.address}`);
  add("Communities", path.communities.join(", "));
  add("Originator", path.originatorId);
  add("ClusterList", path.clusterList.join(" "));
  add("Extcomms", path.extendedCommunities.join(", "));
  add("LargeCommunity", path.largeCommunities.join(", "));
  add("PathId", path.pathId === 0 ? undefined : path.pathId);
  for (const opaque of path.attributesOpaque) add(`Attr ${opaque.type}`, `0x${opaque.hex}`);
  return `[${parts.join(" ")}]`;
}
