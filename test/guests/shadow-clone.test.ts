import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { VirtualMachineFactory } from "../../src/machine/virtual-machine-interface.ts";
import { createMachine } from "../../src/node/create-machine.ts";
import { openShare } from "../../src/node/share/share.ts";
import { startGuest } from "../support/guest.ts";
import { unpackedPackages } from "../support/guest-packages.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** Minutes, and git from Debian's mirror. */
const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 3_600_000;
const SECONDS = 1800;
/** Least number of translations and of markers that must have been compared with walks. */
const LEAST = 100_000;

const WANTED = /^usr\/(bin\/git(-upload-pack)?$|lib\/git-core\/git$|lib\/(?!.*(gconv|engines|perl)).*\.so)/;

/** Every answer of the shadow tables is compared with a walk; a difference would end the machine as our defect. */
const checked: VirtualMachineFactory = (options) =>
  createMachine({ ...options, engine: "translator", mmu: "shadow", tlbi: "incremental", mmuCheck: true });

/** A repository with a history, packed. Returns its newest commit. */
function makeRepository(path: string, random: Random): string {
  const git = (...words: string[]): string =>
    execFileSync("git", ["-C", path, "-c", "user.name=A", "-c", "user.email=a@b", ...words], {
      encoding: "utf8",
    });
  mkdirSync(path);
  git("init", "-q");
  for (let commit = 0; commit < 30; commit++) {
    for (let file = 0; file < 60; file++)
      writeFileSync(join(path, `${random.below(400)}`), `${random.u32()}\n`.repeat(random.below(800)));
    git("add", ".");
    git("commit", "-q", "-m", `${commit}`);
  }
  git("gc", "-q");
  return git("rev-parse", "HEAD");
}

test.runIf(FULL)(
  "git clone under shadow tables, each of their answers checked",
  {
    timeout: LIMIT,
  },
  async () => {
    const random = Random.ofThisRun();
    console.log(`clone seed ${random.seed}`);
    const folder = temporaryDirectory();
    const head = makeRepository(join(folder, "repository"), random);
    const share = openShare({ directory: folder, mountPoint: "/share", readOnly: true }, "share");
    const guest = await startGuest({
      kernel: "kernel:6.1-cloud",
      factory: checked,
      memoryMebibytes: 1024,
      shares: [share],
      initialFiles: await unpackedPackages(["git"], "debian", (path) => WANTED.test(path)),
    });
    try {
      await guest.ready(SECONDS);
      await guest.output("modprobe virtiofs && mkdir -p /debian/share /debian/dev /debian/tmp /debian/proc");
      await guest.output("mount -t virtiofs -o ro share /debian/share");
      await guest.output("mount --bind /dev /debian/dev && mount -t proc proc /debian/proc");
      await guest.output("cp /bin/busybox /debian/usr/bin/sh");
      const git = "HOME=/tmp chroot /debian git -c safe.directory='*'";
      await guest.output(`${git} clone -q --no-local file:///share/repository /tmp/clone`, SECONDS);
      await guest.output(`${git} -C /tmp/clone fsck --strict`, SECONDS);
      expect(await guest.output(`${git} -C /tmp/clone rev-parse HEAD`, SECONDS)).toBe(head);
      const statistics = guest.machine.stats();
      console.log(
        `${statistics["checkedTranslations"]} checked, ${statistics["shadowFaults"]} faults by markers, ${statistics["shadowMisses"]} walks`,
      );
      expect(statistics["checkedTranslations"]).toBeGreaterThan(LEAST);
      expect(statistics["shadowFaults"]).toBeGreaterThan(0);
      expect(statistics["shadowLostUpdates"]).toBe(0);
    } finally {
      await guest.stop();
      share.close();
    }
  },
);
