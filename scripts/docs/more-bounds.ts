/** Bounds that stand beside the code that they bound, and what happens beyond each. */

interface BoundsOfFile {
  readonly path: string;
  /** Constant → of what, and what happens beyond. */
  readonly bounds: Readonly<Record<string, string>>;
}

const RESTARTS_GROW = "Pauses before the next try grow from the first to the last of these.";

export const MORE_BOUNDS: readonly BoundsOfFile[] = [
  {
    path: "src/agent/mesh.ts",
    bounds: {
      MESH_PREFIXES_MAX:
        "Prefixes of one family from another Node; at 75 % a warning. Beyond: the session ends " +
        "(Cease), its routes go, the others stay.",
      MESH_RESTART_SECONDS: "A session that ended so begins again after this.",
    },
  },
  {
    path: "src/k8s/node-list.ts",
    bounds: {
      LIST_SILENCE_MS:
        "Silence of a list of Nodes under way. Beyond: given up and tried again; " +
        "the Nodes known so far stay.",
    },
  },
  {
    path: "src/k8s/node-watch.ts",
    bounds: {
      ACCEPT_MS: "Until the API server accepts a watch. Beyond: given up and tried again.",
      WATCH_SILENCE_MS:
        "Silence of a watch; bookmarks come about once a minute. Beyond: a new watch.",
    },
  },
  {
    path: "src/k8s/api-source.ts",
    bounds: {
      WATCH_FAILURES_MAX:
        "Watches in a row that fail by something else than 429. Beyond: a list is asked for.",
    },
  },
  {
    path: "src/k8s/node-store.ts",
    bounds: {
      REJECTED_MAX: "Problems kept of objects that are no Nodes. Beyond: not kept.",
    },
  },
  {
    path: "src/agent/flag-values.ts",
    bounds: {
      TEXT_MAX: "Bytes of a flag's value. Beyond: a wrong value, the agent does not start.",
      LIST_ENTRIES_MAX: "Entries of a comma list in a flag. Beyond: a wrong value.",
    },
  },
  {
    path: "src/agent/config-file/schema.ts",
    bounds: {
      CONFIG_BYTES_MAX: "The configuration file. Beyond: refused whole, the last good one stays.",
      PEERS_MAX: "Peers, and peer groups, in it. Beyond: refused whole.",
      POLICIES_MAX: "Policies in it. Beyond: refused whole.",
      ENTRIES_MAX: "Statements of a policy, entries of a list, networks. Beyond: refused whole.",
    },
  },
  {
    path: "src/agent/config-file/parse.ts",
    bounds: {
      PROBLEMS_MAX: "Problems listed of a refused file. Beyond: counted in the last line.",
    },
  },
  {
    path: "src/runtime/yaml.ts",
    bounds: {
      ALIASES_MAX:
        "Uses of an anchor in a configuration file, nodes file, kubeconfig. Beyond: refused.",
      ANCHORS_MAX: "Anchors and aliases in one of these. Beyond: refused.",
    },
  },
  {
    path: "src/agent/bgp-files.ts",
    bounds: {
      PASSWORDS_BYTES_MAX:
        "The file of --peer-router-passwords-file. Beyond: refused, its peers are left out.",
    },
  },
  {
    path: "src/agent/admin-server.ts",
    bounds: {
      CONNECTIONS_MAX: "Connections to the admin socket. Beyond: closed.",
      REQUEST_MS_MAX: "For a request to the admin socket to come whole. Beyond: closed.",
      IDLE_MS_MAX: "Silence on a connection to the admin socket, as of who pages. Beyond: closed.",
    },
  },
  {
    path: "src/agent/private-socket.ts",
    bounds: {
      LOOK_MS:
        "Between two looks whether the files of the admin and the CNI socket are there. " +
        "One that was removed is made anew.",
    },
  },
  {
    path: "src/agent/http-endpoint.ts",
    bounds: {
      CONNECTIONS_MAX:
        "Connections to /healthz, /readyz and the metrics. Beyond: the oldest one is closed.",
      REQUEST_MS_MAX: "For a request to these to come whole. Beyond: closed.",
      REQUESTS_MAX:
        "Requests to these on one connection. The last answer says so, and it is closed.",
      IDLE_MS_MAX: "Silence on a connection to these, as of who does not read. Beyond: closed.",
    },
  },
  {
    path: "src/agent/run-agent.ts",
    bounds: { STOP_MS_MAX: "For the parts to end. Beyond: they end with the process." },
  },
  {
    path: "src/agent/config-file/source.ts",
    bounds: {
      SETTLE_MS_MAX:
        "Wait for rest in the folder of the configuration file, from a change on. Beyond: " +
        "the files are read as they are then; if one was half written, again after the next " +
        "change, and what is wrong until then is refused whole.",
    },
  },
  {
    path: "src/k8s/annotation-values.ts",
    bounds: {
      PASSWORD_BYTES_MAX: "A password, which is Linux's bound. Beyond: the peer is left out.",
    },
  },
  {
    path: "src/agent/conditions.ts",
    bounds: {
      CONDITIONS_MAX:
        "Conditions that stand at once. Beyond: one takes the place of a lesser one; the rest is counted in one more.",
    },
  },
  {
    path: "src/agent/log-sink.ts",
    bounds: {
      PENDING_BYTES_MAX: "Log that nobody has read yet. Beyond: lines are dropped and counted.",
    },
  },
  {
    path: "src/agent/logger.ts",
    bounds: {
      DRAIN_MS_MAX: "Wait for the log's reader at the end of the process. Beyond: given up.",
    },
  },
  {
    path: "src/cli/agent-client.ts",
    bounds: {
      ANSWER_MS_MAX: "Until the agent begins to answer a command. Beyond: exit code 1.",
      REFUSAL_BYTES_MAX: "Of a refusal by the agent. Beyond: not read.",
    },
  },
  {
    path: "src/bgp/message/header.ts",
    bounds: {
      MESSAGE_BYTES_MAX:
        "A message without RFC 8654, and every OPEN. Received beyond: NOTIFICATION 1/2. " +
        "A route whose attributes leave no room is withdrawn instead.",
      EXTENDED_MESSAGE_BYTES_MAX: "The same, where we announced RFC 8654.",
    },
  },
  {
    path: "src/bgp/message/text.ts",
    bounds: { TEXT_BYTES_MAX: "Text of a peer that is shown. Beyond: cut." },
  },
  {
    path: "src/bgp/message/update.ts",
    bounds: {
      ATTRIBUTE_ERRORS_MAX:
        "Errors kept of one UPDATE. Beyond: not kept; the treatment counts all of them.",
    },
  },
  {
    path: "src/bgp/message/attribute-cache.ts",
    bounds: {
      BLOCK_BYTES_MAX: "Attributes of an UPDATE that are remembered. Beyond: decoded each time.",
    },
  },
  {
    path: "src/bgp/fsm/timing.ts",
    bounds: {
      OPEN_HOLD_MS:
        "Until the peer's OPEN, and with hold time 0 its first KEEPALIVE. Beyond: NOTIFICATION 4, " +
        "the connection ends.",
      CONNECT_TIMEOUT_MS: "For a dial to be answered, at first. Beyond: dialled anew.",
      CONNECT_RETRY_FIRST_MS: RESTARTS_GROW,
      CONNECT_RETRY_MAX_MS: RESTARTS_GROW,
      IDLE_HOLD_FIRST_MS: "A peer that comes and goes is refused for so long, doubled each time.",
      IDLE_HOLD_MAX_MS: "The longest of these pauses.",
      FLAP_DECAY_MS: "A session that stands so long makes up for one flap.",
      FLAPS_MAX: "Flaps that are counted. Beyond: the pause grows no more.",
      KEEPALIVE_MIN_MS:
        "Between two KEEPALIVEs of a session, whatever the hold time, also where one asks " +
        "whether an old session is still alive (RFC 4271 §4.4).",
      SEND_HOLD_MIN_MS:
        "Without the peer reading a byte that we sent, or twice the hold time where that is " +
        "longer. Beyond: NOTIFICATION 8, the session ends (RFC 9687).",
    },
  },
  {
    path: "src/bgp/fsm/peer-machine.ts",
    bounds: {
      TRACK_MS:
        "For the OPEN on a second connection of a peer whose session stands. Beyond: closed.",
    },
  },
  {
    path: "src/bgp/session/transport.ts",
    bounds: {
      QUEUE_BYTES_HIGH:
        "Bytes that wait for one peer to read. Beyond: it is told no more routes until it has " +
        "read; what it misses is a set of prefixes, not a queue.",
      QUEUE_BYTES_LOW: "Down to this it is told again.",
      LINGER_MS: "For the last NOTIFICATION of a session to leave. Beyond: the connection is cut.",
    },
  },
];
