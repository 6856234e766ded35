import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openShare } from "../../src/node/share/share.ts";
import { type Guest, startGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { GUEST_KERNELS } from "../support/guest-images.ts";
import { listTree } from "../support/list-tree.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const KERNELS = FULL ? GUEST_KERNELS : (["kernel:6.1-cloud"] as const);
const SECONDS = 600;

/** A tree with files of all sizes, odd names, permissions, times and links. */
function makeTree(root: string, random: Random): void {
  const directories = [root];
  for (let i = 0; i < (FULL ? 400 : 30); i++) {
    const path = join(random.pick(directories), `directory ${i}`);
    mkdirSync(path);
    if (path.length < 600) directories.push(path);
  }
  for (let i = 0; i < (FULL ? 6000 : 200); i++) {
    const names = [`file${i}`, `${i} ünïcödé`, `${"long-".repeat(40)}${i}`, `-${i}'"$\\`];
    const path = join(random.pick(directories), random.pick(names));
    const size = random.below(20) === 0 ? random.below(500_000) : random.below(9000);
    writeFileSync(path, Buffer.alloc(size, random.u32().toString(36)));
    chmodSync(path, random.pick([0o644, 0o600, 0o755, 0o444, 0o4755]));
    utimesSync(path, 1e9, 1_000_000_000 + random.below(500_000_000));
    if (random.below(5) === 0)
      symlinkSync(random.pick(["..", `file${i}`, "/etc/passwd", "nowhere"]), `${path}.l`);
  }
}

/** Commands, each of which must succeed in an empty directory of the share. */
const BEHAVIOUR: readonly string[] = [
  "echo one >a && mv a b && [ ! -e a ] && [ $(cat b) = one ]",
  "echo two >c && mv c b && [ $(cat b) = two ]",
  "exec 3>open; echo early >&3; rm open; echo late >&3; exec 3>&-; [ ! -e open ]",
  "echo kept >kept && { rm kept && [ $(cat) = kept ]; } <kept && [ ! -e kept ]",
  "mkdir d && cd d && rmdir ../d && ! ls x 2>/dev/null; cd ..",
  "mkdir -p p/q/r && touch p/q/r/f && ! rmdir p 2>/dev/null && mv p P && [ -f P/q/r/f ]",
  "ln -s P/q/r/f s && [ $(readlink s) = P/q/r/f ] && cat s && rm s && [ -f P/q/r/f ]",
  "ln P/q/r/f h && [ $(stat -c %h h) = 2 ] && echo x >h && [ $(cat P/q/r/f) = x ] && rm h && [ $(stat -c %h P/q/r/f) = 1 ]",
  "ln -s loop loop; ! cat loop 2>/dev/null",
  "ln -s / out && [ -d out/proc ] && rm out",
  "umask 027; touch m; mkdir md; [ $(stat -c %a m) = 640 ] && [ $(stat -c %a md) = 750 ]; umask 022",
  "chmod 4711 m && [ $(stat -c %a m) = 4711 ] && chown 1234:5678 m && [ $(stat -c %u:%g m) = 1234:5678 ]",
  "touch -d '2011-02-03 04:05:06' m && [ $(stat -c %Y m) = 1296705906 ]",
  "echo 0123456789 >t && truncate -s 4 t && [ $(cat t) = 0123 ] && truncate -s 1M t && [ $(stat -c %s t) = 1048576 ]",
  'echo a >ap; echo b >>ap; [ "$(cat ap)" = "$(printf \'a\\nb\')" ]',
  "dd if=/dev/urandom of=big bs=100k count=31 2>/dev/null && cp big big2 && cmp big big2 && sync && rm big2",
  "printf XX | dd of=big bs=1 seek=1500000 conv=notrunc 2>/dev/null && [ $(stat -c %s big) = 3174400 ]",
  "[ $(dd if=big bs=1 skip=1500000 count=2 2>/dev/null) = XX ]",
  "for i in $(seq 300); do : >n$i; done; [ $(ls n* | wc -l) = 300 ] && rm n*",
  "! mkdir P 2>/dev/null && ! (: >P) 2>/dev/null",
  "! mv P P/q 2>/dev/null && ! ln P hard 2>/dev/null",
  "touch $(printf %0255d 1) && ! touch $(printf %0256d 1) 2>/dev/null",
  "mkdir sticky && chmod 1777 sticky && [ $(stat -c %a sticky) = 1777 ]",
  "! mknod null c 1 3 2>/dev/null && ! mkfifo fifo 2>/dev/null",
  "(flock -n 9 && ! flock -n w true) 9>w; true",
  "df . >/dev/null && cd P/q && pwd >/dev/null && find . -name f | grep -q f && cd ../..",
];

async function mounted(guest: Guest): Promise<void> {
  // Debian's 6.12 kernels have it built in.
  await guest.output("modprobe virtiofs || grep virtiofs /proc/filesystems");
  await guest.output("mkdir -p /share /fixed && mount -t virtiofs share /share");
  await guest.output("mount -t virtiofs -o ro fixed /fixed");
}

test.each(KERNELS)(
  "a tree both ways, POSIX behaviour, a share that is only read (%s)",
  { timeout: 1_800_000 },
  async (kernel) => {
    const random = Random.ofThisRun();
    console.log(`share seed ${random.seed}`);
    const folder = temporaryDirectory();
    const [root, fixed] = [join(folder, "share"), join(folder, "fixed")];
    mkdirSync(root);
    mkdirSync(fixed);
    mkdirSync(join(root, "tree"));
    makeTree(join(root, "tree"), random);
    writeFileSync(join(fixed, "a"), "constant");
    writeFileSync(join(fixed, "posix-calls"), compileForGuest("posix-calls.c"), { mode: 0o755 });
    const shares = [
      openShare({ directory: root, mountPoint: "/share", readOnly: false }, "share"),
      openShare({ directory: fixed, mountPoint: "/fixed", readOnly: true }, "fixed"),
    ];
    const guest = await startGuest({ kernel, shares });
    try {
      await guest.ready(400);
      await mounted(guest);
      await guest.output("cp -a /share/tree /tmp/tree && cp -a /tmp/tree /share/copy && sync", SECONDS);
      expect(listTree(join(root, "copy"))).toEqual(listTree(join(root, "tree")));
      await guest.output("mkdir /share/work && cd /share/work");
      for (const command of BEHAVIOUR) {
        const { output, status } = await guest.run(`cd /share/work; ${command}`, SECONDS);
        expect(`${status} ${output}`.startsWith("0"), `${command}: ${status} ${output}`).toBe(true);
      }
      const calls = await guest.run("/fixed/posix-calls /share/work", SECONDS);
      expect([calls.output, calls.status]).toEqual(["0\n", 0]);
      // What the host changes is seen, after a second at most.
      writeFileSync(join(root, "work/ap"), "from the host\n");
      expect(await guest.output("sleep 2; cat /share/work/ap")).toBe("from the host\n");
      expect(
        await guest.output("cat /fixed/a; ! touch /fixed/a 2>/dev/null && ! rm /fixed/a 2>/dev/null"),
      ).toBe("constant");
      expect((await guest.run("mount -o remount,rw /fixed; echo x >/fixed/a")).status).not.toBe(0);
      expect(readFileSync(join(fixed, "a"), "utf8")).toBe("constant");
      await guest.output("cd /; rm -r /share/tree /share/copy /share/work", SECONDS);
      expect(readdirSync(root)).toEqual([]);
      expect(statSync(root).isDirectory()).toBe(true);
      await guest.output("umount /share && mount -t virtiofs share /share && touch /share/again");
      expect(readdirSync(root)).toEqual(["again"]);
      expect(await guest.powerOff()).toEqual({ kind: "power-off" });
    } finally {
      await guest.stop();
      for (const share of shares) share.close();
    }
  },
);
