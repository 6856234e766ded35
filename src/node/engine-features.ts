import { setFlagsFromString } from "node:v8";

/** V8's major and minor version. */
function engineVersion(): number {
  return Number.parseFloat(process.versions.v8);
}

/**
 * Switches on what this Node.js has but does not offer by itself: relaxed SIMD (by default from V8 11.4 on),
 * whose multiply-add the engine uses where it proves to be fused, and branch hints (from 13.6 on). Call it before a
 * machine is made. Hosts that know neither run the same, only slower.
 */
export function enableEngineFeatures(): void {
  const version = engineVersion();
  if (version < 11.4) setFlagsFromString("--experimental-wasm-relaxed-simd");
  if (version < 13.6) setFlagsFromString("--experimental-wasm-branch-hinting");
}
