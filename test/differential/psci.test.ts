import { expect, test } from "vitest";
import { callPsci, type PowerController, PSCI_FUNCTIONS, PSCI_STATUS } from "../../src/hypervisor/psci.ts";
import { runHostProgram } from "../support/host-program.ts";
import { type HypervisorCall, hypervisorCaller } from "../support/hypervisor-caller.ts";
import { qemuArguments } from "../support/qemu-device-tree.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const PSCI_FEATURES = 0x8400_000an;
const SYSTEM_RESET2 = [0x8400_0012n, 0xc400_0012n];
const SMCCC = [0x8000_0000n, 0x8000_0001n];

/** What we answer and QEMU 7.2 does not: all optional, and found by discovery only. */
const ONLY_OURS = new Set([...SYSTEM_RESET2, ...SMCCC]);

/** Two elements, of which the second is off: what QEMU has in the test. */
const POWER: PowerController = {
  cpuOn: (affinity) => (affinity === 0n ? PSCI_STATUS.ALREADY_ON : PSCI_STATUS.INVALID_PARAMETERS),
  cpuOff: () => expect.fail("no call of this test turns an element off"),
  suspend: () => expect.fail("no call of this test waits"),
  affinityInfo: (affinity) => ([0, 1] as const)[Number(affinity)],
  systemOff: () => expect.fail("no call of this test ends the machine"),
  systemReset: () => expect.fail("no call of this test restarts the machine"),
};

const identifiers = PSCI_FUNCTIONS.flatMap(({ smc32, smc64 }) => [smc32, smc64])
  .filter((id) => id !== undefined)
  .map(BigInt);
const unknown = [0x8400_0005n, 0xc400_0005n, 0xc400_0000n, 0x8400_0020n, 0x8600_ff01n, 0x1234n, 0n];

const CALLS: HypervisorCall[] = [
  [0x8400_0000n, 0n, 0n, 0n],
  [0x8400_0006n, 0n, 0n, 0n],
  ...[0n, 1n, 2n, 0x100n].flatMap((affinity): HypervisorCall[] => [
    [0xc400_0004n, affinity, 0n, 0n],
    [0x8400_0004n, affinity, 1n, 0n],
  ]),
  [0xc400_0003n, 0n, 0x4008_0000n, 0n],
  [0x8400_0003n, 0x300n, 0x4008_0000n, 0n],
  [0xc400_0003n, 1n, 0x4008_0002n, 0n],
  [0xc400_0001n, 0x0200_0000n, 0n, 0n],
  ...[...identifiers, ...unknown].map((id): HypervisorCall => [PSCI_FEATURES, id, 0n, 0n]),
  ...unknown.map((id): HypervisorCall => [id, 1n, 2n, 3n]),
];

test("PSCI answers as QEMU's does, apart from what only we answer", () => {
  const kernel = hypervisorCaller(CALLS);
  const machine = { secure: false, virtualization: false, cpus: 2, memoryMebibytes: 128, kernel };
  const { stdout, stderr } = withTemporaryDirectory((folder) =>
    runHostProgram("qemu-system-aarch64", [
      ...qemuArguments(machine, folder, ""),
      ...["-serial", "stdio", "-semihosting"],
    ]),
  );
  expect(stderr).toBe("");
  const theirs = stdout
    .toString()
    .trim()
    .split(" ")
    .map((digits) => BigInt(`0x${digits}`));
  expect(theirs).toHaveLength(CALLS.length);
  const show = (call: HypervisorCall, result: unknown) =>
    `${call.map((value) => value.toString(16)).join(" ")} -> ${(result as bigint).toString(16)}`;
  const asked = ([id, argument]: HypervisorCall) => (id === PSCI_FEATURES ? argument : id);
  const ours = CALLS.map((call) => show(call, callPsci(POWER, call)));
  const differing = CALLS.filter((call, index) => ours[index] !== show(call, theirs[index]));
  expect(
    differing.filter((call) => !ONLY_OURS.has(asked(call))).map((call) => show(call, callPsci(POWER, call))),
  ).toEqual([]);
  expect(new Set(differing.map(asked))).toEqual(ONLY_OURS);
});
