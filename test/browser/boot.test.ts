import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheDirectory, ImageCache } from "../../src/node/images/cache.ts";
import { SILENT_PROGRESS } from "../../src/node/images/download.ts";
import type { StaticServer } from "../../src/node/web/static-server.ts";
import { startWeb } from "../../src/node/web/web-command.ts";
import { launchChromium } from "../support/chromium.ts";

/** Milliseconds that a boot may take on a busy computer. */
const BOOT = 150_000;
const PROMPT = /^~ # *$/m;

let server: StaticServer;
let browser: Browser;
beforeAll(async () => {
  server = await startWeb(
    { port: 0, memoryBytes: 256 * 2 ** 20, cpus: 1, engine: "translator" },
    {
      cache: new ImageCache(cacheDirectory(process.env)),
      progress: SILENT_PROGRESS,
      environment: process.env,
    },
  );
  browser = await launchChromium();
}, 600_000);
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** What the terminal shows, without spaces at the ends of lines. */
async function screenOf(page: Page): Promise<string> {
  const rows = await page.locator(".xterm-rows > div").allTextContents();
  return rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd()).join("\n");
}

function shows(page: Page, pattern: RegExp, timeout: number): Promise<void> {
  return expect.poll(() => screenOf(page), { timeout, interval: 200 }).toMatch(pattern);
}

async function type(page: Page, text: string): Promise<void> {
  await page.locator(".xterm-helper-textarea").focus();
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

describe("the page", { timeout: 3 * BOOT }, () => {
  test("boots to the shell, runs commands, follows its window, powers off and starts again", async () => {
    const page = await browser.newPage({ viewport: { width: 1000, height: 700 } });
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    page.on(
      "request",
      (request) =>
        request.url().startsWith(server.url) ||
        request.url().startsWith("data:") ||
        wrong.push(request.url()),
    );
    const asked = new Set<string>();
    page.context().on("request", (request) => asked.add(new URL(request.url()).pathname));
    await page.goto(server.url);
    await shows(page, PROMPT, BOOT);
    const state = page.locator("#state");
    await type(page, "clear; echo $((6 * 7)) on $(uname -sm)");
    await shows(page, /^42 on Linux aarch64$/m, 30_000);
    expect(await state.textContent()).toMatch(/^(Running|Idle) · [\d.]+ MIPS · [\d.]+ billion instructions$/);

    await page.setViewportSize({ width: 800, height: 500 });
    await type(page, "clear; stty size");
    await shows(page, /^\d+ \d+$/m, 30_000);
    const rows = await page.locator(".xterm-rows > div").count();
    expect(/^(\d+) \d+$/m.exec(await screenOf(page))?.[1]).toBe(String(rows));

    await type(page, "poweroff");
    const again = page.getByRole("button", { name: "Start again" });
    await again.waitFor({ timeout: 60_000 });
    expect(await page.locator("#end-sentence").textContent()).toBe("The guest has switched the machine off.");
    expect(await state.textContent()).toBe("Off");
    await again.click();
    // The first lines may have scrolled away by the time we look.
    await shows(page, /^\[ +\d+\.\d+\] /m, 60_000);
    expect(await again.isVisible()).toBe(false);
    expect(wrong).toEqual([]);
    expect([...asked], "the thread that compiles").toContain("/compiling-worker.js");
    await page.close();
  });

  test("a guest that does not come is a sentence, and can be tried again", async () => {
    const page = await browser.newPage();
    await page.route("**/guest/initrd", (route) => route.fulfill({ status: 500 }));
    await page.goto(server.url);
    const again = page.getByRole("button", { name: "Start again" });
    await again.waitFor({ timeout: 60_000 });
    expect(await page.locator("#end-sentence").textContent()).toBe(
      "Fetching the default initial file system failed: the server answers 500.",
    );
    await page.unroute("**/guest/initrd");
    await again.click();
    await shows(page, /^\[ +\d+\.\d+\] /m, 60_000);
    await page.close();
  });
});
