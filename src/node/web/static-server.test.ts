import { afterAll, beforeAll, expect, test } from "vitest";
import { UserError } from "../../base/errors.ts";
import { type StaticServer, serveFiles } from "./static-server.ts";

let server: StaticServer;
beforeAll(async () => {
  const file = { type: "text/plain", bytes: new TextEncoder().encode("hello") };
  server = await serveFiles(new Map([["/file", file]]), 0);
});
afterAll(() => server.close());

test("a file comes whole, with the headers that shared memory needs", async () => {
  const response = await fetch(`${server.url}file?query`);
  expect([response.status, await response.text()]).toEqual([200, "hello"]);
  const { headers } = response;
  expect(headers.get("content-length")).toBe("5");
  expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
  expect(headers.get("cross-origin-embedder-policy")).toBe("require-corp");
});

test("anything else is refused", async () => {
  expect((await fetch(`${server.url}../../etc/passwd`)).status).toBe(404);
  expect((await fetch(`${server.url}constructor`)).status).toBe(404);
  expect((await fetch(`${server.url}file`, { method: "POST", body: "x" })).status).toBe(405);
  expect(await (await fetch(`${server.url}file`, { method: "HEAD" })).text()).toBe("");
});

test("a port in use is said in a sentence", async () => {
  const port = Number(new URL(server.url).port);
  const second = serveFiles(new Map(), port);
  await expect(second).rejects.toThrow(
    new UserError(
      `The page cannot be served at port ${port} (another program uses it); give another with --port N.`,
    ),
  );
});
