import { describe, expect, test } from "vitest";
import { EscapeKeys } from "./escape-keys.ts";
import { PanicWatch } from "./panic.ts";
import { TerminalModes } from "./terminal.ts";

describe("TerminalModes", () => {
  const restoration = (...pieces: string[]): string => {
    const modes = new TerminalModes();
    for (const piece of pieces) modes.watch(Buffer.from(piece));
    return modes.restoration();
  };

  test("a guest that left nothing changed gives only colours back", () => {
    expect(restoration("text\r\n")).toBe("\x1b[0m");
    expect(restoration("\x1b[?1049h\x1b[?25l...\x1b[?1049l\x1b[?25h\r\n")).toBe("\x1b[0m");
  });

  test("what was switched is switched back", () => {
    expect(restoration("\x1b[?1049h\x1b[?1000;1006h\x1b[?25l\n")).toBe(
      "\x1b[0m\x1b[?1049l\x1b[?1000l\x1b[?1006l\x1b[?25h",
    );
  });

  test("sequences may come in pieces", () => {
    const text = "abc\x1b[?2004h def\x1b[?25l\n";
    for (let cut = 0; cut <= text.length; cut++) {
      expect(restoration(text.slice(0, cut), text.slice(cut))).toBe("\x1b[0m\x1b[?2004l\x1b[?25h");
    }
  });

  test("an unfinished line is finished", () => {
    expect(restoration("~ # ")).toBe("\x1b[0m\r\n");
  });
});

describe("EscapeKeys", () => {
  const split = (...pieces: string[]) => {
    const keys = new EscapeKeys();
    return pieces
      .flatMap((piece) => keys.split(Buffer.from(piece, "latin1")))
      .map((part) =>
        part.kind === "bytes" ? Buffer.from(part.bytes).toString("latin1") : { command: part.kind },
      );
  };

  test.each<[string, string[], unknown[]]>([
    ["passes everything else", ["abc\x00\xff"], ["abc\x00\xff"]],
    ["finds commands", ["a\x01xb"], ["a", { command: "quit" }, "b"]],
    ["takes capitals", ["\x01H\x01S"], [{ command: "help" }, { command: "statistics" }]],
    ["across pieces", ["a\x01", "x"], ["a", { command: "quit" }]],
    ["sends Ctrl-A when doubled", ["a\x01\x01b"], ["a", "\x01b"]],
    ["sends Ctrl-A when doubled across pieces", ["\x01", "\x01", "\x01", "\x01"], ["\x01", "\x01"]],
    ["drops what means nothing", ["a\x01zb"], ["a", "b"]],
  ])("%s", (_, pieces, expected) => {
    expect(split(...pieces)).toEqual(expected);
  });
});

describe("PanicWatch", () => {
  const text =
    "a line\r\n[1.5] Kernel panic - not syncing: x\r\n[1.6] Call trace:\r\n[1.7] ---[ end Kernel panic - not syncing: x ]---\r\n";

  test("calls once, when all is said, however it comes", () => {
    for (let cut = 0; cut <= text.length; cut++) {
      let calls = 0;
      const watch = new PanicWatch(() => calls++);
      for (const piece of [text.slice(0, cut), text.slice(cut), "more\n"]) watch.watch(Buffer.from(piece));
      expect(calls).toBe(1);
    }
  });

  test("keeps the last lines, without control characters", () => {
    const watch = new PanicWatch(() => {});
    watch.watch(Buffer.from(`${"old line\n".repeat(5000)}\x1b[31mred\x07\n`));
    watch.watch(Buffer.from(text));
    expect(watch.lastLines().slice(-5)).toEqual(["[31mred", "a line", ...text.split("\r\n").slice(1, 4)]);
    expect(watch.lastLines()).toHaveLength(25);
  });

  const facts = { memoryBytes: 40 * 2 ** 20, initrd: "my.img" };

  test("names the memory where that was too little", () => {
    const watch = new PanicWatch(() => {});
    watch.watch(Buffer.from("[2.0] Kernel panic - not syncing: System is deadlocked on memory\r\n"));
    const sentence =
      "The guest's kernel panicked because 40 MiB of memory were too little; give more with --memory";
    expect(watch.report(facts)).toBe(`${sentence}:\n${watch.lastLines().join("\n")}`);
    expect(watch.shortReport(facts)).toBe(`${sentence}; its last lines are above.`);
  });

  test("names the initrd that the kernel refused, however long ago", () => {
    const watch = new PanicWatch(() => {});
    watch.watch(Buffer.from("[0.9] Initramfs unpacking failed: junk within compressed archive\r\n"));
    watch.watch(Buffer.from("[1.0] more\r\n".repeat(5000)));
    watch.watch(Buffer.from(text));
    const sentence =
      "The guest's kernel panicked because it could not unpack the initrd my.img; make or fetch it again";
    expect(watch.shortReport(facts)).toBe(`${sentence}; its last lines are above.`);
    expect(watch.shortReport({ ...facts, initrd: undefined })).toBe(
      "The guest's kernel panicked; its last lines are above.",
    );
  });

  test("does not call for anything else", () => {
    const watch = new PanicWatch(() => {
      throw new Error("no panic");
    });
    watch.watch(Buffer.from("Kernel panic - not syncing: yet\n".repeat(1000)));
    expect(watch.lastLines().length).toBeGreaterThan(0);
  });
});
