import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { debianWithTools, FULL, LIMIT, outputOf, startDebian } from "../support/debian-guest.ts";
import { checkImage, qemuImg } from "../support/image-files.ts";
import { Random } from "../support/random.ts";

describe.runIf(FULL)("a second disk of Debian 12", () => {
  const random = Random.ofThisRun();
  const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  const disk = join(folder, "disk.qcow2");
  let machine: VirtualMachine;
  const output = (command: string): Promise<string> => outputOf(machine, command);

  /** A job that reads all it wrote again and ends with a failure where that differs. */
  function job(name: string, more: string): string {
    return `fio --name=${name} --ioengine=libaio --iodepth=16 --direct=1 --randrepeat=0 --randseed=${random.u32()} --verify=crc32c --verify_fatal=1 --do_verify=1 --output-format=terse ${more}`;
  }

  beforeAll(async () => {
    console.log(`Debian's disk seed ${random.seed}`);
    qemuImg("create", "-f", "qcow2", disk, "1G");
    machine = await startDebian({ image: await debianWithTools(), drives: [disk] });
  }, LIMIT);
  afterAll(async () => {
    await machine?.close();
    rmSync(folder, { recursive: true });
  }, LIMIT);

  test("fio finds on the device what it wrote", { timeout: LIMIT }, async () => {
    await output(job("device", "--filename=/dev/vdb --rw=randwrite --bsrange=512-64k --size=128M"));
  });

  test("fio finds in files what it wrote, and file system and image are in order", {
    timeout: LIMIT,
  }, async () => {
    await output("mkfs.ext4 -q /dev/vdb && mount /dev/vdb /mnt");
    const files =
      "--directory=/mnt --numjobs=3 --nrfiles=10 --rw=randrw --bsrange=4k-128k --size=64M --fsync=32";
    await output(job("files", `${files} --group_reporting`));
    await output("umount /mnt && e2fsck -fn /dev/vdb");
    expect(checkImage(disk)).toEqual({ corruptions: 0, leaks: 0 });
  });
});
