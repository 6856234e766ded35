import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VirtualMachine } from "../../src/node/virtual-machine.ts";

/** A whole Debian takes minutes, and its packages a mirror: the one of this computer's apt. */
const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 3_600_000;
const PROGRAM = `
#include <math.h>
#include <stdio.h>
int main(void) {
  double sum = 0;
  for (int i = 1; i <= 1000; i++) sum += sqrt(i);
  printf("%.6f\\n", sum);
}`;

describe.runIf(FULL)("Debian 12", () => {
  let machine: VirtualMachine;

  async function output(command: string): Promise<string> {
    const { exitCode, stdout, stderr } = await machine.exec(command, { input: "" });
    if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode}: ${stdout}${stderr}`);
    return stdout;
  }

  beforeAll(async () => {
    machine = await VirtualMachine.create({
      image: "debian:12",
      memoryBytes: 2 ** 30,
      net: {},
    });
    // However long that takes: ready() would give up at some time.
    await once(machine.events, "ready");
  }, LIMIT);
  afterAll(async () => {
    await machine?.close();
  });

  test("starts with every unit up, and a login on its terminal", { timeout: LIMIT }, async () => {
    expect(await output("systemctl is-system-running --wait")).toBe("running\n");
    expect(await output("systemctl --failed --no-legend")).toBe("");
    const login = machine.console;
    let seen = "";
    login.on("data", (bytes: Buffer) => {
      seen += bytes.toString("latin1");
    });
    await expect.poll(() => seen, { timeout: 60_000 }).toContain("root@debian");
    login.write("tty; id -un\n");
    await expect.poll(() => seen, { timeout: 60_000 }).toMatch(/\/dev\/hvc0\r\nroot\r\n/);
  });

  test("installs a compiler from a mirror; what it compiles runs", { timeout: LIMIT }, async () => {
    await output("apt-get update");
    await output("DEBIAN_FRONTEND=noninteractive apt-get install -y gcc libc6-dev");
    await machine.files.write("/root/sum.c", PROGRAM);
    await output("gcc -O2 -Wall -Werror -o /root/sum /root/sum.c -lm");
    expect(await output("/root/sum")).toBe("21097.455887\n");
    expect(await output("dpkg --audit; systemctl --failed --no-legend")).toBe("");
  });
});
