// Everything CI checks. `npm test`; `npm run test:full` runs the long forms too (ELVISOR_FULL=1).
// Last line: "N passed, N failed, N skipped".
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { installTestDependencies } from "./test-dependencies.mjs";

const full = process.argv.includes("--full");
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
const totals = { passed: 0, failed: 0, skipped: 0 };

/** One run of the test runner. What it reports is added to the totals. */
function vitest(name, parameters) {
  console.error(`test: ${name}${full ? ", long forms" : ""}`);
  const report = join(folder, "report.json");
  rmSync(report, { force: true });
  const { status } = spawnSync(
    "npx",
    ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile=${report}`, ...parameters],
    { stdio: "inherit", env: environment },
  );
  if (!existsSync(report)) {
    totals.failed++;
    return;
  }
  const { numPassedTests, numFailedTests, numPendingTests, success } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  totals.passed += numPassedTests;
  totals.skipped += numPendingTests;
  // A suite that cannot be loaded counts as a failure although none of its tests ran.
  totals.failed += Math.max(numFailedTests, success && status === 0 ? 0 : 1);
}

// Guests are watched by the clock (echo, sleep, idle time), so nothing else may run beside them.
const ALONE = ["test/guests", "test/browser", "test/bench"];
vitest("tests", [...ALONE.flatMap((path) => ["--exclude", `${path}/**`]), "--passWithNoTests"]);
vitest("guests, one at a time", ["--no-file-parallelism", ...ALONE]);
rmSync(folder, { recursive: true, force: true });
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed === 0 ? 0 : 1);
