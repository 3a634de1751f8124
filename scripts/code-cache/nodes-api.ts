/** Just enough of an API server for an agent to list and watch Nodes, on the loopback interface. */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class NodesApi {
  readonly #server: Server;
  readonly #watches = new Set<ServerResponse>();
  readonly #count: number;
  #version = 1;

  constructor(count: number) {
    this.#count = count;
    this.#server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
      response.setHeader("content-type", "application/json");
      if (pathname !== "/api/v1/nodes") {
        response.writeHead(404).end("{}");
      } else if (searchParams.has("watch")) {
        this.#watches.add(response);
        response.flushHeaders();
      } else {
        const items = Array.from({ length: this.#count }, (_, index) => this.#node(index));
        const metadata = { resourceVersion: String(this.#version) };
        response.end(JSON.stringify({ kind: "NodeList", apiVersion: "v1", metadata, items }));
      }
    });
  }

  /** Its URL. */
  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Tells who watches. */
  change(type: "ADDED" | "MODIFIED" | "DELETED", index: number, cidr?: number): void {
    this.#version++;
    const line = JSON.stringify({ type, object: this.#node(index, cidr) });
    for (const watch of this.#watches) watch.write(`${line}\n`);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #node(index: number, cidr = index) {
    const podCIDR = `10.244.${cidr}.0/24`;
    return {
      kind: "Node",
      apiVersion: "v1",
      metadata: {
        name: `node-${index}`,
        uid: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
        resourceVersion: String(this.#version),
      },
      spec: { podCIDR, podCIDRs: [podCIDR] },
      status: { addresses: [{ type: "InternalIP", address: `192.0.2.${index + 1}` }] },
    };
  }
}
