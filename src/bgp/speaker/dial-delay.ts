/**
 * When to dial a peer first. Many dials are spread, and of two speakers that start together one
 * waits a little, so that both rarely dial at once. Both grow with the number of peers that are
 * dialled together: a single one is dialled nearly at once.
 */
import { compareAddresses, familyOf, wordOfAddress } from "../../ip/address.ts";
import type { Random } from "../../runtime/clock.ts";
import type { PeerConfig } from "../types.ts";
import {
  LOWER_ID_PATIENCE_MS_EACH,
  LOWER_ID_PATIENCE_MS_MAX,
  LOWER_ID_PATIENCE_MS_MIN,
  START_SPREAD_MS_EACH,
  START_SPREAD_MS_MAX,
} from "./limits.ts";

/**
 * Milliseconds until the first dial of one of `dials` peers that are dialled from now on; `ownId`
 * is our BGP Identifier.
 */
export function dialDelayMs(
  config: Pick<PeerConfig, "address" | "localAddress" | "passive">,
  ownId: number,
  dials: number,
  random: Random,
): number {
  const spread = Math.min(START_SPREAD_MS_MAX, dials * START_SPREAD_MS_EACH) * random();
  if (config.passive || !isLower(config, ownId)) return spread;
  const patience = LOWER_ID_PATIENCE_MS_MIN + dials * LOWER_ID_PATIENCE_MS_EACH;
  return spread + Math.min(LOWER_ID_PATIENCE_MS_MAX, patience);
}

/**
 * Whether the other side is to dial first: the one with the higher identifier, whose connection
 * would win the collision. An IPv6 address says nothing of that, so there the addresses decide: one
 * connection too many in half of the collisions, and nearly none to collide.
 */
function isLower(
  { address, localAddress }: Pick<PeerConfig, "address" | "localAddress">,
  ownId: number,
): boolean {
  if (familyOf(address) === 4) return ownId < wordOfAddress(address);
  return localAddress !== undefined && compareAddresses(localAddress, address) < 0;
}
