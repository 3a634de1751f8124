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
/** What failed is tried again: the first time after, and at most every. */
export const RETRY_FIRST_MS = 200;
export const RETRY_MAX_MS = 10_000;
