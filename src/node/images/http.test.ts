import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { httpGetBytes } from "./http.ts";

const servers: Server[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers with what it was asked for. */
async function serve(answer: (url: string) => { location?: string; body?: string }): Promise<string> {
  const server = createServer((request, response) => {
    const { location, body = "" } = answer(request.url ?? "");
    if (location === undefined) response.end(body);
    else response.writeHead(302, { location }).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const text = async (url: string, limit = 1000): Promise<string> =>
  Buffer.from(await httpGetBytes(url, limit)).toString();

describe("httpGetBytes()", () => {
  test("asks the proxy that the environment names, except for what it exempts", async () => {
    const proxy = await serve((url) => ({ body: `proxy: ${url}` }));
    const direct = await serve((url) => ({ body: `direct: ${url}` }));
    vi.stubEnv("http_proxy", proxy);
    vi.stubEnv("no_proxy", "127.0.0.1");
    expect(await text("http://mirror.invalid/debian/x")).toBe("proxy: http://mirror.invalid/debian/x");
    expect(await text(`${direct}/x`)).toBe("direct: /x");
  });

  test("names the proxy that cannot be reached", async () => {
    vi.stubEnv("http_proxy", "http://127.0.0.1:9");
    vi.stubEnv("no_proxy", "");
    await expect(text("http://mirror.invalid/x")).rejects.toThrow(
      /^http:\/\/mirror\.invalid\/x cannot be reached through the proxy 127\.0\.0\.1:9 \(the connection was refused\)/,
    );
  });

  test("follows redirections, but not for ever", async () => {
    const server = await serve((url) =>
      url === "/a" ? { location: "/b" } : url === "/b" ? { body: "here" } : { location: "/c" },
    );
    expect(await text(`${server}/a`)).toBe("here");
    await expect(text(`${server}/c`)).rejects.toThrow(/redirects more than 8 times/);
  });

  test("refuses what is larger than it may be", async () => {
    const server = await serve(() => ({ body: "x".repeat(2000) }));
    await expect(text(server)).rejects.toThrow(/is larger than 1000 bytes/);
  });

  test("says that a host name is unknown", async () => {
    vi.stubEnv("http_proxy", "");
    await expect(text("http://mirror.invalid/x")).rejects.toThrow(
      /its host name (is unknown|cannot be looked up)/,
    );
  });
});
