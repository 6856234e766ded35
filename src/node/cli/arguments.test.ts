import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runElvisor } from "../../../test/support/fake-host.ts";
import { runHostProgram } from "../../../test/support/host-program.ts";
import { HOST_PACE, NO_GUEST_TOOLS } from "../../../test/support/no-guest-tools.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import type { VirtualMachineFactory } from "../../machine/virtual-machine-interface.ts";

/** Nothing of the host's: an empty home and cache, no mirror. */
function emptyHome() {
  const home = temporaryDirectory();
  return { HOME: home, XDG_CACHE_HOME: join(home, "cache"), XDG_CONFIG_HOME: join(home, "config") };
}

/** Everything that is wrong is said in whole sentences, on stderr only, without a stack. */
function expectSentence({ stdout, stderr }: { stdout: Buffer; stderr: string }, pattern: RegExp): void {
  expect(stderr).toMatch(pattern);
  expect(stderr).toMatch(/^(elvisor: .+\n)+$/);
  expect(stderr).not.toMatch(/^ {4}at |defect/m);
  expect(stdout.toString()).toBe("");
}

describe("wrong usage ends with status 2", () => {
  test.each<[string[], RegExp]>([
    [["--bogus"], /unknown option '--bogus'/],
    [["frobnicate"], /unknown command 'frobnicate'/],
    [["run", "--bogus"], /unknown option '--bogus'/],
    [["run", "--memry", "1G"], /--memry' \(Did you mean --memory\?\)/],
    [["run", "--memory"], /'--memory <SIZE>' argument missing/],
    [["run", "--memory", "512"], /'512' is invalid. It must be a number with a unit, such as 512M or 2G/],
    [["run", "--memory", "-1G"], /'-1G'/],
    [["run", "--memory", "0M"], /'0M' is invalid/],
    [["run", "--cpus", "0"], /'0' is invalid. It must be a whole number from 1 up/],
    [["run", "--cpus", "two"], /'two' is invalid/],
    [["run", "--timeout", "soon"], /'soon' is invalid. It must be a number of seconds/],
    [["run", "--engine", "warp"], /'warp' is invalid. Allowed choices are translator, interpreter/],
    [["run", "--time-scale", "0"], /A guest whose time stands still does not start/],
    [
      ["run", "--time-scale", "1e9x"],
      /"1e9x" is no time scale; give a factor from 0.001 to 100 such as 0.5x/,
    ],
    [["run", "--time-scale", "2x,warp"], /"2x,warp" is no time scale/],
    [["time", "work", "-1"], /"-1" is no time scale/],
    [["time", "work", "200x"], /"200x" is no time scale/],
    [["run", "--restore", "x", "--exec", "true"], /A restored machine has its shell already/],
    [["protect", "work", "--kernel", "--action", "callback"], /The action callback needs --callback URL/],
    [
      ["protect", "work", "--kernel", "--action", "callback", "--callback", "ftp://x/"],
      /"ftp:\/\/x\/" is no URL to call; give one such as http:/,
    ],
    [
      ["protect", "work", "--kernel", "--callback", "http://x/"],
      /--callback URL is only for protect --kernel/,
    ],
    [["protect", "work", "--kernel", "--action", "snapshot+pause"], /needs --snapshot FILE/],
    [["protect", "work", "--snapshot", "x"], /--snapshot FILE is only for protect --kernel --action snap/],
    [["guest", "frobnicate", "work"], /unknown command 'frobnicate'/],
    [["guest", "sync-time", "work", "maybe"], /'maybe' is invalid/],
    [["hvcall"], /required option '-o, --output <FILE>' not specified/],
    [["run", "--console", "vga"], /'vga' is invalid/],
    [["run", "--net", "bridge"], /"bridge" is no network; give --net none, --net user or --net user,allow=/],
    [["run", "--net", "user,deny=all"], /"deny=all" in --net user,deny=all is unknown; give allow=HOST:PORT/],
    [["run", "--net", "user,allow=example.org"], /"example.org" is no destination; allow HOST:PORT/],
    [["run", "--net", "none,allow=a:1"], /--net none takes nothing more, but has "allow=a:1"/],
    [["run", "--net", "none", "--publish", "1:2"], /--publish 1:2 needs a network; leave --net none out/],
    [["run", "--net", "user", "--deterministic"], /A deterministic machine has no network/],
    [["run", "--publish", "22"], /"22" is no port to publish; give \[ADDRESS:\]HOSTPORT:GUESTPORT/],
    [["run", "kernel:6.1-cloud", "another"], /too many arguments/],
    [["run", "kernel:5"], /There is no image "kernel:5"; the images are kernel:6\.1-cloud/],
    [["run", "busybox"], /The image busybox is a program for a guest/],
    [["run", "kernel:6.1-cloud", "--kernel", "x"], /Both kernel:6\.1-cloud and --kernel x name a kernel/],
    [["run", "firmware:uboot", "--bios", "x"], /Both firmware:uboot and --bios x name firmware/],
    [["run", "firmware:uboot", "--initrd", "x"], /--initrd x needs a kernel/],
    [["run", "--exec", "true", "--kernel", "x"], /--exec needs the default guest.*leave out --kernel/],
    [["run", "--exec", "true", "firmware:uboot"], /--exec needs the default guest.*leave out firmware:uboot/],
    [["run", "--exec", "true", "--uefi"], /--exec needs the default guest.*leave out --uefi/],
    [["run", "--exec", "true", "installer:12"], /--exec needs the default guest.*leave out installer:12/],
    [["run", "--uefi", "--bios", "x"], /Both --uefi and --bios x name firmware/],
    [["run", "--uefi", "firmware:uboot"], /Both --uefi and firmware:uboot name firmware/],
    [["run", "--uefi", "--append", "quiet"], /--append needs a kernel/],
    [["run", "--uefi-vars", "x"], /Only EDK2 keeps variables for --uefi-vars x; add --uefi/],
    [["run", "--acpi", "perhaps"], /'perhaps' is invalid. Allowed choices are on, off, auto/],
    [["run", "--smbios", "serial=1"], /begins with "serial=1"; begin it with type=N/],
    [["run", "--smbios", "type=1,colour=red"], /has the field "colour"/],
    [["pull"], /missing required argument 'NAME'/],
    [["pull", "nothing"], /There is no image "nothing"/],
    [
      ["pull", "busybox", "--mirror", "nowhere"],
      /The mirror "nowhere" of --mirror is not an http or https address/,
    ],
    [["dtb", "--cpus", "100000"], /100000/],
    [["disasm", "d503201f", "zzz"], /"zzz" is not an instruction word/],
    [["asm", "nop", "--address", "2"], /The address 0x2 is no multiple of 4/],
    [["asm", "nop", "--address", "here"], /It must be an address/],
  ])("%j", async (words, pattern) => {
    const outcome = await runElvisor(words, { environment: emptyHome() });
    expectSentence(outcome, pattern);
    expect(outcome.status).toBe(2);
  });

  test("no command at all shows the help on stderr", async () => {
    const outcome = await runElvisor([]);
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining("Usage: elvisor") });
    expect(outcome.stdout.toString()).toBe("");
  });
});

describe("unfit files end with status 1, under --exec 125", () => {
  const directory = () => {
    const path = temporaryDirectory();
    mkdirSync(join(path, "directory"));
    writeFileSync(join(path, "empty"), "");
    writeFileSync(join(path, "odd"), "x".repeat(1000));
    writeFileSync(join(path, "qcow2"), Buffer.concat([Buffer.from("QFI\xfb", "latin1"), Buffer.alloc(1020)]));
    writeFileSync(join(path, "huge"), "");
    truncateSync(join(path, "huge"), 2 ** 31);
    return path;
  };
  test.each<[string[], RegExp]>([
    [["--kernel", "D/none"], /There is no kernel \S+none; check its name/],
    [["--kernel", "D/directory"], /The kernel \S+directory is a directory/],
    [
      ["--kernel", "D/huge"],
      /The kernel \S+huge has 2147483648 bytes, more than can be loaded; give one of less/,
    ],
    [["--initrd", "D/none"], /There is no initrd \S+none/],
    [["--dtb", "D/none"], /There is no device tree \S+none/],
    [["--bios", "D/none"], /There is no firmware \S+none/],
    [["--drive", "D/none"], /There is no drive \S+none; make one, for example: truncate -s 1G/],
    [["--drive", "D/directory"], /The drive \S+directory is a directory/],
    [["--drive", "D/empty"], /The drive \S+empty is empty; make it larger/],
    [["--drive", "D/odd"], /The drive \S+odd has 1000 bytes, which is no multiple of 512/],
    [["--drive", "D/qcow2"], /The image \S+qcow2 is qcow2 of version 0; only versions/],
    [[], /No Debian mirror is known|cannot be reached/],
  ])("%j", async (words, pattern) => {
    const folder = directory();
    const environment = { ...emptyHome(), ELVISOR_MIRROR: "http://127.0.0.1:9/debian" };
    const named = words.map((word) => word.replace("D/", `${folder}/`));
    const outcome = await runElvisor(["run", ...named], { environment });
    expectSentence(outcome, pattern);
    expect(outcome.status).toBe(1);
    if (words.some((word) => /^--(kernel|initrd|bios)$/.test(word))) return;
    expect((await runElvisor(["run", "--exec", "true", ...named], { environment })).status).toBe(125);
  });

  test("a drive that another process uses, or that is given twice", async () => {
    const drive = join(temporaryDirectory(), "disk.img");
    writeFileSync(drive, Buffer.alloc(4096));
    const environment = emptyHome();
    const twice = await runElvisor(["run", "--drive", drive, "--drive", drive], { environment });
    expectSentence(twice, /The drive \S+disk\.img is given twice/);
    expect(twice.status).toBe(2);
    // Process 1 lives as long as this test.
    writeFileSync(`${drive}.lock`, JSON.stringify({ pid: 1, started: "", host: hostname() }));
    const outcome = await runElvisor(["run", "--drive", drive], { environment });
    expectSentence(outcome, /The drive \S+disk\.img is in use by another elvisor \(process 1\)/);
    expect(outcome.status).toBe(1);
  });
});

describe("what the machine says", () => {
  const kernel = () => {
    const path = join(temporaryDirectory(), "Image");
    writeFileSync(path, "kernel");
    return path;
  };
  /** A machine that ends at once, after saying something. */
  const machine =
    (
      reason: Awaited<ReturnType<Awaited<ReturnType<VirtualMachineFactory>>["run"]>> | "never",
      text = "",
    ): VirtualMachineFactory =>
    async (options) => {
      let stopped: () => void = () => {};
      const stop = new Promise<void>((resolve) => {
        stopped = resolve;
      });
      const input = { send: async () => {} };
      return {
        serial: input,
        console: undefined,
        ports: new Map(),
        publishedPorts: [],
        guest: NO_GUEST_TOOLS,
        pace: HOST_PACE,
        run: async () => {
          await options.serial(Buffer.from(text));
          if (reason !== "never") return reason;
          await stop;
          return { kind: "stopped" };
        },
        stop: () => stopped(),
        stats: () => ({ instructions: 7 }),
      };
    };

  test("power-off is success, and the output is the guest's", async () => {
    const outcome = await runElvisor(["run", "--kernel", kernel()], {
      createMachine: machine({ kind: "power-off" }, "hello\r\n"),
    });
    expect(outcome).toEqual({ status: 0, stdout: Buffer.from("hello\r\n"), stderr: "" });
  });

  test("a failure is a sentence and status 1", async () => {
    const outcome = await runElvisor(["run", "--kernel", kernel()], {
      createMachine: machine({ kind: "failed", sentence: "It broke." }),
    });
    expect(outcome).toMatchObject({ status: 1, stderr: "elvisor: It broke.\n" });
  });

  test("a panic shows its last lines and fails", async () => {
    const text =
      "[1.0] Kernel panic - not syncing: No working init found.\r\n[1.1] ---[ end Kernel panic - not syncing: No working init found. ]---\r\n";
    const outcome = await runElvisor(["run", "--kernel", kernel()], {
      createMachine: machine("never", text),
    });
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toMatch(
      /^elvisor: The guest's kernel panicked:\n\[1\.0\] Kernel panic - not syncing/,
    );
  });

  test("--timeout ends it with status 124", async () => {
    const outcome = await runElvisor(["run", "--kernel", kernel(), "--timeout", "0.2"], {
      createMachine: machine("never"),
    });
    expect(outcome.status).toBe(124);
    expectSentence(outcome, /still running after 0\.2 seconds/);
  });

  test("--stats writes what the machine counts", async () => {
    const file = join(temporaryDirectory(), "stats.json");
    const createMachine = machine({ kind: "power-off" });
    expect((await runElvisor(["run", "--kernel", kernel(), "--stats", file], { createMachine })).status).toBe(
      0,
    );
    expect(
      JSON.parse(String(await import("node:fs").then(({ readFileSync }) => readFileSync(file)))),
    ).toEqual({ instructions: 7 });
    const outcome = await runElvisor(["run", "--kernel", kernel(), "--stats", "/nonexistent/s"], {
      createMachine,
    });
    expect(outcome.status).toBe(1);
    expectSentence(outcome, /The statistics cannot be written to \/nonexistent\/s/);
  });
});

describe("the tools", () => {
  test("help and version succeed, on stdout", async () => {
    for (const words of [
      ["--help"],
      ["help"],
      ["help", "run"],
      ["run", "--help"],
      ["pull", "--help"],
      ["asm", "--help"],
    ]) {
      const { status, stdout, stderr } = await runElvisor(words);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout.toString()).toMatch(/^Usage: elvisor.*Examples:\n {2}elvisor /s);
    }
    expect((await runElvisor(["--version"])).stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("dtb writes a tree that dtc reads", async () => {
    const { status, stdout } = await runElvisor([
      "dtb",
      "--cpus",
      "3",
      "--memory",
      "1G",
      "--append",
      "quiet",
    ]);
    const source = runHostProgram("dtc", ["-I", "dtb", "-O", "dts"], { input: stdout }).stdout.toString();
    expect(status).toBe(0);
    expect(source).toContain('bootargs = "quiet"');
    expect(source.match(/device_type = "cpu"/g)).toHaveLength(3);
  });

  test("asm and disasm undo each other", async () => {
    const listing = (await runElvisor(["asm", "add x0, x1, #1\nret"])).stdout.toString();
    expect(listing).toMatch(/^00000000: {2}91000420 {2}add x0, x1, #/);
    const again = await runElvisor(["disasm", "91000420", "0xd65f03c0"]);
    expect(again.stdout.toString()).toBe(listing);
    const binary = join(temporaryDirectory(), "a.bin");
    await runElvisor(["asm", "-", "-o", binary], { input: "add x0, x1, #1\nret\n" });
    expect((await runElvisor(["disasm", binary])).stdout.toString()).toBe(listing);
    const wrong = await runElvisor(["asm", "frob x0"]);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/line 1/);
  });

  test("images lists what is there and what is not", async () => {
    const { status, stdout } = await runElvisor(["images"], { environment: emptyHome() });
    expect(status).toBe(0);
    expect(stdout.toString()).toMatch(/^Not here; fetch with elvisor pull NAME:\nkernel:6\.1-cloud/);
  });
});
