import { expect, test } from "vitest";
import { machineIdentity, machineUuid } from "./machine-identity.ts";

test("a machine has its own names unless it answers another's interface", () => {
  expect(machineIdentity({})).toBeUndefined();
  const identity = { 1: { serial: "7" } };
  expect(machineIdentity({ identity })).toBe(identity);
});

test("a compatible machine has that hypervisor's names, and one UUID in both places", () => {
  const randomBytes = (length: number) => new Uint8Array(length).fill(0xff);
  const identity = machineIdentity({
    compatibility: "vmware",
    randomBytes,
    identity: { 1: { serial: "7" } },
  });
  expect(identity).toEqual({
    1: {
      manufacturer: "VMware, Inc.",
      product: "VMware Virtual Platform",
      uuid: "ffffffff-ffff-4fff-bfff-ffffffffffff",
      serial: "7",
    },
  });
  expect([...machineUuid(identity).subarray(4, 10)]).toEqual([0xff, 0xff, 0x4f, 0xff, 0xbf, 0xff]);
});

test("what the user says goes first, and a deterministic machine draws nothing", () => {
  const uuid = "01234567-89ab-cdef-0123-456789abcdef";
  const named = { compatibility: "vmware", identity: { 1: { uuid, manufacturer: "ACME" } } } as const;
  expect(machineIdentity(named)?.[1]).toMatchObject({ uuid, manufacturer: "ACME" });
  const randomBytes = () => {
    throw new Error("drawn");
  };
  const same = { compatibility: "vmware", deterministic: true, randomBytes } as const;
  expect(machineIdentity(same)).toEqual(machineIdentity(same));
});
