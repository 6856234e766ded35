import { setFlagsFromString } from "node:v8";

/** V8's major and minor version. */
function engineVersion(): number {
  return Number.parseFloat(process.versions.v8);
}

/**
 * Switches on what this Node.js has but does not offer by itself: relaxed SIMD (by default from V8 11.4 on),
 * whose multiply-add the engine uses where it proves to be fused, and branch hints (from 13.6 on). Call it before a
 * machine is made. Hosts that know neither run the same, only slower.
 *
 * Switches off one pass of V8's optimizing compiler where it is wrong: in 11.3 (Node.js 20), code whose many ways out share
 * their ends lost values on the way (perl in a guest died of it, but in none of 3 runs with the pass off, and in none of 2
 * each with 12.4 and 13.6).
 */
export function enableEngineFeatures(): void {
  const version = engineVersion();
  if (version < 11.4) setFlagsFromString("--experimental-wasm-relaxed-simd");
  if (version < 12.4) setFlagsFromString("--no-turbo-move-optimization");
  if (version < 13.6) setFlagsFromString("--experimental-wasm-branch-hinting");
}
