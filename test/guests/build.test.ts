import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** It takes minutes, and packages from the mirror of this computer's apt. */
const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 3_600_000;
const MAIN = resolve("dist/src/node/cli/main.js");
const NAME = "elvisor-test:recipe";

const RECIPE = `base: debian:12
packages:
  - jq
files:
  - { from: tool, to: /usr/local/bin/, mode: 0755 }
  - { from: tree, to: /srv/tree }
commands:
  - tool >/root/said
  - |
    apt-get update
    apt-get install -y --no-install-recommends tree
`;

function elvisor(...words: readonly string[]) {
  return spawnSync(process.execPath, [MAIN, ...words], { encoding: "utf8", timeout: LIMIT });
}

test.runIf(FULL)("a recipe becomes an image that has all it says", { timeout: LIMIT }, () => {
  const folder = temporaryDirectory();
  mkdirSync(join(folder, "tree", "below"), { recursive: true });
  writeFileSync(join(folder, "tree", "below", "file"), "content\n");
  symlinkSync("below/file", join(folder, "tree", "link"));
  writeFileSync(join(folder, "tool"), "#!/bin/sh\necho the tool ran\n");
  writeFileSync(join(folder, "Elvisorfile"), RECIPE);
  try {
    const built = elvisor("build", folder, "--name", NAME);
    expect(built.status, built.stderr).toBe(0);
    expect(built.stderr).toMatch(/Elvisorfile:8: tool >\/root\/said/);
    // Nothing is new: the image stays.
    expect(elvisor("build", folder, "--name", NAME).stderr).not.toContain("Configuring");
    const look = [
      "cat /root/said",
      "jq -n '6*7'",
      "tree -fi --noreport /srv/tree",
      "cat /srv/tree/link",
      "stat -c '%a %U' /usr/local/bin/tool",
      "dpkg --audit",
      "systemctl --failed --no-legend",
      // The world's certificates, as a program that checks them sees them.
      "openssl verify -CApath /etc/ssl/certs /etc/ssl/certs/ISRG_Root_X1.pem",
    ].join(" && ");
    const seen = elvisor("run", NAME, "--rm", "--exec", look);
    expect([seen.stdout, seen.status]).toEqual([
      `the tool ran
42
/srv/tree
/srv/tree/below
/srv/tree/below/file
/srv/tree/link -> below/file
content
755 root
/etc/ssl/certs/ISRG_Root_X1.pem: OK
`,
      0,
    ]);
  } finally {
    elvisor("image", "remove", NAME);
  }
});
