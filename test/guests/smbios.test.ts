import { expect, test } from "vitest";
import { programArchive } from "../support/debian-packages.ts";
import { withGuest } from "../support/guest.ts";
import { guestFiles } from "../support/guest-images.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const BOOT_SECONDS = 300;
const UUID = "01234567-89ab-cdef-0123-456789abcdef";
const IDENTITY = {
  1: { manufacturer: "ACME", product: "Anvil", serial: "S1", uuid: UUID },
  3: { manufacturer: "Boxes", serial: "S3", asset: "A3" },
} as const;

test.runIf(FULL)(
  "Debian's dmidecode, in the guest, reads who the machine is, its memory and its chassis",
  async () => {
    const kernel = "kernel:6.1-cloud";
    const { kernel: image, initrd } = await guestFiles(kernel);
    const bytes = Buffer.concat([initrd.bytes, await programArchive({ dmidecode: "dmidecode" })]);
    const boot = { kernel: image, initrd: { name: "with dmidecode", bytes } };
    const options = { kernel, boot, memoryMebibytes: 512, cpus: 2, acpi: "on", identity: IDENTITY } as const;
    await withGuest(
      options,
      async (guest) => {
        const text = await guest.output("dmidecode");
        expect(text).toContain("SMBIOS 3.4.0 present.");
        for (const line of [
          ...["Manufacturer: ACME", "Product Name: Anvil", "Serial Number: S1", `UUID: ${UUID}`],
          ...["Chassis Information", "Manufacturer: Boxes", "Serial Number: S3", "Asset Tag: A3"],
          ...["Physical Memory Array", "Maximum Capacity: 512 MB", "Size: 512 MB", "Range Size: 512 MB"],
          ...["Core Count: 2", "System is a virtual machine", "End Of Table"],
        ])
          expect(text).toContain(line);
        expect(text).not.toMatch(/bad|broken|wrong|invalid|out of spec|truncated/i);
        for (const [keyword, value] of [
          ["system-manufacturer", "ACME"],
          ["system-uuid", UUID],
          ["chassis-asset-tag", "A3"],
        ] as const)
          expect(await guest.output(`dmidecode -s ${keyword}`)).toBe(`${value}\n`);
      },
      BOOT_SECONDS,
    );
  },
  800_000,
);
