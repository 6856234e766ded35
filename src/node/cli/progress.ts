import { SingleBar } from "cli-progress";
import type { Progress } from "../images/download.ts";
import type { Host } from "./host.ts";

const MEBIBYTE = 2 ** 20;

/** Shows downloads on stderr: a bar on a terminal, one line a file elsewhere. */
export function stderrProgress(stderr: Host["stderr"]): Progress {
  const say = (sentence: string): void => {
    stderr.write(`elvisor: ${sentence}\n`);
  };
  if (!stderr.isTTY) {
    return {
      start: (label, total, done, unit) => {
        if (unit === "packages" || unit === "unpacked bytes") {
          say(unit === "packages" ? `${label} (${total} packages).` : `${label}.`);
          return;
        }
        const already = done > 0 ? `, ${mebibytes(done)} of them are here` : "";
        say(`Fetching ${label} (${mebibytes(total)} MiB${already}).`);
      },
      advance: () => {},
      stop: () => {},
      say,
    };
  }
  let bar: SingleBar | undefined;
  return {
    start: (label, total, done, unit) => {
      const amount = unit === "packages" ? `${total} packages` : `${mebibytes(total)} MiB`;
      bar = new SingleBar({
        format: `{label} [{bar}] {percentage}% of ${amount}, {eta_formatted} left`,
        stream: stderr,
        barsize: 24,
        hideCursor: false,
        clearOnComplete: false,
        gracefulExit: false,
      });
      bar.start(total, done, { label });
    },
    advance: (bytes) => bar?.increment(bytes),
    stop: () => {
      bar?.stop();
      bar = undefined;
    },
    say,
  };
}

function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(1);
}
