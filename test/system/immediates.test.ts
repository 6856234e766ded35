import { describe, expect, it } from "vitest";
import { BareMachine } from "./bare-machine.ts";
import { immediateProgram } from "./immediate-program.ts";
import { runOnQemu } from "./qemu.ts";

describe("BRK and HLT", () => {
  it("with all 65,536 immediates raise QEMU's exceptions, from EL1 and EL0", async () => {
    const program = immediateProgram();
    const theirs = await runOnQemu(program, { timeoutSeconds: 120 });
    const ours = new BareMachine(program).run(4e7);
    expect(theirs.trim().split("\n")).toHaveLength(4);
    expect(ours).toBe(theirs);
  });
});
