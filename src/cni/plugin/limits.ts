/** Every bound of the own CNI plugin, and what happens beyond it. */

/** Standard input of a call: the configuration, with the result before. Beyond: error 6. */
export const CONFIG_BYTES_MAX = 1024 * 1024;
/** A request on the agent's socket. Beyond: the connection is closed. */
export const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
/** An answer of the agent that the executable reads. Beyond: error 11. */
export const ANSWER_BYTES_MAX = 1024 * 1024;
/** CNI_CONTAINERID. Beyond: error 4. */
export const CONTAINER_ID_BYTES_MAX = 128;
/** CNI_IFNAME: what the kernel takes. Beyond: error 4. */
export const INTERFACE_NAME_BYTES_MAX = 15;
/** CNI_NETNS, and paths in the configuration. Beyond: error 4, or 7. */
export const PATH_BYTES_MAX = 4095;
/** CNI_ARGS. Beyond: error 4. */
export const ARGS_BYTES_MAX = 8192;
/** CNI_PATH, which is not used. Beyond: error 4. */
export const SEARCH_PATH_BYTES_MAX = 16384;
/** The network's name. Beyond: error 7. */
export const NETWORK_NAME_BYTES_MAX = 128;
/** Interfaces, addresses or routes of a result before ours. Beyond: error 7. */
export const RESULT_ENTRIES_MAX = 256;
/** Attachments that GC is told to keep. Beyond: error 7. */
export const ATTACHMENTS_MAX = 8192;
/** Addresses given out on one node, of both families together. Beyond: error 101. */
export const LEASES_MAX = 4096;
/** Ranges of which the last address is remembered. Beyond: the one used longest ago is not. */
export const RANGES_REMEMBERED_MAX = 64;
/** Addresses of a range looked at for a free one: more than a /16 has. Beyond: error 101. */
export const ADDRESS_TRIES_MAX = 70_000;
/** The file with the leases. Beyond: it counts as damaged, and is put aside. */
export const LEASES_BYTES_MAX = 4 * 1024 * 1024;
/** Leases that could not be read or written are tried again this often, where no call does. */
export const LEASES_RETRY_MS = 10_000;
/** Files in a lease folder of host-local that are looked at. Beyond: the rest is not known. */
export const FOREIGN_LEASES_MAX = 65_536;
/** For a request to come whole after a connection was made. Beyond: closed. */
export const REQUEST_MS_MAX = 5000;
/** The executable waits so long for the agent. Beyond: error 11. */
export const ANSWER_MS_MAX = 20_000;
/** Connections to the plugin's socket. Beyond: closed, which the runtime sees as error 11. */
export const PLUGIN_CONNECTIONS_MAX = 512;
/** Calls under way at the end of the agent may take so long. Beyond: left to the next start. */
export const DRAIN_MS_MAX = 3000;
