import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    // What src/node/engine-features.ts switches on, so that tests of the engine see it.
    execArgv: ["--experimental-wasm-relaxed-simd", "--experimental-wasm-branch-hinting"],
  },
});
