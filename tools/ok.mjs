// The one gate: format and lint, types, order of rooms, sizes, unit tests. `npm run ok`
import { spawnSync } from "node:child_process";
import process from "node:process";

const steps = [
  ["format and lint", "npx", ["biome", "check", "--error-on-warnings", "."]],
  ["types and build", "npx", ["tsc", "-b"]],
  ["order of rooms", process.execPath, ["dist/tools/check-layers.js"]],
  ["sizes of files", process.execPath, ["dist/tools/check-sizes.js"]],
  ["unit tests, reference", "npx", ["vitest", "run", "src", "test/reference.test.ts"]],
];

for (const [name, command, parameters] of steps) {
  console.error(`ok: ${name}`);
  const { status } = spawnSync(command, parameters, { stdio: "inherit" });
  if (status !== 0) {
    console.error(`ok: ${name} failed; mend it and run "npm run ok" again`);
    process.exit(status ?? 1);
  }
}
