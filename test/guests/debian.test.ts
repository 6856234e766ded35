import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { FULL, LIMIT, outputOf, startDebian } from "../support/debian-guest.ts";

const PROGRAM = `
#include <math.h>
#include <stdio.h>
int main(void) {
  double sum = 0;
  for (int i = 1; i <= 1000; i++) sum += sqrt(i);
  printf("%.6f\\n", sum);
}`;

describe.runIf(FULL)("Debian 12", () => {
  const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  let machine: VirtualMachine;
  const output = (command: string): Promise<string> => outputOf(machine, command);

  beforeAll(async () => {
    mkdirSync(join(folder, "share"));
    writeFileSync(join(folder, "share", "greeting"), "from the host\n");
    const shares = [`${join(folder, "share")}:/srv/of the host`];
    machine = await startDebian({ image: "debian:12", net: {}, shares });
  }, LIMIT);
  afterAll(async () => {
    await machine?.close();
    rmSync(folder, { recursive: true });
  }, LIMIT);

  test("starts with every unit up, a login on its terminal, and the share mounted", {
    timeout: LIMIT,
  }, async () => {
    const { stdout: state } = await machine.exec("systemctl is-system-running --wait");
    const failed = await output("systemctl --failed --no-legend; journalctl -b -p warning --no-pager -q");
    expect(state, failed).toBe("running\n");
    expect(await output("systemctl --failed --no-legend")).toBe("");
    expect(await output("cat '/srv/of the host/greeting'")).toBe("from the host\n");
    const login = machine.console;
    let seen = "";
    login.on("data", (bytes: Buffer) => {
      seen += bytes.toString("latin1");
    });
    await expect.poll(() => seen, { timeout: 120_000 }).toContain("root@debian");
    login.write("tty; id -un\n");
    await expect.poll(() => seen, { timeout: 120_000 }).toMatch(/\/dev\/hvc0\r\nroot\r\n/);
  });

  test("ping, DNS", { timeout: LIMIT }, async () => {
    expect(await output("ping -c 3 10.0.2.2")).toContain("3 received, 0% packet loss");
    expect(await output("ping -c 3 fd00:10:0:2::2")).toContain("3 received, 0% packet loss");
    const mirror = "$(sed -n '1s|.*//\\([^/: ]*\\).*|\\1|p' /etc/apt/sources.list)";
    expect(await output(`getent ahostsv4 ${mirror}`)).toMatch(/^\d+\.\d+\.\d+\.\d+ +STREAM/);
  });

  test("installs a compiler from a mirror; what it compiles runs", { timeout: LIMIT }, async () => {
    await output("apt-get update");
    await output("DEBIAN_FRONTEND=noninteractive apt-get install -y build-essential");
    await machine.files.write("/root/sum.c", PROGRAM);
    await output("gcc -O2 -Wall -Werror -o /root/sum /root/sum.c -lm");
    expect(await output("/root/sum")).toBe("21097.455887\n");
    expect(await output("dpkg --audit; systemctl --failed --no-legend")).toBe("");
  });
});
