import { describe, expect, test } from "vitest";
import { createMachine } from "../../src/node/create-machine.ts";
import { KERNEL_DECOMPRESSORS } from "../../src/node/kernel-decompressors.ts";
import { GuestConsole } from "../support/guest-console.ts";
import { installerFiles } from "../support/guest-images.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 1_200_000;
const SECONDS = 1000;

describe.runIf(FULL)("Debian's installer", () => {
  test.each(["off", "on"] as const)(
    "shows its first screen with --acpi %s",
    async (acpi) => {
      const console = new GuestConsole();
      const machine = await createMachine({
        ...(await installerFiles()),
        memoryBytes: 1024 * 2 ** 20,
        cpus: 1,
        commandLine: "console=ttyAMA0",
        decompressors: KERNEL_DECOMPRESSORS,
        acpi,
        serial: console.output,
      });
      const ended = machine.run();
      try {
        await console.expect(/Select a language/, SECONDS);
        expect(console.text).not.toMatch(/Kernel panic|Firmware Bug|ACPI Error/i);
      } finally {
        machine.stop();
        await ended;
      }
    },
    LIMIT,
  );
});
