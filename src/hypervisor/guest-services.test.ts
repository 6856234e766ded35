import { describe, expect, test } from "vitest";
import { FakeCaller } from "../../test/support/fake-caller.ts";
import { Random } from "../../test/support/random.ts";
import { GuestServices } from "./guest-services.ts";
import { SERVICE_MAGIC } from "./services/register-doors.ts";
import { SERVICE_STATUS, SERVICE_VERSION, SERVICES } from "./services/service-table.ts";

const CALL = 0x86_0000_000en;
const LOW_PORT = 0x5658n;
const HIGH_PORT = 0x5659n;
const VMWARE = 0x564d_5868n;

function setUp(compatibility?: "vmware") {
  const logged: string[] = [];
  let seconds = 0;
  const refused = () => ({ status: SERVICE_STATUS.INVALID });
  const services = new GuestServices({
    integrity: { create: refused, add: refused, seal: refused, remove: refused, query: refused },
    compatibility,
    facts: { memoryBytes: 512 * 2 ** 20, counterFrequency: 62_500_000, uuid: new Uint8Array(16) },
    wallSeconds: () => 1_700_000_000.5,
    seconds: () => seconds,
    log: (text) => logged.push(text),
  });
  const caller = new FakeCaller();
  const later = (more: number): void => {
    seconds += more;
  };
  const put = (text: string, at = 0): [bigint, bigint] => {
    const bytes = new TextEncoder().encode(text);
    caller.memory.set(bytes, at);
    return [caller.base + BigInt(at), BigInt(bytes.length)];
  };
  const call = (number: number, registers: Record<number, bigint> = {}) => {
    caller.registers.fill(0n);
    caller.setX(0, SERVICE_MAGIC);
    caller.setX(2, BigInt(number));
    caller.setX(7, CALL);
    for (const [register, value] of Object.entries(registers)) caller.setX(Number(register), value);
    return services.registerCall(caller);
  };
  return { services, caller, logged, put, call, later };
}

describe("services through registers", () => {
  test("answer their version and the time", () => {
    const { caller, call } = setUp();
    expect(call(0)).toBe("served");
    expect([caller.x(0), caller.x(1)]).toEqual([SERVICE_STATUS.SUCCESS, SERVICE_VERSION]);
    expect(call(1)).toBe("served");
    expect(caller.x(1)).toBe(1_700_000_000_500_000_000n);
  });

  test("log, set and get values", () => {
    const { services, caller, logged, put, call } = setUp();
    const [text, length] = put("hello");
    call(2, { 1: text, 4: length });
    expect(logged).toEqual(["hello"]);
    const [key, keyLength] = put("name");
    const [value, valueLength] = put("some value", 100);
    expect(call(4, { 1: key, 4: keyLength, 5: value, 6: valueLength })).toBe("served");
    expect(caller.x(0)).toBe(SERVICE_STATUS.SUCCESS);
    expect(new TextDecoder().decode(services.info.get("name"))).toBe("some value");
    call(3, { 1: key, 4: keyLength, 5: caller.base + 200n, 6: 4n });
    expect([caller.x(0), caller.x(1)]).toEqual([SERVICE_STATUS.SUCCESS, 10n]);
    expect(new TextDecoder().decode(caller.memory.subarray(200, 206))).toBe("some\0\0");
    const [other, otherLength] = put("other");
    call(3, { 1: other, 4: otherLength, 5: caller.base, 6: 4n });
    expect(BigInt.asIntN(64, caller.x(0))).toBe(SERVICE_STATUS.NOT_FOUND);
  });

  test("give faults of buffers to the caller, with nothing done", () => {
    const { services, caller, put, call } = setUp();
    const before = caller.registers.slice();
    const outcome = call(2, { 1: 0x5000n, 4: 4n });
    expect(outcome).toMatchObject({ type: "fault", virtualAddress: 0x5000n, access: "read" });
    expect(caller.x(0)).toBe(SERVICE_MAGIC);
    expect(before.length).toBe(31);
    const [key, length] = put("k");
    services.info.set("k", new Uint8Array(8));
    expect(call(3, { 1: key, 4: length, 5: 0x5000n, 6: 8n })).toMatchObject({
      access: "write",
      type: "fault",
    });
  });

  test("refuse what is too long, unknown, or not for programs", () => {
    const { caller, call } = setUp();
    call(2, { 1: caller.base, 4: 1n << 40n });
    expect(BigInt.asIntN(64, caller.x(0))).toBe(SERVICE_STATUS.TOO_MUCH);
    call(999);
    expect(BigInt.asIntN(64, caller.x(0))).toBe(SERVICE_STATUS.UNKNOWN);
  });

  test("leave other software's instructions alone", () => {
    const { call } = setUp();
    expect(call(0, { 7: 0n })).toBe("not ours");
    expect(call(0, { 0: 5n })).toBe("not ours");
    expect(call(10, { 0: VMWARE, 3: LOW_PORT })).toBe("not ours");
  });

  test("are limited in number by time", () => {
    const { call, later } = setUp();
    let served = 0;
    while (call(0) === "served") served++;
    expect(served).toBe(10_000);
    later(0.01);
    expect(call(0)).toBe("served");
  });

  test("can be called by the host, by names", () => {
    const { services, caller, logged, put, call } = setUp();
    const bytes = (text: string) => new TextEncoder().encode(text);
    expect(services.callFromHost("version", {}).version).toBe(SERVICE_VERSION);
    expect(services.callFromHost("clock", {}).nanoseconds).toBe(1_700_000_000_500_000_000n);
    services.callFromHost("log", { text: bytes("hello") });
    expect(logged).toEqual(["hello"]);
    services.callFromHost("guestinfo-set", { key: bytes("k"), value: bytes("of the host") });
    expect(services.callFromHost("guestinfo-get", { key: bytes("k") })).toEqual({
      length: 11n,
      value: bytes("of the host"),
    });
    const [key, length] = put("k");
    call(3, { 1: key, 4: length, 5: caller.base + 200n, 6: 11n });
    expect(new TextDecoder().decode(caller.memory.subarray(200, 211))).toBe("of the host");
    expect(() => services.callFromHost("guestinfo-get", { key: bytes("none") })).toThrow(
      "guestinfo-get: there is no such value.",
    );
    expect(() => services.callFromHost("log", { text: new Uint8Array(4097) })).toThrow("at most 4096 bytes");
    expect(() => services.callFromHost("integrity-query", { handle: 1n })).toThrow(
      "an argument is not valid",
    );
    // @ts-expect-error: a service's arguments have their names.
    expect(() => services.callFromHost("log", { line: bytes("x") })).toThrow(
      "text must be at most 4096 bytes",
    );
    // @ts-expect-error: only services of the table have types.
    expect(() => services.callFromHost("nonsense", {})).toThrow('There is no service "nonsense"');
  });

  test("have unique numbers and names", () => {
    expect(new Set(SERVICES.map(({ number }) => number)).size).toBe(SERVICES.length);
    expect(new Set(SERVICES.map(({ name }) => name)).size).toBe(SERVICES.length);
  });
});

describe("SMCCC", () => {
  test("names the hypervisor and serves the same table", () => {
    const { services, caller } = setUp();
    caller.level = 1;
    caller.setX(0, 0x8600_ff01n);
    expect(services.smcccCall(caller)).toBe("served");
    expect(caller.x(0)).toBe(0xacd4_e9b5n);
    caller.setX(0, 0x8600_0000n);
    expect(services.smcccCall(caller)).toBe("served");
    expect([caller.x(0), caller.x(1)]).toEqual([0n, SERVICE_VERSION]);
    caller.setX(0, 0x8400_0000n);
    expect(services.smcccCall(caller)).toBe("not ours");
  });
});

describe("VMware's interface", () => {
  const command = (registers: Record<number, bigint>) => ({ 0: VMWARE, 3: LOW_PORT, ...registers });

  /** One message of the guest's on a new RPCI channel, through memory, and the answer through registers. */
  function rpc(text: string) {
    const machine = setUp("vmware");
    return { ...machine, answer: exchange(machine, text) };
  }

  function exchange({ caller, put, call }: ReturnType<typeof setUp>, text: string): string {
    call(0, command({ 1: 0xc943_5052n, 2: 30n }));
    expect(caller.x(2) >> 16n).toBe(1n);
    const [channel, high, low] = [caller.x(3) & ~0xffffn, caller.x(4), caller.x(5)];
    const step = (number: bigint, argument: bigint) => {
      call(0, command({ 1: argument, 2: (number << 16n) | 30n, 3: channel | LOW_PORT, 4: high, 5: low }));
      return caller.x(2) >> 16n;
    };
    const [address, length] = put(text);
    expect(step(1n, length)).toBe(1n | 128n);
    const out = { 0: VMWARE, 1: 1n << 16n, 2: length, 3: channel | HIGH_PORT, 4: address, 5: low, 6: high };
    expect(call(0, { ...out, 7: 0x86_0000_0018n })).toBe("served");
    expect(caller.x(1) >> 16n).toBe(1n);
    expect(step(3n, 0n)).toBe(1n | 2n | 128n);
    const size = Number(caller.x(1));
    const bytes: number[] = [];
    while (bytes.length < size) {
      expect(step(4n, 1n)).toBe(1n);
      for (let at = 0; at < 4; at++) bytes.push(Number((caller.x(1) >> BigInt(8 * at)) & 0xffn));
    }
    expect(step(5n, 1n)).toBe(1n);
    expect(step(6n, 0n)).toBe(1n);
    expect(step(6n, 0n)).toBe(0n);
    return new TextDecoder().decode(new Uint8Array(bytes.slice(0, size)));
  }

  test("answers its version as an ESX server", () => {
    const { caller, call } = setUp("vmware");
    call(0, command({ 2: 10n }));
    expect([caller.x(0), caller.x(1), caller.x(2)]).toEqual([6n, VMWARE, 2n]);
    call(0, command({ 2: 999n }));
    expect(caller.x(0)).toBe(0xffff_ffffn);
    call(0, command({ 2: 20n }));
    expect(caller.x(0)).toBe(512n);
  });

  test("keeps values by remote calls", () => {
    const machine = rpc("info-set guestinfo.x 1 2 3");
    expect(machine.answer).toBe("1 ");
    expect(exchange(machine, "info-get guestinfo.x")).toBe("1 1 2 3");
    expect(exchange(machine, "info-get guestinfo.y")).toBe("0 No value found");
    expect(exchange(machine, "info-set other.x 1")).toBe("0 Permission denied");
    expect(exchange(machine, "nonsense")).toBe("0 Unknown command");
  });

  test("has eight channels", () => {
    const { caller, call } = setUp("vmware");
    const opened = Array.from({ length: 9 }, () => {
      call(0, command({ 1: 0xc943_5052n, 2: 30n }));
      return caller.x(2) >> 16n;
    });
    expect(opened).toEqual([...new Array<bigint>(8).fill(1n), 0n]);
  });

  test("gives orders to tools that listen", () => {
    const { services, caller, call } = setUp("vmware");
    expect(services.order("OS_Halt")).toBe(false);
    call(0, command({ 1: 0xcf4c_4354n, 2: 30n }));
    expect(services.tools().listening).toBe(true);
    expect(services.order("OS_Halt")).toBe(true);
    const [channel, high, low] = [caller.x(3) & ~0xffffn, caller.x(4), caller.x(5)];
    const sizes = Array.from({ length: 5 }, () => {
      const received = { 2: (3n << 16n) | 30n, 3: channel | LOW_PORT, 4: high, 5: low };
      call(0, command(received));
      return caller.x(2) >> 16n === 1n ? 0 : Number(caller.x(1));
    });
    expect(sizes).toEqual(
      ["reset", "Capabilities_Register", "Set_Option synctime 0", "OS_Halt", ""].map(({ length }) => length),
    );
  });
});

describe.each(["own", "vmware", "smccc"] as const)("random registers at the door: %s", (door) => {
  test("harm nobody, and no more is written than a call says", () => {
    const random = Random.ofThisRun();
    const count = process.env["ELVISOR_FULL"] === undefined ? 5_000 : 1_000_000;
    const { services, caller, later } = setUp("vmware");
    const pick = <T>(values: readonly T[]): T => values[random.below(values.length)]!;
    const any = () => BigInt(random.below(2 ** 31)) << BigInt(random.below(33));
    const near = () => caller.base + BigInt(random.below(caller.memory.length + 64) - 32);
    const some = () => pick([any(), near(), near(), BigInt(random.below(64)), BigInt(random.below(5_000))]);
    // The services have no other way to the memory than this.
    const written: { address: bigint; length: number }[] = [];
    const write = caller.write.bind(caller);
    caller.write = (address, bytes) => {
      written.push({ address, length: bytes.length });
      return write(address, bytes);
    };
    /** A conversation with VMware's message channels, between random calls: where it is, and with whom. */
    const talk = { step: 0, channel: 0n, high: 0n, low: 0n, size: 0n };
    const keys = ["name", "info-set guestinfo.x y", "info-get guestinfo.x", "log hello"];
    for (const [index, key] of keys.entries())
      services.info.set(key, new Uint8Array(1 << (index * 4)).fill(7));
    let wrote = 0;
    let faults = 0;
    for (let round = 0; round < count; round++) {
      later(1);
      // The memory is a program's: words that mean something here and there, and what calls leave there.
      if (round % 16 === 0) {
        new Uint32Array(caller.memory.buffer).fill(random.u32());
        caller.memory.set(new TextEncoder().encode(pick(keys)), random.below(4_000));
      }
      const text = pick(keys);
      const at = random.below(4_000);
      caller.memory.set(new TextEncoder().encode(text), at);
      const key = [caller.base + BigInt(at), BigInt(text.length)] as const;
      for (let register = 0; register < 31; register++) caller.setX(register, some());
      const isKeyed = random.below(2) === 0;
      let buffer: readonly [address: bigint, length: bigint];
      let after = () => {};
      if (door === "smccc") {
        caller.setX(0, 0x8600_0000n + BigInt(random.below(24)));
        if (isKeyed) key.forEach((value, index) => void caller.setX(1 + index, value));
        buffer = [caller.x(3), caller.x(4)];
      } else if (door === "own") {
        caller.setX(0, SERVICE_MAGIC);
        caller.setX(2, BigInt(random.below(24)));
        caller.setX(7, pick([CALL, CALL, CALL, 0x86_0000_0018n, any()]));
        if (isKeyed) [caller.registers[1], caller.registers[4]] = key;
        buffer = [caller.x(5), caller.x(6)];
      } else {
        caller.setX(0, VMWARE);
        const isTalk = random.below(2) === 0;
        const isHigh = isTalk ? talk.step === 2 || talk.step === 4 : random.below(2) === 0;
        const isInto = isHigh && (isTalk ? talk.step === 4 : random.below(2) === 0);
        const number = isTalk ? ([0, 1, 0, 3, 0, 6][talk.step] ?? 0) : random.below(8);
        const command = isTalk ? 30 : pick([30, 30, 30, 10, 45, random.below(70)]);
        caller.setX(2, (BigInt(number) << 16n) | BigInt(command));
        // The port in the low half of EDX, the channel of the message interface in the high half.
        caller.setX(3, ((isTalk ? talk.channel : any()) & ~0xffffn) | (isHigh ? HIGH_PORT : LOW_PORT));
        caller.setX(7, isInto ? 0x86_0000_001cn : isHigh ? 0x86_0000_0018n : CALL);
        if (isTalk) {
          caller.setX(isHigh && !isInto ? 6 : 4, talk.high);
          caller.setX(isInto ? 6 : 5, talk.low);
          if (talk.step === 0) caller.setX(1, pick([0xc943_5052n, 0x4943_5052n, 0xcf4c_4354n]));
          else if (talk.step === 1) caller.setX(1, key[1]);
        }
        if (isInto) caller.setX(5, near());
        if (isHigh) caller.setX(2, isTalk ? pick([isInto ? talk.size : key[1], 1n]) : pick([1n, any()]));
        if (isHigh && !isInto && isKeyed) caller.setX(4, key[0]);
        buffer = isInto ? [caller.x(5), caller.x(2) & 0xffff_ffffn] : [0n, 0n];
        after = () => {
          if (!isTalk) return;
          if (talk.step === 0) {
            if (caller.x(2) >> 16n !== 1n) services.reset();
            Object.assign(talk, { channel: caller.x(3), high: caller.x(4), low: caller.x(5) });
          } else if (talk.step === 3) talk.size = caller.x(1);
          talk.step = (talk.step + 1) % 6;
        };
      }
      const kept = caller.registers.slice(7);
      written.length = 0;
      const outcome = door === "smccc" ? services.smcccCall(caller) : services.registerCall(caller);
      const where = `seed ${random.seed}, round ${round}`;
      if (outcome !== "served" && outcome !== "not ours") faults++;
      if (caller.registers.slice(7).some((value, index) => value !== kept[index])) {
        throw new Error(`other registers changed: ${where}`);
      }
      for (const { address, length } of written) {
        if (address !== buffer[0] || BigInt(length) > buffer[1]) throw new Error(`written outside: ${where}`);
        if (length > 0) wrote++;
      }
      after();
    }
    console.log(`${door}: ${wrote} calls wrote, ${faults} ended with a fault`);
    expect(wrote).toBeGreaterThan(0);
    expect(faults).toBeGreaterThan(0);
  });
});
