import { describe, expect, test } from "vitest";
import { parseRecipe } from "./recipe.ts";

const WHOLE = `# A web server.
name: web:2
base: debian:12
packages:
  - nginx
  - libstdc++6
files:
  - from: site
    to: /var/www/html
  - { from: motd, to: /etc/, mode: 0644 }
commands:
  - useradd worker
  - |
    echo one
    echo two
`;

describe("parseRecipe()", () => {
  test("reads names, files and commands with their lines", () => {
    expect(parseRecipe(WHOLE, "Elvisorfile")).toEqual({
      name: { text: "web:2", where: "Elvisorfile:2" },
      base: { text: "debian:12", where: "Elvisorfile:3" },
      packages: [
        { text: "nginx", where: "Elvisorfile:5" },
        { text: "libstdc++6", where: "Elvisorfile:6" },
      ],
      files: [
        { from: "site", to: "/var/www/html", mode: undefined, where: "Elvisorfile:8" },
        { from: "motd", to: "/etc/", mode: 0o644, where: "Elvisorfile:10" },
      ],
      commands: [
        { text: "useradd worker", where: "Elvisorfile:12" },
        { text: "echo one\necho two\n", where: "Elvisorfile:13" },
      ],
    });
  });

  test("a base alone is enough; what looks like a number stays as it is written", () => {
    expect(parseRecipe("base: debian:12\npackages:\nname: 1.10\n", "r")).toEqual({
      name: { text: "1.10", where: "r:3" },
      base: { text: "debian:12", where: "r:1" },
      packages: [],
      files: [],
      commands: [],
    });
  });

  test.each([
    ["", "r:1: A recipe has lines of the form name: VALUE."],
    ["- a\n", "r:1: A recipe has lines of the form name: VALUE."],
    ["name: x\n", "r:1: The recipe names no base; add a line such as base: debian:12."],
    ["base: a\nbase: b\n", "r:2: This is not YAML (Map keys must be unique)."],
    [
      "base: a\nnames: b\n",
      'r:2: A recipe has no "names:"; it may have name, base, packages, files, commands.',
    ],
    ["base: [a]\n", "r:1: base must be text; put it in quotes."],
    [
      "base: a\npackages: nginx\n",
      'r:2: packages: is followed by a list; begin each of its lines with "- ".',
    ],
    ["base: a\npackages:\n- ok1\n- No Such\n", 'r:4: "No Such" cannot be the name of a package.'],
    ["base: a\ncommands:\n- {a: b}\n", "r:3: A command must be text; put it in quotes."],
    ["base: a\nfiles:\n- from: x\n", "r:3: An entry of files needs from: and to:."],
    [
      "base: a\nfiles:\n- from: x\n  to: etc\n",
      'r:4: "etc" is no absolute path in the guest, such as /etc/motd.',
    ],
    ["base: a\nfiles:\n- { from: x, to: /../y }\n", /r:3: "\/\.\.\/y" is no absolute path/],
    [
      "base: a\nfiles:\n- { from: x, to: /y, mode: rw }\n",
      'r:3: "rw" is no mode in octal digits, such as 0755.',
    ],
  ])("%j is refused with its line", (text, sentence) => {
    expect(() => parseRecipe(text, "r")).toThrow(sentence);
  });
});
