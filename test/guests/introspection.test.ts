import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RangeDocument } from "../../src/introspection/scan/scan-document.ts";
import { guestView, Introspection } from "../../src/machine/introspection.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { hashState } from "../../src/machine/state-hash.ts";
import type { FaultPolicy } from "../../src/mmu/guest-reader.ts";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { countedRun } from "../support/counted-run.ts";
import { builtLibrary } from "../support/debian-guest.ts";
import {
  type CoreSegment,
  coreSegments,
  Mapped,
  type VmallocArea,
  vmallocArea,
} from "../support/kernel-memory.ts";
import { Random } from "../support/random.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const READS = FULL ? 1_000_000 : 20_000;
/** To the shell, or only until the kernel has its own tables. */
const INSTRUCTIONS = FULL ? 1.5e9 : 1.5e8;
const LIMIT = 600_000;

/** Programs whose pages are compared. */
const PROGRAMS = FULL ? 20 : 4;
/** Bytes that each program fills beside its own. */
const BYTES_EACH = FULL ? 24 << 20 : 1 << 20;

/** For each process called dd: its mappings, and for each the kernel's 64 bits a page. */
const pageMaps = (page: number) => `for p in $(pidof dd); do echo "process $p"
while read range rights rest; do
  from=$((0x\${range%-*} / ${page})); to=$((0x\${range#*-} / ${page}))
  echo "$range $rights"
  dd if=/proc/$p/pagemap bs=8 skip=$from count=$((to - from)) 2>/dev/null | od -An -v -t x8 -w8
done < /proc/$p/maps; done`;

/** MD5 of what each process called dd has in its largest mapping, whose address and pages come first. */
const contents = (page: number) => `for p in $(pidof dd); do largest=0
while read range rights rest; do
  from=$((0x\${range%-*} / ${page})); to=$((0x\${range#*-} / ${page}))
  [ $((to - from)) -gt $largest ] && largest=$((to - from)) && first=$from
done < /proc/$p/maps
echo "$p $first $largest $(dd if=/proc/$p/mem bs=${page} skip=$first count=$largest 2>/dev/null | md5sum)"; done`;

/** The pages that a process has, by /proc/PID/pagemap: bit 63 says present, bits 54:0 are the frame. */
function presentPages(text: string, page: number): Map<bigint, number> {
  const pages = new Map<bigint, number>();
  let at = 0n;
  let isNone = false;
  for (const line of text.split("\n")) {
    const area = /^([0-9a-f]+)-[0-9a-f]+ (\S+)$/.exec(line);
    if (area !== null) {
      at = BigInt(`0x${area[1]}`);
      // The kernel calls pages of PROT_NONE present, the hardware does not.
      isNone = area[2]!.startsWith("---");
      continue;
    }
    const word = line.trim();
    if (word === "") continue;
    const entry = BigInt(`0x${word}`);
    if (!isNone && entry >> 63n === 1n) pages.set(at, Number(entry & ((1n << 55n) - 1n)) * page);
    at += BigInt(page);
  }
  return pages;
}

const IMAGES = FULL ? ["kernel:6.1-cloud", "kernel:6.12-cloud", "kernel:6.12-16k"] : ["kernel:6.1-cloud"];

describe.each(IMAGES)("a guest seen from outside: %s", (image) => {
  const page = image.endsWith("16k") ? 16_384 : 4096;
  let machine: VirtualMachine;
  beforeAll(async () => {
    const library = await builtLibrary();
    machine = await library.VirtualMachine.create({ image, memoryBytes: FULL ? 2 ** 30 : 2 ** 28 });
    await machine.ready();
  }, LIMIT);
  afterAll(async () => {
    await machine.close();
  });

  const output = async (command: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await machine.exec(command);
    expect([exitCode, stderr]).toEqual([0, ""]);
    return stdout;
  };

  test(
    "has the processes that its kernel says",
    async () => {
      await output("for i in $(seq 20); do sleep 100000 & done");
      const script = "cd /proc; for p in [0-9]*; do [ -e $p/status ] && cat $p/status; done";
      const said = (await output(script)).split(/^Name:\t/m).slice(1);
      const { processes, kernel } = machine.inspect();
      const field = (text: string, name: string) =>
        Number(new RegExp(`^${name}:\\t(\\d+)$`, "m").exec(text)?.[1]);
      const expected = said.map((text) => ({
        name: text.split("\n")[0]!,
        pid: field(text, "Pid"),
        parent: field(text, "PPid"),
        threads: field(text, "Threads"),
      }));
      // The command itself has ended, and the kernel may begin or end a worker at any time.
      const found = new Map(processes.map((process) => [process.pid, process]));
      const lasting = expected.filter(
        ({ name, pid }) => found.has(pid) || !/^(kworker|sh|cat|agent)/.test(name),
      );
      for (const { name, ...process } of lasting) {
        const same = found.get(process.pid);
        expect(same).toMatchObject(process);
        // The kernel shows more of its threads' names than the task has.
        expect(name.slice(0, same?.name.length)).toBe(same?.name);
      }
      expect(lasting.length).toBeGreaterThanOrEqual(60);
      expect(processes.filter(({ name }) => name === "sleep").length).toBeGreaterThanOrEqual(20);
      const news = processes.filter(({ pid, name }) => pid !== 0 && !/^kworker/.test(name));
      for (const { pid } of news) expect(expected.some((process) => process.pid === pid)).toBe(true);
      expect(kernel.banner).toBe((await output("cat /proc/version")).trim());
    },
    LIMIT,
  );

  test(
    "has the modules and symbols that its kernel says",
    async () => {
      const lines = (await output("cat /proc/modules")).trim().split("\n");
      const { modules } = machine.inspect();
      expect(modules.map(({ name, base }) => `${name} ${base}`)).toEqual(
        lines.map((line) => {
          const [name, , , , , base] = line.split(" ");
          return `${name} ${base}`;
        }),
      );
      await output("echo 0 > /proc/sys/kernel/kptr_restrict");
      const said = (await output("grep -v '\\[' /proc/kallsyms")).trim().split("\n");
      const found = machine
        .kernelSymbols()
        .map(({ address, type, name }) => `${address.toString(16).padStart(16, "0")} ${type} ${name}`);
      // Symbols of one address have no order.
      expect(found.sort()).toEqual(said.sort());
      expect(found.length).toBeGreaterThan(40_000);
    },
    LIMIT,
  );

  test(
    "has the pages mapped that its kernel says, program by program",
    async () => {
      // Each fills its buffer, and then waits for a reader that never reads.
      const start = `mkfifo /tmp/f; sleep 100000 < /tmp/f &
      for i in $(seq ${PROGRAMS}); do dd if=/dev/urandom bs=${BYTES_EACH} of=/tmp/f & done; sleep 1
      while [ $(cat /proc/[0-9]*/wchan | grep -o pipe_write | wc -l) -lt ${PROGRAMS} ]; do sleep 1; done
      kill -STOP $(pidof dd)`;
      await output(start);
      const said = (await output(pageMaps(page))).split(/^process /m).slice(1);
      let pages = 0;
      for (const text of said) {
        const pid = Number.parseInt(text, 10);
        const [scan] = machine.scan({ space: { pid }, half: "user" }).scans;
        const found = new Map<bigint, number>();
        for (const range of scan!.ranges) {
          const from = BigInt(range.start);
          for (let at = 0; at < range.size; at += page) {
            found.set(from + BigInt(at), Number(range.physical) + at);
          }
        }
        expect(found, `process ${pid}`).toEqual(presentPages(text, page));
        pages += found.size * (page / 4096);
      }
      let read = 0;
      for (const line of (await output(contents(page))).trim().split("\n")) {
        const [pid, first, count, digest] = line.split(/ +/);
        const hash = createHash("md5");
        const start = Number(first) * page;
        const end = start + Number(count) * page;
        for (let at = start; at < end; at += 2 ** 20) {
          hash.update(machine.readMemory(BigInt(at), Math.min(2 ** 20, end - at), Number(pid)));
        }
        expect(hash.digest("hex"), line).toBe(digest);
        read += (Number(count) * page) / 4096;
      }
      expect(read).toBeGreaterThanOrEqual(FULL ? 100_000 : 1_000);
      const programs = said.length;
      await output("kill -CONT $(pidof dd); kill $(pidof dd)");
      expect(programs).toBe(PROGRAMS);
      expect(pages).toBeGreaterThanOrEqual(FULL ? 100_000 : 1_000);
    },
    LIMIT,
  );

  test(
    "has the kernel's half mapped as the kernel says",
    async () => {
      // Processor time, and of several scans the least: other work on the host may be under way.
      const scans = [1, 2, 3].map(() => {
        const before = process.cpuUsage();
        const [scan] = machine.scan({ space: "current", half: "kernel" }).scans;
        const { user, system } = process.cpuUsage(before);
        return { scan, milliseconds: Math.round((user + system) / 1000) };
      });
      const { counts } = scans[0]!.scan!;
      const times = scans.map(({ milliseconds }) => milliseconds);
      console.log(`kernel's half: ${counts.leaves} leaves, ${times.join(", ")} ms of processor time`);
      if (FULL) expect(Math.min(...times)).toBeLessThan(1000);
      await output("echo 1 > /proc/sys/kernel/kptr_restrict");
      const areasNow = async () => (await output("cat /proc/vmallocinfo")).split("\n");
      let mapped: Mapped | undefined;
      let areas: readonly VmallocArea[] = [];
      let unequal: readonly VmallocArea[] = [];
      // A stack may come and go between the kernel's list and the scan; what is wrong is wrong each time.
      for (let tries = 0; tries < 5 && (mapped === undefined || unequal.length > 0); tries++) {
        const before = await areasNow();
        const now = new Mapped(machine.scan({ space: "current", half: "kernel" }).scans[0]!);
        const after = new Set(await areasNow());
        areas = before.filter((line) => after.has(line)).flatMap(vmallocArea);
        // Memory that a module needed only at its start is given back before its area is.
        unequal = areas.filter(({ first, end, pages }) => now.size(first, end) !== pages * page);
        mapped = now;
      }
      if (mapped === undefined) throw new Error("there was no scan");
      expect(unequal).toEqual([]);
      expect(areas.length).toBeGreaterThan(10);
      const { half } = mapped;
      expect(half.complete).toBe(true);
      expect(half.counts.translations).toBeLessThanOrEqual(half.counts.leaves + 2 * half.counts.tables + 512);
      const header = await output("dd if=/proc/kcore bs=4096 count=4 2>/dev/null | base64");
      const segments = coreSegments(Buffer.from(header, "base64"));
      const isIn = (range: RangeDocument, { first, end }: CoreSegment) =>
        BigInt(range.start) >= first && BigInt(range.end) <= end;
      // Only what has a fixed address, and the ports of PCI, is in no segment.
      const elsewhere = half.ranges.filter((range) => !segments.some((segment) => isIn(range, segment)));
      expect(elsewhere.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(4 << 20);
      const placed = segments.filter(({ physical }) => physical !== undefined);
      for (const { first, end, physical = 0n } of placed) {
        for (const range of half.ranges) {
          if (!isIn(range, { first, end, physical })) continue;
          expect(BigInt(range.physical ?? 0) - physical).toBe(BigInt(range.start) - first);
        }
      }
      // One of them is all memory, the other the kernel's image, of which parts are given back.
      const whole = placed.filter(({ first, end }) => mapped?.size(first, end) === Number(end - first));
      const bytes = whole.reduce((sum, { first, end }) => sum + Number(end - first), 0);
      expect(bytes).toBeGreaterThanOrEqual(2 ** 28 - (4 << 20));
      // The kernel looks for W+X itself, and says so when it starts.
      expect(await output("dmesg")).toContain("Checked W+X mappings: passed, no W+X pages found");
      const wx = machine.scan({ space: "all", half: "both", writableAndExecutable: true });
      expect(wx.scans.flatMap((half) => half.ranges)).toEqual([]);
      const named = new Map(machine.kernelSymbols().map(({ name, address }) => [name, address]));
      const [text, end] = [named.get("_stext")!, named.get("_etext")!];
      const ofText = mapped.ranges(text, end);
      const rights = new Set(ofText.map(({ kernel, user }) => `${kernel} ${user}`));
      expect([...rights]).toEqual(["r-x ---"]);
      expect(mapped.size(text, end)).toBe(Number(end - text));
      const code = /^ *([0-9a-f]+)-([0-9a-f]+) : Kernel code$/m.exec(await output("cat /proc/iomem"));
      expect(Number(ofText[0]!.physical)).toBeGreaterThanOrEqual(Number(`0x${code![1]}`));
      // Nothing executes but the kernel, its modules, packet filters, and what it keeps in its fixed map.
      const { modules } = machine.inspect();
      const executable = half.ranges.filter(({ kernel }) => kernel.endsWith("x"));
      const jitted = areas.filter(({ line }) => / bpf_jit_alloc_exec\+/.test(line));
      const strangers = executable.filter(({ start }) => {
        const at = BigInt(start);
        const inModule = modules.some(
          ({ base, size: bytes }) => at >= BigInt(base) && at < BigInt(base) + BigInt(bytes),
        );
        const inFilter = jitted.some(({ first, end: after }) => at >= first && at < after);
        return !inModule && !inFilter && !(at >= text - 0x1_0000n && at < end);
      });
      expect(strangers.length, JSON.stringify(strangers)).toBeLessThanOrEqual(2);
    },
    LIMIT,
  );

  test(
    "tells of every patch of its kernel's code, and can forbid them",
    async () => {
      const random = Random.ofThisRun();
      const named = new Map(machine.kernelSymbols().map(({ name, address }) => [name, address]));
      const [text, end] = [named.get("_stext")!, named.get("_etext")!];
      const codeHash = (): string => {
        const hash = createHash("sha256");
        for (let at = text; at < end; at += 0x10_0000n) {
          hash.update(machine.readMemory(at, Number(end - at < 0x10_0000n ? end - at : 0x10_0000n)));
        }
        return hash.digest("hex");
      };
      await output("mkdir -p /t; mount -t tracefs none /t");
      // Names that only one function has, so that a filter and what comes of it can be compared by name.
      const count = new Map<string, number>();
      for (const { name } of machine.kernelSymbols()) count.set(name, (count.get(name) ?? 0) + 1);
      const available = (await output("cat /t/available_filter_functions")).trim().split("\n");
      // A module's function is listed as "name [module]".
      for (const name of available.filter((line) => line.includes("[")))
        count.set(name.split(" ")[0]!, Number.POSITIVE_INFINITY);
      const functions = available.filter(
        (name) => /^\w+$/.test(name) && count.get(name) === 1 && named.get(name)! < end,
      );
      const functionAt = new Map<bigint, string[]>();
      for (const { name, address } of machine.kernelSymbols()) {
        functionAt.set(address, [...(functionAt.get(address) ?? []), name]);
      }
      const before = codeHash();
      machine.protect({ kind: "kernel", action: "log", allow: [] });
      let since = 0;
      const number = (bytes: string) => BigInt(`0x${bytes.match(/../g)!.reverse().join("")}`);
      /** Patched instructions, and 64-bit words: newer kernels keep what a function's tracer is before its code. */
      const patches = () => {
        const { writes } = machine.protect({ kind: "state", since });
        since = Math.max(since, ...writes.map(({ sequence }) => sequence + 1));
        const ofLength = (bytes: number) => writes.filter(({ after }) => after.length === bytes * 2);
        const [instructions, words] = [ofLength(4), ofLength(8)];
        expect(writes.filter(({ kind }) => kind !== "page")).toEqual([]);
        expect(instructions.length + words.length).toBe(writes.length);
        return {
          instructions: instructions.map((write) => ({
            place: write.symbol ?? write.address,
            before: Number(number(write.before)),
            after: Number(number(write.after)),
          })),
          words: words.map((write) => ({
            of: functionAt.get(BigInt(write.virtual ?? 0) + 8n) ?? [`${write.symbol}`],
            ...{ before: number(write.before), after: number(write.after) },
          })),
        };
      };
      const isCall = (word: number) => word >>> 26 === 0b100101;
      for (let round = 0; round < (FULL ? 20 : 1); round++) {
        const wanted = Array.from({ length: 20 }, () => functions[random.below(functions.length)]!);
        const filter = `for f in ${wanted.join(" ")}; do echo $f; done > /t/set_ftrace_filter`;
        await output(`${filter}; echo function > /t/current_tracer`);
        const enabled = (await output("cat /t/enabled_functions")).trim().split("\n");
        await output("echo nop > /t/current_tracer");
        const { instructions: all, words } = patches();
        // ftrace's own call is changed too, and static branches (NOP or B) while it is on.
        const isOwn = (place: string) => /^ftrace_(graph_)?call$/.test(place);
        const isBranch = (word: number) => word === 0xd503201f || word >>> 26 === 0b000101;
        const sites = all.filter(
          ({ place, after, before: old }) => !isOwn(place) && (isCall(after) || isCall(old)),
        );
        const rest = all.filter((patch) => !isOwn(patch.place) && !sites.includes(patch));
        expect(rest.filter(({ after, before: old }) => !isBranch(after) || !isBranch(old))).toEqual([]);
        const names = (calls: boolean) =>
          sites
            .filter(({ after }) => isCall(after) === calls)
            // The kernel names a site by the symbol before it, too, and there are symbols with many sites.
            .map(({ place }) => place.replace(/\+0x\w+$/, ""));
        expect(names(true).sort(), `seed ${random.seed}`).toEqual(
          enabled.map((line) => line.split(" ")[0]).sort(),
        );
        expect(names(false).sort()).toEqual(names(true).sort());
        if (words.length === 0) continue;
        // Each function's word is set to the tracer, and back.
        const [idle] = words.slice(0, 1).map((word) => word.before);
        for (const set of [true, false]) {
          const ofSites = words.filter((word) => (set ? word.before : word.after) === idle);
          expect(ofSites.length).toBe(enabled.length);
          const sites = new Set(ofSites.flatMap(({ of }) => of));
          for (const line of enabled) expect(sites, `seed ${random.seed}`).toContain(line.split(" ")[0]);
        }
        expect(words.length).toBe(2 * enabled.length);
      }
      const probed = Array.from({ length: 5 }, () => functions[random.below(functions.length)]!);
      const probes = [...new Set(probed)];
      await output(
        `for f in ${probes.join(" ")}; do echo p:$f $f >> /t/kprobe_events || true; done 2>/dev/null; true`,
      );
      const accepted = (await output("cat /t/kprobe_events"))
        .trim()
        .split("\n")
        .filter((line) => line !== "");
      await output("echo 1 > /t/events/kprobes/enable; echo 0 > /t/events/kprobes/enable; true");
      const breaks = patches().instructions.filter(({ after }) => after === 0xd4200080);
      expect(breaks.map(({ place }) => place.replace(/\+0x\w+$/, "")).sort()).toEqual(
        accepted.map((line) => line.split(" ").at(-1)).sort(),
      );
      expect(codeHash()).toBe(before);
      machine.protect({ kind: "remove" });
      machine.protect({ kind: "kernel", action: "deny", allow: [] });
      await output("echo function > /t/current_tracer; true");
      expect(patches().instructions.length).toBeGreaterThan(0);
      expect(codeHash()).toBe(before);
      expect(await output("echo alive")).toBe("alive\n");
      machine.protect({ kind: "remove" });
    },
    LIMIT,
  );
});

function stateHash(machine: Machine): string {
  const hash = createHash("sha256");
  hashState(machine, hash);
  return hash.digest("hex");
}

/** An address of every kind: of the kernel, of a program, of nobody, with a tag, wide, at a page's end. */
function someAddress(random: Random, known: readonly bigint[]): bigint {
  const any = (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
  switch (random.below(6)) {
    case 0:
      return any;
    case 1:
      return any & 0x0000_ffff_ffff_ffffn;
    case 2:
      return any | 0xffff_0000_0000_0000n;
    case 3:
      return BigInt(random.below(2 ** 31));
    case 4:
      return (known[random.below(known.length)]! & ~0xfffn) + BigInt(0xff0 + random.below(32));
    default:
      return known[random.below(known.length)]! + BigInt(random.below(1 << 24));
  }
}

test(
  "random reads change nothing in the guest, and none throws",
  async () => {
    const random = Random.ofThisRun();
    const { machine } = await countedRun({
      ...{ kernel: "kernel:6.1-cloud", cpus: 1, virtualization: false },
      ...{ instructions: INSTRUCTIONS, roundsInBurst: () => 1000 },
    });
    const before = stateHash(machine);
    const view = guestView(machine);
    const [element] = view.elements;
    if (element === undefined) throw new Error("no element is on");
    const known = [element.pc, element.vectors, element.vectors + 0x80_0000n];
    const policies: readonly FaultPolicy[] = [
      { kind: "error" },
      { kind: "handler", onFault: () => "skip page" },
      { kind: "handler", onFault: () => "retry" },
      { kind: "forward" },
    ];
    const causes = new Map<string, number>();
    for (let count = 0; count < READS; count++) {
      const space = element.space(random.below(2) === 0 ? undefined : BigInt(random.below(2 ** 31)));
      const length = random.below(16) === 0 ? random.below(1 << 14) : random.below(64);
      const policy = policies[random.below(policies.length)]!;
      const { fault } = view.reader.read(space, someAddress(random, known), length, policy);
      const cause = fault?.cause ?? "none";
      causes.set(cause, (causes.get(cause) ?? 0) + 1);
    }
    for (const cause of ["none", "translation"])
      expect(causes.get(cause), cause).toBeGreaterThan(READS / 100);
    const introspection = new Introspection(machine);
    const scans = [true, false].map((usingTables) =>
      introspection.scan({ space: "current", half: "both", usingTables }),
    );
    const [quick, plain] = scans.map((scan) => scan.scans.map((half) => half.ranges));
    expect(quick).toEqual(plain);
    expect(quick![0]!.length).toBeGreaterThan(10);
    introspection.inspect();
    expect(stateHash(machine), `seed ${random.seed}`).toBe(before);
  },
  LIMIT,
);
