import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WriteDocument } from "../../introspection/protection/protection-document.ts";
import { callbackUrl, UrlCallback, type WriteEvent } from "./url-callback.ts";

let server: Server;
let url = "";
let status = 204;
const posted: { method: string | undefined; type: string | undefined; event: WriteEvent }[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (bytes: Buffer) => {
      text += bytes.toString();
    });
    request.on("end", () => {
      const event = JSON.parse(text) as WriteEvent;
      posted.push({ method: request.method, type: request.headers["content-type"], event });
      response.writeHead(status).end();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/writes`;
});
afterAll(() => server.close());

const write = { sequence: 1, action: "callback", count: 1 } as WriteDocument;

describe("a URL that hears of writes", () => {
  test("gets them as JSON, not too often, and what it missed as a number", async () => {
    const said: string[] = [];
    const callback = new UrlCallback(new URL(url), "work", (sentence) => said.push(sentence));
    const began = performance.now();
    await callback.post([write, { ...write, sequence: 2 }], 3);
    // So long until it takes the next ones; a timer may be early by a millisecond.
    expect(performance.now() - began).toBeGreaterThanOrEqual(98);
    await callback.post([write], 0);
    expect(posted.map(({ method, type }) => [method, type])).toEqual([
      ["POST", "application/json"],
      ["POST", "application/json"],
    ]);
    expect(posted[0]!.event).toEqual({
      machine: "work",
      writes: [write, { ...write, sequence: 2 }],
      dropped: 3,
    });
    status = 500;
    await callback.post([write, write], 1);
    await callback.post([write], 0);
    expect(said).toEqual([expect.stringMatching(/cannot be posted to http:.*\(status 500\)/)]);
    status = 204;
    await callback.post([write], 0);
    expect(posted.at(-1)!.event.dropped).toBe(4);
  });

  test("that is not there costs a sentence", async () => {
    const said: string[] = [];
    const callback = new UrlCallback(new URL("http://127.0.0.1:1/"), "work", (sentence) =>
      said.push(sentence),
    );
    await callback.post([write], 0);
    await callback.post([write], 0);
    expect(said.length).toBe(1);
  });

  test("must be one of the web", () => {
    expect(callbackUrl("https://example.org/x").href).toBe("https://example.org/x");
    for (const text of ["", "example.org", "ftp://example.org/", "file:///etc/passwd", "javascript:alert(1)"])
      expect(() => callbackUrl(text)).toThrow(`"${text}" is no URL to call; give one such as`);
  });
});
