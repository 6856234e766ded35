import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PullSettings } from "../images/pull.ts";
import { bundlePage } from "./bundle.ts";
import { type PageGuestOptions, prepareGuestFiles } from "./guest-files.ts";
import { type StaticServer, serveFiles } from "./static-server.ts";

/** The options of `npm run web`, read. */
export interface WebOptions extends PageGuestOptions {
  readonly port: number;
}

/** Makes the page and its guest, pulling what is missing, and serves both until the result is closed. */
export async function startWeb(options: WebOptions, settings: PullSettings): Promise<StaticServer> {
  const guest = await prepareGuestFiles(options, settings);
  const page = await bundlePage(packageRoot());
  return await serveFiles(new Map([...page, ...guest]), options.port);
}

/** The directory of elvisor's package.json, wherever this file was built to. */
function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json")) && dirname(directory) !== directory) {
    directory = dirname(directory);
  }
  return directory;
}
