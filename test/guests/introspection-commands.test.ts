import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Inspection } from "../../src/introspection/inspection.ts";
import type { RangeChange, ScanDocument } from "../../src/introspection/scan/scan-document.ts";
import { MAIN, OwnMachines } from "../support/own-machines.ts";
import { TmuxTerminal } from "../support/tmux-terminal.ts";

/** `elvisor inspect` and `elvisor scan` as an owner uses them, beside a guest that goes on. */

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 600_000;

describe.runIf(FULL)("a running guest", () => {
  const machines = new OwnMachines();
  /** What a command writes, which says nothing else. */
  function elvisor(...words: string[]): string {
    const { status, stdout, stderr } = machines.command(...words);
    expect([words, status, stderr]).toEqual([words, 0, ""]);
    return stdout;
  }
  const inGuest = (line: string): string => machines.inGuest(line);
  const scan = (...words: string[]): ScanDocument =>
    JSON.parse(elvisor("scan", "one", "--json", ...words)) as ScanDocument;

  beforeAll(() => {
    // Address-space identifiers are known from shadow tables.
    elvisor("run", "--detach", "--name", "one", "--mmu", "shadow", "--net", "none");
  }, LIMIT);
  afterAll(() => machines.close(), LIMIT);

  test(
    "is followed on a terminal until q, and the screen is as before",
    async () => {
      const command = `XDG_RUNTIME_DIR=${machines.home} ${process.execPath} ${MAIN} inspect one --interval 1`;
      const terminal = new TmuxTerminal(`echo before; ${command}; echo "left $?"; sleep 1000`, {
        columns: 100,
        rows: 30,
      });
      await terminal.waitFor(/^one: Linux version 6\.1/m, 200);
      await terminal.waitFor(/^PID +PARENT +THREADS +TABLES +CPU +NAME$/m, 100);
      expect(terminal.screen()).not.toMatch(/before/);
      const pid = inGuest("sleep 100000 >/dev/null 2>&1 & echo $!").trim();
      await terminal.waitFor(new RegExp(`^${pid} .* sleep$`, "m"), 100);
      inGuest(`kill ${pid}`);
      await expect
        .poll(() => terminal.screen(), { timeout: 100_000 })
        .not.toMatch(new RegExp(`^${pid} `, "m"));
      terminal.resize(60, 12);
      await expect.poll(() => terminal.screen().split("\n").length, { timeout: 100_000 }).toBeLessThan(15);
      expect(terminal.screen()).toMatch(/q ends this view/);
      terminal.type("q");
      await terminal.waitFor(/^before\s+left 0$/m, 100);
    },
    LIMIT,
  );

  test(
    "has a slow clock while its owner wants it",
    () => {
      const uptime = () => Number(inGuest("cut -d' ' -f1 /proc/uptime"));
      expect(elvisor("time", "one")).toBe("1x\n");
      expect(elvisor("time", "one", "0.1x")).toBe("0.1x\n");
      const [before, began] = [uptime(), Date.now()];
      inGuest("sleep 0.5");
      const passed = uptime() - before;
      const seconds = (Date.now() - began) / 1000;
      expect(passed).toBeGreaterThanOrEqual(0.49);
      expect(passed).toBeLessThanOrEqual(seconds * 0.1 + 0.02);
      expect(elvisor("time", "one", "1x")).toBe("1x\n");
      expect(elvisor("time", "one")).toBe("1x\n");
    },
    LIMIT,
  );

  test(
    "is scanned by an address-space identifier as by the process",
    () => {
      const pid = inGuest("(while :; do :; done) >/dev/null 2>&1 & echo $!").trim();
      const inspection = JSON.parse(elvisor("inspect", "one", "--json")) as Inspection;
      const space = inspection.addressSpaces.find(({ processes }) =>
        processes.some((name) => name.endsWith(`(${pid})`)),
      );
      expect(space?.asids.length, JSON.stringify(inspection.addressSpaces)).toBeGreaterThan(0);
      const byAsid = scan("--asid", String(space!.asids[0]));
      const byPid = scan("--pid", pid);
      expect(byAsid.scans.map(({ half, tables }) => [half, tables])).toEqual([["user", space!.tables]]);
      expect(byAsid.scans[0]!.ranges.length).toBeGreaterThan(3);
      expect(byAsid.scans[0]!.ranges).toEqual(byPid.scans[0]!.ranges);
      inGuest(`kill ${pid}`);
    },
    LIMIT,
  );

  test(
    "shows what is mapped otherwise than before",
    () => {
      const script = "read x; x=$(printf %03000000d 0); echo grown >/tmp/state; read x";
      inGuest("rm -f /tmp/fifo; mkfifo /tmp/fifo");
      const pid = inGuest(`sh -c '${script}' <>/tmp/fifo >/dev/null 2>&1 & echo $!`).trim();
      inGuest("sleep 1");
      const earlier = join(machines.home, "earlier.json");
      writeFileSync(earlier, elvisor("scan", "one", "--json", "--pid", pid));
      const compare = (): RangeChange[] => {
        const text = elvisor("scan", "one", "--json", "--pid", pid, "--diff", earlier);
        return (JSON.parse(text) as { differences: { changes: RangeChange[] }[] }).differences[0]!.changes;
      };
      expect(compare()).toEqual([]);
      inGuest("echo >/tmp/fifo; until [ -e /tmp/state ]; do sleep 0.1; done");
      const changes = compare();
      const added = changes.filter(({ before, after }) => before === undefined && after?.user === "rw-");
      const bytes = added.reduce((sum, { start, end }) => sum + Number(BigInt(end) - BigInt(start)), 0);
      expect(bytes).toBeGreaterThanOrEqual(3_000_000);
      const shown = elvisor("scan", "one", "--pid", pid, "--diff", earlier);
      expect(shown).toMatch(new RegExp(`^user half, tables at 0x[0-9a-f]+: ${changes.length} changes$`, "m"));
      inGuest(`kill ${pid}`);
    },
    LIMIT,
  );
});
