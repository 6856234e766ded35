import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startGuest } from "../support/guest.ts";
import { typeLine } from "../support/guest-console.ts";
import { busyboxFile } from "../support/guest-images.ts";
import { runHostProgram } from "../support/host-program.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const LIMIT = 400_000;
const SECONDS = 200;

/** What makes the files that the others read: integers, words, floating-point numbers. */
const PREPARATION = [
  "$B seq 1 1500 | $B awk '{ print $1 * 7919 % 10007, \"word\" $1 % 97, sin($1) * exp($1 / 300) }' >data",
  "$B sort -n data >sorted; $B cut -d ' ' -f 2 data >words; $B tr a-z A-Z <data >upper",
  "$B mkdir -p folder/inner; $B cp data folder/inner/copy; $B touch -d @1000000 folder/empty folder/inner/copy",
] as const;

/** Each is run in the guest and by qemu-aarch64 on the host; $B is busybox there. */
const COMMANDS = [
  "$B cat sorted | $B md5sum",
  "$B sort -k 2,2 -k 1,1nr data | $B sha1sum",
  "$B sort -g -k 3 data | $B head -n 40",
  "$B sort words | $B uniq -c | $B sort -rn | $B tail -n 30",
  "$B awk '{ s += $3; p = (p * 31 + $1) % 1000003 } END { printf \"%.15g %d\\n\", s, p }' data",
  "$B awk 'BEGIN { for (i = 1; i < 40; i++) printf \"%.17g %.17g %.17g %.17g\\n\", sqrt(i), log(i), cos(i), atan2(i, 7) }'",
  "$B awk 'BEGIN { for (i = 0; i < 30; i++) print 2 ^ i, int(-i / 3), i % 7, 1e300 * 10 ^ i }'",
  "$B sed -e 's/word\\([0-9]*\\)/<\\1>/' -e '3,$!d' data | $B sha256sum",
  "$B sed -n '/9\\{2\\}/p' data | $B wc",
  "$B grep -c 'word1[0-5] ' data; $B grep -E '^(12|34)[0-9]+ ' data | $B head -n 5; $B grep -v -n word data",
  "$B egrep -o '[0-9]+\\.[0-9]+' data | $B sha512sum",
  "$B sha3sum data; $B cksum data; $B sum data; $B crc32 data",
  "$B base64 data | $B tail -n 3; $B base64 data | $B base64 -d | $B cmp - data",
  "$B uuencode data data | $B tail -n 3; $B base32 words | $B md5sum",
  "$B od -A x -t x8 data | $B tail -n 5; $B hexdump -C data | $B head -n 5; $B xxd data | $B tail -n 3",
  "$B gzip -9 <data | $B gzip -d | $B cmp - data; $B gzip -1 <data | $B zcat | $B md5sum",
  "$B bzip2 -c data | $B bunzip2 -c | $B cmp - data; $B bzip2 -9 <data | $B md5sum",
  "$B lzop -c data | $B lzop -dc | $B md5sum; $B compress -c data | $B uncompress -c | $B md5sum",
  "$B tar -c folder | $B tar -t; $B tar -cz folder | $B tar -xzO folder/inner/copy | $B md5sum",
  "$B find folder | $B sort | $B cpio -o -H newc | $B cpio -t",
  "$B find folder -type f -size +1 -exec $B wc -c {} +; $B find folder -name 'c*' | $B xargs $B basename",
  "$B rev words | $B tac | $B nl | $B tail -n 4; $B fold -w 17 data | $B md5sum",
  "$B expand upper | $B unexpand -a | $B paste - - - | $B head -n 3",
  "$B head -n 20 data >a; $B tail -n 20 data >b; $B cat b >>a; $B diff data a | $B md5sum",
  "$B head -n 700 sorted >a; $B sed 's/9/nine/' a >b; $B diff -u a b >c; $B patch -i c a; $B cmp a b",
  "$B sort words | $B uniq >a; $B tail -n 50 a >b; $B comm -13 a b; $B comm -12 a b | $B wc -l",
  "$B factor 1234567891 9007199254740993 600851475143 1000036000099",
  "$B expr 123456789 '*' 987 % 1000; $B expr match abcdef 'abc\\(.*\\)'; $B expr length hello",
  "echo '12 7 3 * + p 5 k 2 v p 10 16 o p' | $B dc; echo 'scale=40; 4*a(1); 2^100' | $B bc -l",
  "$B printf '%s|%5d|%-8s|%x|%o|%.3f|%e\\n' one 42 two 255 8 3.14159 1234.5",
  "$B cal 2 2024; $B date -u -d @1700000000; $B date -u -d '2024-02-29 12:34:56' +%s:%j:%U:%a",
  "$B dd if=data bs=7 skip=3 count=50 conv=swab 2>&1 | $B md5sum; $B dd if=data of=a bs=512 conv=sync 2>&1 | $B wc -l",
  "$B split -l 400 data part; $B cat partaa partab partac partad | $B cmp - data; $B ls part*",
  "echo 'a b b c c d a e' | $B tsort; $B shuf -e one; $B seq -w 8 12; $B seq 1 0.25 2",
  "$B strings -n 6 data | $B wc -l; $B dos2unix <data | $B unix2dos | $B md5sum",
  "printf '2d\\n1,3p\\n$p\\nq\\n' | $B ed a 2>/dev/null | $B head -n 6; $B truncate -s 100 a; $B wc -c a",
  "$B ipcalc -bnm 192.168.17.99/22; $B basename /a/b.c .c; $B dirname /a/b.c; $B realpath folder/../data | $B wc -l",
  "$B sh -c 'i=0; x=7; while [ $i -lt 3000 ]; do x=$(( (x * 1103515245 + 12345) % 2147483648 )); i=$((i + 1)); done; echo $x'",
  "$B sh -c 'f() { if [ $1 -lt 2 ]; then r=$1; else f $(($1 - 1)); local a=$r; f $(($1 - 2)); r=$((r + a)); fi; }; f 13; echo $r'",
  "$B test -f data && echo yes; $B false; echo $?; $B env -i A=1 $B env; $B cut -c 2-4 words | $B head -n 3",
  "$B stat -c '%s %f %Y' folder/inner/copy; $B chmod 640 a; $B stat -c %A a; $B ln -s data link; $B readlink link",
] as const;

/** Prints each command's output after its number, and its status. */
function script(busybox: string, folder: string): string {
  const steps = COMMANDS.map((command, index) => `echo "== ${index}"\n{ ${command}\n} 2>&1\necho "-> $?"`);
  return `B='${busybox}'\ncd ${folder} || exit\nexport LC_ALL=C TZ=UTC\n${PREPARATION.join("\n")}\n${steps.join("\n")}\n`;
}

/** Outputs by command. */
function answers(text: string): Record<string, string> {
  const parts = text.split(/^== (\d+)\n/m).slice(1);
  return Object.fromEntries(COMMANDS.map((command, index) => [command, parts[2 * index + 1] ?? "none"]));
}

test(
  "busybox's applets answer in the guest what they answer under qemu-aarch64",
  async () => {
    const folder = temporaryDirectory();
    const program = join(folder, "busybox");
    writeFileSync(program, (await busyboxFile()).bytes, { mode: 0o755 });
    const input = Buffer.from(script(`qemu-aarch64 ${program}`, folder));
    const { stdout, status } = runHostProgram("qemu-aarch64", [program, "sh", "-s"], {
      input,
      seconds: SECONDS,
    });
    expect(status).toBe(0);

    const guest = await startGuest({ kernel: "kernel:6.1-cloud" });
    try {
      await guest.ready();
      await guest.output("mkdir /tmp/work");
      await typeLine(
        guest.input,
        `cat >/tmp/script <<'END OF SCRIPT'\n${script("busybox", "/tmp/work")}END OF SCRIPT`,
      );
      const output = await guest.output("sh /tmp/script </dev/null", SECONDS);
      expect(answers(output)).toEqual(answers(stdout.toString("latin1")));
    } finally {
      await guest.stop();
    }
  },
  LIMIT,
);
