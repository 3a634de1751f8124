/** Every bound of this folder, and what happens beyond it. */

/** A CNI configuration. Beyond: refused, not read and not overwritten. */
export const CONFLIST_BYTES_MAX = 256 * 1024;
/** Plugins of one configuration that are looked for. Beyond: the rest is taken to be there. */
export const PLUGINS_MAX = 64;
/** Names in one message. Beyond: counted in the text. */
export const NAMED_MAX = 5;
/** The CNI folder and its file are looked at this often, besides the kernel's events about them. */
export const CONFLIST_PERIOD_MS = 30_000;
/** So long nothing is done after an event: an editor may be in the middle of writing. */
export const CONFLIST_REST_MS = 300;
/** Links, addresses and sysctls are looked at this often, besides the kernel's events. */
export const LINKS_PERIOD_MS = 30_000;
/** An event about links is followed by a look at them, but not sooner than this. */
export const LINKS_GAP_MS = 50;
/** Looks in one pass that find something to do. Beyond: somebody else undoes it; tried later. */
export const LINKS_ROUNDS_MAX = 5;
/** Addresses of earlier pod CIDRs that the bridge keeps. Beyond: the oldest go unnoticed. */
export const FORMER_ADDRESSES_MAX = 16;
/** What failed is tried again: the first time after, and at most every. */
export const RETRY = { firstMs: 200, maxMs: 10_000 } as const;
/** Foreign changes of packet rules are looked for this often. */
export const RULES_CHECK_MS = 500;
/** The rules are listed at least this often, whatever the kernel says of changes. */
export const RULES_PERIOD_MS = 60_000;
/** After a listing comes a rest of so many times its time, but not above RULES_PERIOD_MS. */
export const RULES_REST_FACTOR = 8;
/** So many repairs in a period: somebody undoes them. Beyond: a condition, no more log lines. */
export const RULES_REPAIRS_MAX = 5;
/** A run of iptables may take so long. Beyond: it is ended, and tried again later. */
export const IPTABLES_MS_MAX = 15_000;
/** So much may it print. Beyond: it is ended, which is reported. */
export const IPTABLES_OUTPUT_BYTES_MAX = 128 * 1024 * 1024;
/** Seconds to wait for the lock that iptables-legacy users share. */
export const IPTABLES_LOCK_SECONDS = 5;
/** Destinations excluded from masquerading. Beyond: a wrong flag. */
export const EXCLUDED_MAX = 256;
