import { expect, test } from "vitest";
import { VirtioDriver } from "../../../test/support/virtio-driver.ts";
import { attach } from "../../../test/support/virtio-machine.ts";
import { VirtioFileSystem } from "./file-system.ts";

test("requests are whole while another is under way, whatever their sizes", async () => {
  const seen: number[][] = [];
  const waiting: (() => void)[] = [];
  const device = new VirtioFileSystem("tag", {
    reset() {},
    handle(request) {
      // Those that begin with 1 take their time, and may look at all of the request until then.
      if (request[0] !== 1) {
        seen.push([...request]);
        return request.slice();
      }
      return new Promise((resolve) =>
        waiting.push(() => {
          seen.push([...request]);
          resolve(request.slice());
        }),
      );
    },
  });
  const { mmio, memory } = attach(device);
  const driver = new VirtioDriver(mmio, memory);
  driver.start([16, 16]);
  const ask = (first: number, length: number): Uint8Array => {
    const request = new Uint8Array(length).fill(first);
    driver.add(1, [request, 4096]);
    driver.notify(1);
    return request;
  };
  const slow = ask(1, 300);
  const others = [ask(2, 10), ask(3, 2000), ask(4, 20)];
  expect(seen).toEqual(others.map((request) => [...request]));
  for (const go of waiting.splice(0)) go();
  await new Promise((resolve) => setTimeout(resolve, 0));
  const last = ask(5, 3000);
  expect(seen.slice(3)).toEqual([[...slow], [...last]]);
});
