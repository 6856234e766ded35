import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createVirtualMachine } from "../../src/machine/virtual-machine.ts";
import type { VirtualMachineFactory } from "../../src/machine/virtual-machine-interface.ts";
import { NODE_TIME } from "../../src/node/create-machine.ts";
import { nodeNetwork } from "../../src/node/network/node-network.ts";
import { type Guest, startGuest } from "../support/guest.ts";
import { dnsServer, httpServer, type TestServer, tcpServer } from "../support/network-servers.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const MEBIBYTE = 2 ** 20;
const SIZE = (FULL ? 500 : 20) * MEBIBYTE;
/** Seconds for which a reader stalls. */
const STALL = FULL ? 60 : 4;
const PARALLEL = 200;
const LIMIT = FULL ? 3_600_000 : 900_000;
const SECONDS = FULL ? 1500 : 240;

const random = Random.ofThisRun();
const words = new Uint32Array(SIZE / 4);
for (let index = 0; index < words.length; index++) words[index] = random.u32();
const DATA = new Uint8Array(words.buffer);
const DIGEST = createHash("md5").update(DATA).digest("hex");

const servers: TestServer[] = [];
let guest: Guest;

async function serve(server: Promise<TestServer>): Promise<number> {
  servers.push(await server);
  return servers.at(-1)!.port;
}

/** The digest of what each connection brought, once it has ended. */
function digestServer(delay = 0): { port: Promise<number>; digests: string[] } {
  const digests: string[] = [];
  const port = serve(
    tcpServer((socket) => {
      const hash = createHash("md5");
      socket.pause();
      setTimeout(() => socket.resume(), delay);
      socket.on("data", (bytes) => void hash.update(bytes));
      socket.on("end", () => {
        digests.push(hash.digest("hex"));
        socket.end(`${digests.at(-1)}\n`);
      });
    }),
  );
  return { port, digests };
}

beforeAll(async () => {
  const web = await serve(httpServer(() => Buffer.from("by name\n")));
  const dns = await serve(dnsServer({ "name.test": "10.0.2.2" }));
  const factory: VirtualMachineFactory = (options) =>
    createVirtualMachine(options, NODE_TIME, nodeNetwork({ nameServers: [`127.0.0.1:${dns}`] }));
  guest = await startGuest({
    kernel: "kernel:6.1-cloud",
    factory,
    engine: "translator",
    memoryMebibytes: FULL ? 1536 : 512,
    net: { publish: ["0:7777", "0:7778/udp"] },
  });
  await guest.ready();
  await guest.output("until route -n | grep -q ^0.0.0.0; do sleep 0.2; done; mount -o remount,size=80% /tmp");
  await guest.output(`echo ${web} >/tmp/web`);
}, LIMIT);

afterAll(async () => {
  await guest?.stop();
  for (const server of servers) server.close();
});

describe("a guest with the user-mode network", () => {
  test("has its address by DHCP, a gateway that answers, and a resolver", { timeout: LIMIT }, async () => {
    console.log(`network seed ${random.seed}`);
    expect(await guest.output("ifconfig eth0")).toContain("inet addr:10.0.2.15  Bcast:10.0.2.255");
    expect(await guest.output("cat /etc/resolv.conf")).toBe("nameserver 10.0.2.3\n");
    expect(await guest.output("ping -c 3 -i 0.2 10.0.2.2")).toContain("3 packets received, 0% packet loss");
    expect(await guest.output("nslookup -type=a name.test")).toContain("Address: 10.0.2.2");
    expect((await guest.run("nslookup -type=a other.test")).output).toContain("NXDOMAIN");
    expect(await guest.output("wget -q -O - http://name.test:$(cat /tmp/web)/")).toBe("by name\n");
  });

  test("has an IPv6 address, and reaches the host's loopback over it", { timeout: LIMIT }, async () => {
    const web = await serve(httpServer(() => Buffer.from("over IPv6\n"), "::1"));
    await guest.output("until grep -q ^fd00001000000002.*00.*eth0 /proc/net/if_inet6; do sleep 0.2; done");
    await guest.output("until ping -c 1 -w 1 fd00:10:0:2::2; do sleep 0.2; done");
    expect(await guest.output(`wget -q -O - 'http://[fd00:10:0:2::2]:${web}/'`)).toBe("over IPv6\n");
  });

  test(`transfers ${SIZE / MEBIBYTE} MiB both ways unchanged`, { timeout: LIMIT }, async () => {
    const web = await serve(httpServer(() => DATA));
    const note = `seed ${random.seed}`;
    await guest.output(`wget -q -O /tmp/data http://10.0.2.2:${web}/`, SECONDS);
    expect(await guest.output("md5sum </tmp/data", SECONDS), note).toContain(DIGEST);
    const { port, digests } = digestServer();
    const answer = await guest.output(`nc 10.0.2.2 ${await port} </tmp/data && rm /tmp/data`, SECONDS);
    expect(answer, note).toBe(`${DIGEST}\n`);
    expect(digests).toEqual([DIGEST]);
  });

  test(`has ${PARALLEL} connections at once`, { timeout: LIMIT }, async () => {
    let waiting: (() => void)[] = [];
    let most = 0;
    const web = await serve(
      httpServer(async (path) => {
        // Nobody is answered before all have asked.
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          most = Math.max(most, waiting.length);
          if (waiting.length < PARALLEL) return;
          for (const go of waiting) go();
          waiting = [];
        });
        return Buffer.from(`${path.slice(1)}\n`.repeat(20));
      }),
    );
    const script = `for i in $(seq ${PARALLEL}); do wget -q -O /tmp/r$i http://10.0.2.2:${web}/$i & done; wait; cat /tmp/r* | sort -n | uniq -c | awk '$1 == 20' | wc -l; rm /tmp/r*`;
    expect(await guest.output(script, SECONDS)).toBe(`${PARALLEL}\n`);
    expect(most).toBe(PARALLEL);
  });

  test(`a reader that stalls for ${STALL} seconds loses nothing, on either side`, {
    timeout: LIMIT,
  }, async () => {
    const { port } = digestServer(STALL * 1000);
    const web = await serve(httpServer(() => DATA.subarray(0, 6 * MEBIBYTE)));
    const digest = createHash("md5")
      .update(DATA.subarray(0, 6 * MEBIBYTE))
      .digest("hex");
    const url = `http://10.0.2.2:${web}/`;
    expect(await guest.output(`wget -q -O - ${url} | nc 10.0.2.2 ${await port}`, SECONDS)).toBe(
      `${digest}\n`,
    );
    expect(await guest.output(`wget -q -O - ${url} | (sleep ${STALL}; md5sum)`, SECONDS)).toContain(digest);
  });

  test("half-closed connections still carry what the other side says", { timeout: LIMIT }, async () => {
    const port = await serve(
      tcpServer((socket) => {
        let heard = "";
        socket.on("data", (bytes) => {
          heard += bytes.toString();
        });
        // Long after the guest has ended.
        socket.on("end", () => setTimeout(() => socket.end(`heard ${heard}`), 500));
      }),
    );
    expect(await guest.output(`echo all of it | nc 10.0.2.2 ${port}`)).toBe("heard all of it\n");
  });

  test("resets, refusals and unknown hosts are the guest's to see", { timeout: LIMIT }, async () => {
    const port = await serve(tcpServer((socket) => socket.once("data", () => socket.resetAndDestroy())));
    const reset = await guest.run(`wget -q -O - http://10.0.2.2:${port}/`, SECONDS);
    expect([reset.status, reset.output]).toEqual([
      1,
      expect.stringMatching(/reset by peer|error getting response/i),
    ]);
    const closed = await tcpServer(() => {});
    closed.close();
    expect((await guest.run(`wget -O - http://10.0.2.2:${closed.port}/`, SECONDS)).output).toContain(
      "Connection refused",
    );
    expect((await guest.run("wget -O - http://10.0.2.99/", SECONDS)).output).toMatch(/No route to host/);
    expect((await guest.run("ping -c 1 -W 1 10.0.2.99", SECONDS)).status).toBe(1);
  });

  test("published ports lead in, TCP and UDP", { timeout: LIMIT }, async () => {
    const [tcp, udp] = guest.machine.publishedPorts;
    await guest.output("nc -l -p 7777 -e md5sum & until netstat -ltn | grep -q :7777; do :; done", SECONDS);
    const socket = connect({ port: tcp!.hostPort, host: "127.0.0.1", allowHalfOpen: true });
    const answer = collect(socket);
    socket.end(DATA.subarray(0, MEBIBYTE));
    expect(await answer).toContain(createHash("md5").update(DATA.subarray(0, MEBIBYTE)).digest("hex"));
    const web = await serve(httpServer(() => udpEcho()));
    const start = "chmod +x /tmp/echo; /tmp/echo 7778 & until netstat -lun | grep -q :7778; do :; done";
    await guest.output(`wget -q -O /tmp/echo http://10.0.2.2:${web}/; ${start}`, SECONDS);
    const client = createSocket("udp4");
    const reply = new Promise<string>((resolve) =>
      client.once("message", (bytes) => resolve(bytes.toString())),
    );
    client.send("hello", udp!.hostPort, "127.0.0.1");
    expect(await reply).toBe("hello");
    client.close();
  });

  test("keeps nothing of what is over", { timeout: LIMIT }, async () => {
    await expect.poll(() => guest.machine.stats()["networkConnections"], { timeout: 20_000 }).toBe(0);
    expect(guest.machine.stats()["networkDroppedFrames"]).toBe(0);
  });
});

test("the 6.12 kernel has the card, too, over PCI, with a policy", { timeout: LIMIT }, async () => {
  const web = await serve(httpServer(() => DATA.subarray(0, 4 * MEBIBYTE)));
  const other = await serve(httpServer(() => Buffer.from("forbidden")));
  const second = await startGuest({
    kernel: "kernel:6.12-cloud",
    engine: "translator",
    virtioBus: "pci",
    cpus: 2,
    net: { allow: [`localhost:${web}`] },
  });
  try {
    await second.ready();
    await second.output("until route -n | grep -q ^0.0.0.0; do sleep 0.2; done");
    expect(await second.output("readlink -f /sys/class/net/eth0/device")).toMatch(/\/pci0000:00\//);
    const digest = createHash("md5")
      .update(DATA.subarray(0, 4 * MEBIBYTE))
      .digest("hex");
    expect(await second.output(`wget -q -O - http://10.0.2.2:${web}/ | md5sum`, SECONDS)).toContain(digest);
    // Linux takes a pair of queues for each processor, and tells the card so.
    const queues = await second.output("ls -d /sys/class/net/eth0/queues/*");
    expect(queues.match(/[rt]x-\d/g)?.sort()).toEqual(["rx-0", "rx-1", "tx-0", "tx-1"]);
    // Whatever came by the card came with a message-signalled interrupt of its own.
    const interrupts = await second.output("grep -E 'virtio[0-9]+-(input|output)' /proc/interrupts");
    expect(interrupts).toMatch(/ITS-(PCI-)?MSI.*input/);
    expect(interrupts.match(/virtio\d+-(in|out)put\.\d/g)?.length).toBe(4);
    expect((await second.run(`wget -O - http://10.0.2.2:${other}/`)).output).toContain("Connection refused");
    expect((await second.run("nslookup -type=a name.test")).output).toContain("REFUSED");
  } finally {
    await second.stop();
  }
});

/** A program for the guest that sends each datagram to its port back to where it came from. */
function udpEcho(): Buffer {
  const source = `
    #include <arpa/inet.h>
    #include <stdlib.h>
    int main(int count, char **words) {
      struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(words[1])) };
      int port = socket(AF_INET, SOCK_DGRAM, 0);
      if (bind(port, (void *)&address, sizeof address)) return 1;
      for (;;) {
        char bytes[2000];
        socklen_t size = sizeof address;
        ssize_t length = recvfrom(port, bytes, sizeof bytes, 0, (void *)&address, &size);
        sendto(port, bytes, length, 0, (void *)&address, size);
      }
    }`;
  const program = join(temporaryDirectory(), "echo");
  execFileSync("aarch64-linux-gnu-gcc", ["-static", "-Os", "-s", "-x", "c", "-o", program, "-"], {
    input: source,
  });
  return readFileSync(program);
}

function collect(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
    });
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
}
