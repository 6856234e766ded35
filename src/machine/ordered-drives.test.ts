import { describe, expect, test } from "vitest";
import type { BlockStore } from "../devices/storage/block-store.ts";
import { OrderedDrives } from "./ordered-drives.ts";

const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function slowStore(log: string[], milliseconds: (offset: number) => number): BlockStore {
  const later = (what: string, offset: number): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(() => {
        log.push(`${what} ${offset}`);
        resolve();
      }, milliseconds(offset));
    });
  return {
    size: 4096,
    readOnly: false,
    serial: "slow",
    read: (offset) => later("read", offset),
    write: (offset) => later("write", offset),
    flush: () => Promise.reject(new Error("no medium")),
  };
}

describe("OrderedDrives", () => {
  test("does operations one after the other, however long each takes", async () => {
    const log: string[] = [];
    const drives = new OrderedDrives();
    const one = drives.inOrder(slowStore(log, (offset) => (offset === 0 ? 20 : 0)));
    const other = drives.inOrder(slowStore(log, () => 0));
    const bytes = new Uint8Array(512);
    expect(drives.busy).toBe(false);
    void one.read(0, bytes);
    void other.write(512, bytes);
    void one.read(1024, bytes);
    expect(drives.busy).toBe(true);
    await drives.settle(breathe);
    expect(log).toEqual(["read 0", "write 512", "read 1024"]);
    expect(drives.busy).toBe(false);
  });

  test("waits for what an operation's end starts, and passes failures on", async () => {
    const log: string[] = [];
    const drives = new OrderedDrives();
    const store = drives.inOrder(slowStore(log, () => 1));
    let failure = "";
    void Promise.resolve(store.flush()).catch((error: Error) => {
      failure = error.message;
      void store.read(0, new Uint8Array(512));
    });
    await drives.settle(breathe);
    expect(failure).toBe("no medium");
    expect(log).toEqual(["read 0"]);
  });
});
