// Everything CI checks. `npm test`; `npm run test:full` runs the long forms too (ELVISOR_FULL=1).
// Last line: "N passed, N failed, N skipped".
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { installTestDependencies } from "./test-dependencies.mjs";

const full = process.argv.includes("--full");
const only = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const environment = { ...process.env, ...(full ? { ELVISOR_FULL: "1" } : {}) };

function step(name, command, parameters) {
  console.error(`test: ${name}`);
  const { status } = spawnSync(command, parameters, { stdio: "inherit", env: environment });
  if (status === 0) return;
  console.error(`test: ${name} failed`);
  console.log("0 passed, 1 failed");
  process.exit(status ?? 1);
}

await installTestDependencies();
step("format and lint", "npx", ["biome", "check", "--error-on-warnings", "."]);
step("types and build", "npx", ["tsc", "-b"]);
step("order of rooms", process.execPath, ["dist/tools/check-layers.js"]);
step("sizes of files", process.execPath, ["dist/tools/check-sizes.js"]);

const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
const report = join(folder, "report.json");
console.error(`test: ${full ? "all tests, long forms" : "all tests"}`);
const { status } = spawnSync(
  "npx",
  ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile=${report}`, ...only],
  { stdio: "inherit", env: environment },
);
const { numPassedTests, numFailedTests, numPendingTests, numTotalTestSuites, success } = JSON.parse(
  readFileSync(report, "utf8"),
);
rmSync(folder, { recursive: true, force: true });
console.error(`test: ${numTotalTestSuites} suites`);
// A suite that cannot be loaded counts as a failure although none of its tests ran.
const failed = Math.max(numFailedTests, success && status === 0 ? 0 : 1);
console.log(`${numPassedTests} passed, ${failed} failed, ${numPendingTests} skipped`);
process.exit(failed === 0 ? 0 : 1);
