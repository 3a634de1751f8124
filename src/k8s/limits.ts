/**
 * Every bound of this folder, with what happens beyond it. Sizes are generous against what a real
 * cluster holds (Kubernetes itself stops at 5,000 Nodes and 1.5 MiB an object) and small against
 * memory. What is cut by a bound is always named in a problem, never dropped in silence.
 */

/** Nodes in all. Further ones are ignored and counted in one problem; known ones still change. */
export const NODES_MAX = 16_384;

/** InternalIP and ExternalIP entries that are read of one Node; the rest is left out. */
export const ADDRESSES_PER_NODE_MAX = 32;

/** Pod CIDRs that are read of one Node; the rest is left out. */
export const POD_CIDRS_PER_NODE_MAX = 16;

/** Other Nodes counted that a pod CIDR overlaps with. Beyond: their pod CIDRs are counted. */
export const RIVALS_COUNTED_MAX = 16;

/** kube-router.io annotations kept of one Node; the rest is left out. */
export const ANNOTATIONS_PER_NODE_MAX = 32;

/** UTF-16 units of one annotation's value; a longer one is left out. */
export const ANNOTATION_LENGTH_MAX = 32 * 1024;

/** Problems named for one Node; the last one then says how many more there are. */
export const PROBLEMS_PER_NODE_MAX = 24;

/** UTF-16 units of outside text that a problem repeats; longer text is cut. */
export const QUOTED_LENGTH_MAX = 64;

/** Entries of one list in an annotation (peers, communities, prefixes); more is a problem. */
export const ANNOTATION_ENTRIES_MAX = 128;

/** Bytes of one object in a list, or of one line of a watch. A larger one is skipped and named. */
export const OBJECT_BYTES_MAX = 4 * 1024 * 1024;

/** Bytes of a list answer besides its items (metadata); more ends the request as a bad answer. */
export const ENVELOPE_BYTES_MAX = 64 * 1024;

/** Bytes read of an answer that is not 200, to say why; the rest is not read. */
export const ERROR_BODY_BYTES_MAX = 16 * 1024;

/** For which the API server can ask to be left alone (Retry-After); more counts as this. */
export const RETRY_AFTER_MS_MAX = 60_000;

/** Nodes asked for in one page of a list. */
export const LIST_PAGE_NODES = 500;

/** Pages of one list; a list that goes on beyond that is a bad answer. */
export const LIST_PAGES_MAX = 1_024;

/** For the credentials of a request to be made. Beyond: it fails, and the plugin is waited for. */
export const CREDENTIALS_MS_MAX = 10_000;

/** Without an octet to or from a proxy (proxy-url); a connection that is asked for is given up. */
export const PROXY_MS_MAX = 100_000;

/** Bytes of the file of a token, which is a header of each request; a larger file is refused. */
export const TOKEN_BYTES_MAX = 64 * 1024;

/** Bytes of the headers that say whom a kubeconfig's user is taken for; more is refused. */
export const IMPERSONATION_BYTES_MAX = 64 * 1024;

/** Bytes that a credential plugin prints; one that prints more is ended, and gave none. */
export const PLUGIN_OUTPUT_BYTES_MAX = 1024 * 1024;

/**
 * Bytes of a CA file that a credential plugin is told of, in a variable, of which Linux takes 128
 * KiB; a larger file is refused.
 */
export const CA_BYTES_MAX = 90 * 1024;

/** Bytes of a file of CAs, of a certificate or a key; a larger one fails the request. */
export const TLS_FILE_BYTES_MAX = 1024 * 1024;

/** Bytes of a kubeconfig; a larger file is refused. */
export const KUBECONFIG_BYTES_MAX = 1024 * 1024;

/** Bytes of a nodes file as JSON, and of the saved Nodes; a larger one is refused. */
export const NODES_FILE_BYTES_MAX = 32 * 1024 * 1024;

/**
 * Wait for rest of a changed nodes file. Beyond: it is read as it is then, unless it changes while
 * it is read, and again after the next change.
 */
export const NODES_FILE_REST_MS_MAX = 2_000;

/**
 * Bytes of a nodes file as YAML, whose parser holds the event loop for about a second a MiB;
 * a larger file is refused with the advice to write JSON.
 */
export const NODES_YAML_BYTES_MAX = 2 * 1024 * 1024;
