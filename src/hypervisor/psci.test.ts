import { describe, expect, test } from "vitest";
import { callPsci, type PowerController, PSCI_FUNCTIONS, PSCI_STATUS, type PsciResult } from "./psci.ts";

const NOT_SUPPORTED = 0xffff_ffff_ffff_ffffn;
const INVALID_PARAMETERS = 0xffff_ffff_ffff_fffen;

/** A machine with the elements 0 (on) and 1 (off), which writes down what it is asked to do. */
class RecordingController implements PowerController {
  readonly calls: string[] = [];
  cpuOn(affinity: bigint, entry: bigint, context: bigint) {
    this.calls.push(`on ${affinity} ${entry} ${context}`);
    if (affinity === 0n) return PSCI_STATUS.ALREADY_ON;
    return affinity === 1n ? PSCI_STATUS.SUCCESS : PSCI_STATUS.INVALID_PARAMETERS;
  }
  cpuOff() {
    this.calls.push("off");
  }
  suspend() {
    this.calls.push("suspend");
  }
  affinityInfo(affinity: bigint) {
    if (affinity === 0n) return 0;
    return affinity === 1n ? 1 : undefined;
  }
  systemOff() {
    this.calls.push("system off");
  }
  systemReset() {
    this.calls.push("system reset");
  }
}

function call(...x: bigint[]): { result: PsciResult; calls: string[] } {
  const controller = new RecordingController();
  const [x0 = 0n, x1 = 0n, x2 = 0n, x3 = 0n] = x;
  return { result: callPsci(controller, [x0, x1, x2, x3]), calls: controller.calls };
}

describe("callPsci()", () => {
  test.each<[string, bigint[], PsciResult, string[]]>([
    ["PSCI_VERSION is 1.1", [0x8400_0000n], 0x10001n, []],
    ["SMCCC_VERSION is 1.1", [0x8000_0000n], 0x10001n, []],
    ["no trusted system migrates", [0x8400_0006n], 2n, []],
    ["CPU_ON", [0xc400_0003n, 1n, 0x4000_0000n, 7n], 0n, ["on 1 1073741824 7"]],
    ["CPU_ON of a running element", [0xc400_0003n, 0n, 0n, 0n], 0xffff_ffff_ffff_fffcn, ["on 0 0 0"]],
    ["CPU_ON of no element", [0xc400_0003n, 5n, 0n, 0n], INVALID_PARAMETERS, ["on 5 0 0"]],
    ["CPU_ON at an odd address", [0xc400_0003n, 1n, 2n, 0n], INVALID_PARAMETERS, []],
    ["CPU_ON by its 32-bit variant", [0x8400_0003n, 0xf_0000_0001n, 4n, -1n], 0n, ["on 1 4 4294967295"]],
    ["CPU_OFF", [0x8400_0002n], "no return", ["off"]],
    ["CPU_SUSPEND to standby", [0xc400_0001n, 0n, 0n, 0n], 0n, ["suspend"]],
    ["CPU_SUSPEND with reserved bits", [0xc400_0001n, 0x0200_0000n], INVALID_PARAMETERS, []],
    ["AFFINITY_INFO of an element that is on", [0xc400_0004n, 0n, 0n], 0n, []],
    ["AFFINITY_INFO of an element that is off", [0xc400_0004n, 1n, 0n], 1n, []],
    ["AFFINITY_INFO of no element", [0x8400_0004n, 2n, 0n], INVALID_PARAMETERS, []],
    ["AFFINITY_INFO of a cluster", [0x8400_0004n, 2n, 1n], 0n, []],
    ["SYSTEM_OFF", [0x8400_0008n], "no return", ["system off"]],
    ["SYSTEM_RESET", [0x8400_0009n], "no return", ["system reset"]],
    ["SYSTEM_RESET2, warm", [0xc400_0012n, 0n], "no return", ["system reset"]],
    ["SYSTEM_RESET2 of a vendor's type", [0xc400_0012n, 0x8000_0000n], INVALID_PARAMETERS, []],
    ["PSCI_FEATURES of SYSTEM_RESET2", [0x8400_000an, 0xc400_0012n], 0n, []],
    ["PSCI_FEATURES of SMCCC_VERSION", [0x8400_000an, 0x8000_0000n], 0n, []],
    ["PSCI_FEATURES of MIGRATE", [0x8400_000an, 0x8400_0005n], NOT_SUPPORTED, []],
    ["SMCCC_ARCH_FEATURES of itself", [0x8000_0001n, 0x8000_0001n], 0n, []],
    ["SMCCC_ARCH_FEATURES of a workaround", [0x8000_0001n, 0x8000_8000n], NOT_SUPPORTED, []],
    ["SMCCC_ARCH_FEATURES of a PSCI function", [0x8000_0001n, 0x8400_0000n], NOT_SUPPORTED, []],
    ["an unknown function", [0x8600_ff01n], NOT_SUPPORTED, []],
    ["the upper half of X0 does not count", [0xdead_beef_8400_0000n], 0x10001n, []],
  ])("%s", (_, x, result, calls) => {
    expect(call(...x)).toEqual({ result, calls });
  });

  test("has no function identifier twice", () => {
    const ids = PSCI_FUNCTIONS.flatMap(({ smc32, smc64 }) => [smc32, smc64]).filter((id) => id !== undefined);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
