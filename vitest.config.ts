import process from "node:process";
import { defineConfig } from "vitest/config";

/** Milliseconds a test may take; long forms have no limit but an hour. */
const LIMIT = process.env["ELVISOR_FULL"] === undefined ? 60_000 : 3_600_000;

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: LIMIT,
    pool: "forks",
    maxWorkers: 2,
    // Tests start cold, and leave nothing behind in the cache of who runs them.
    env: { ELVISOR_CODE_CACHE: "off" },
    // What is built runs as users have it, at full speed: each use of an import costs here otherwise.
    server: { deps: { external: [/\/dist\/src\//] } },
    // What src/node/engine-features.ts switches on, so that tests of the engine see it.
    execArgv: ["--experimental-wasm-relaxed-simd", "--experimental-wasm-branch-hinting"],
  },
});
