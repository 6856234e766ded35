import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { debianWithTools, FULL, LIMIT, outputOf, startDebian } from "../support/debian-guest.ts";
import { packageFiles } from "../support/debian-packages.ts";
import { Random } from "../support/random.ts";

const MEBIBYTE = 2 ** 20;
/** Every file below a directory with its hash, every link with its target, all with permissions and times. */
const LIST = `export LC_ALL=C
find . -type f -print0 | sort -z | xargs -0 sha256sum
find . -type l -printf '%p %l\\n' | sort
find . ! -type l -printf '%M %Ts %p\\n' | sort`;
/** Of a kernel's source: headers, file systems, networking and more, some with links. */
const PARTS = ["fs", "include", "kernel", "lib", "mm", "net", "scripts"] as const;
/** Files in these at least. */
const LEAST = 10_000;

describe.runIf(FULL)("files of Debian 12 and the host", () => {
  const random = Random.ofThisRun();
  const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  let machine: VirtualMachine;
  const output = (command: string): Promise<string> => outputOf(machine, command);

  beforeAll(async () => {
    console.log(`Debian's files seed ${random.seed}`);
    machine = await startDebian({ image: await debianWithTools(), shares: [`${folder}:/srv/of the host`] });
  }, LIMIT);
  afterAll(async () => {
    await machine?.close();
    rmSync(folder, { recursive: true });
  }, LIMIT);

  test("clones a repository of the host's", { timeout: LIMIT }, async () => {
    const repository = join(folder, "repository");
    const git = (...words: string[]): string =>
      execFileSync("git", ["-C", repository, "-c", "user.name=A", "-c", "user.email=a@b", ...words], {
        encoding: "utf8",
      });
    mkdirSync(repository);
    git("init", "-q");
    for (let commit = 0; commit < 20; commit++) {
      for (let file = 0; file < 50; file++)
        writeFileSync(
          join(repository, `${random.below(200)}`),
          `${random.u32()}\n`.repeat(random.below(500)),
        );
      git("add", ".");
      git("commit", "-q", "-m", `${commit}`);
    }
    const head = git("rev-parse", "HEAD");
    await output(
      `git config --global safe.directory '*' && git clone -q file:///srv/of\\ the\\ host/repository /root/clone`,
    );
    expect(await output("git -C /root/clone fsck --strict && git -C /root/clone rev-parse HEAD")).toBe(head);
  });

  test("large parts of a kernel's source go into the guest and back", { timeout: LIMIT }, async () => {
    const [source, back] = [join(folder, "source"), join(folder, "back")];
    mkdirSync(source);
    for (const archive of (await packageFiles("linux-source-6.1", /\.tar\.xz$/)).values())
      execFileSync("tar", ["-C", source, "-xJ", ...PARTS.map((part) => `linux-source-6.1/${part}`)], {
        input: archive,
      });
    const list = (directory: string): string =>
      execFileSync("sh", ["-c", LIST], { cwd: directory, encoding: "utf8", maxBuffer: 64 * MEBIBYTE });
    const listed = list(source);
    expect(listed.match(/^[0-9a-f]{64} /gm)?.length).toBeGreaterThan(LEAST);
    const began = performance.now();
    await output("cp -a '/srv/of the host/source' /root/source && sync");
    const middle = performance.now();
    await output("cp -a /root/source '/srv/of the host/back'");
    const end = performance.now();
    console.log(`${((middle - began) / 1000).toFixed(0)} s in, ${((end - middle) / 1000).toFixed(0)} s out`);
    expect(await output(`cd /root/source; ${LIST}`)).toBe(listed);
    expect(list(back)).toBe(listed);
  });
});
