import { spawn } from "node:child_process";
import { isIPv6 } from "node:net";
import { platform } from "node:process";
import type { EchoOutcome } from "../../network/host-network.ts";

/** Seconds to wait for an answer, and milliseconds after which the program is given up. */
const PATIENCE = 4;
const LIMIT = 10_000;
const MOST_OUTPUT = 4096;

/**
 * Asks for echoes by the host's `ping`, where it has one: Node.js has no sockets for ICMP. The programs of iputils and
 * of busybox are known, which Linux has; there both end with 0 when an answer came and 1 when none did.
 */
export class EchoProgram {
  readonly #program: string;
  #isMissing = platform !== "linux";

  constructor(program = "ping") {
    this.#program = program;
  }

  /** `address` is one in numbers. */
  ask(address: string): Promise<EchoOutcome> {
    if (this.#isMissing) return Promise.resolve("impossible");
    const version = isIPv6(address) ? "-6" : "-4";
    const child = spawn(this.#program, [version, "-q", "-c", "1", "-W", String(PATIENCE), address], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, LC_ALL: "C" },
      timeout: LIMIT,
    });
    // A machine that ends does not wait for answers.
    child.unref();
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      if ("unref" in stream && typeof stream.unref === "function") stream.unref();
      stream.setEncoding("latin1");
      stream.on("data", (text: string) => {
        output = (output + text).slice(0, MOST_OUTPUT);
      });
    }
    return new Promise((resolve) => {
      child.once("error", () => {
        this.#isMissing = true;
        resolve("impossible");
      });
      child.once("close", (status) => resolve(outcomeOf(status, output)));
    });
  }
}

function outcomeOf(status: number | null, output: string): EchoOutcome {
  if (status === 0) return "answered";
  // iputils counts the ICMP errors that came; both say so when there is no route.
  if (/\+\d+ errors|unreachable/i.test(output)) return "unreachable";
  return status === 1 && !/permitted|denied/i.test(output) ? "silent" : "impossible";
}
