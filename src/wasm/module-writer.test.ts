import { describe, expect, test } from "vitest";
import type { FunctionBody } from "./function-body.ts";
import { ModuleWriter } from "./module-writer.ts";
import {
  LANE_OPERATORS,
  type LaneOperatorName,
  MEMORY_OPERATORS,
  type MemoryOperatorName,
  OPERATORS,
  type OperatorName,
  type ValueType,
} from "./opcodes.ts";

const TYPES: readonly ValueType[] = ["i32", "i64", "f32", "f64", "v128"];
const HOST = "host";

/** A module of one function that takes `parameters` from the stack; `write` sees them as locals. */
function moduleOf(
  parameters: readonly ValueType[],
  results: readonly ValueType[],
  write: (body: FunctionBody) => void,
): Uint8Array {
  const module = new ModuleWriter();
  module.importMemory(HOST, "memory", { initial: 1, maximum: 1 });
  write(module.function({ parameters, results }, "f").body);
  return module.finish();
}

function isValid(
  parameters: readonly ValueType[],
  results: readonly ValueType[],
  write: (body: FunctionBody) => void,
): boolean {
  return WebAssembly.validate(moduleOf(parameters, results, write));
}

/** Runs a function of numbers and bigints. */
function run(
  results: readonly ValueType[],
  write: (body: FunctionBody) => void,
  parameters: readonly ValueType[] = [],
  ...values: (number | bigint)[]
): unknown {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const module = new WebAssembly.Module(moduleOf(parameters, results, write));
  const { exports } = new WebAssembly.Instance(module, { [HOST]: { memory } });
  return (exports["f"] as (...values: (number | bigint)[]) => unknown)(...values);
}

describe("operators", () => {
  test.each(Object.keys(OPERATORS) as OperatorName[])(
    "%s has the types that it says, and no others",
    (name) => {
      const { operands, result } = OPERATORS[name];
      const write = (body: FunctionBody): void => {
        operands.forEach((_, index) => void body.get(index));
        body.op(name);
      };
      expect(isValid(operands, [result], write)).toBe(true);
      const other = TYPES.find((type) => type !== result)!;
      expect(isValid(operands, [other], write)).toBe(false);
      operands.forEach((type, index) => {
        const wrong = operands.map((each, at) => (at === index ? TYPES.find((one) => one !== type)! : each));
        expect(isValid(wrong, [result], write)).toBe(false);
      });
    },
  );

  test.each(Object.keys(LANE_OPERATORS) as LaneOperatorName[])("%s has the lanes that it says", (name) => {
    const { operands, result, lanes } = LANE_OPERATORS[name];
    const write = (lane: number) => (body: FunctionBody) => {
      operands.forEach((_, index) => void body.get(index));
      body.laneOp(name, lane);
    };
    expect(isValid(operands, [result], write(lanes - 1))).toBe(true);
    expect(isValid(operands, [result], write(lanes))).toBe(false);
    expect(isValid(operands, [TYPES.find((type) => type !== result)!], write(0))).toBe(false);
  });

  test.each(Object.keys(MEMORY_OPERATORS) as MemoryOperatorName[])("%s has the type that it says", (name) => {
    const { type } = MEMORY_OPERATORS[name];
    for (const each of TYPES) {
      const write = name.includes("store")
        ? isValid(["i32", each], [], (body) => void body.get(0).get(1).memory(name, 8))
        : isValid(["i32"], [each], (body) => void body.get(0).memory(name, 8));
      expect(write).toBe(each === type);
    }
  });

  test.each(Object.keys(MEMORY_OPERATORS) as MemoryOperatorName[])(
    "%s reaches the bytes that it says",
    (name) => {
      const { bytes, type } = MEMORY_OPERATORS[name];
      // The last place in the memory's 65,536 bytes where it does not trap.
      const reaches = (address: number): boolean => {
        const write = (body: FunctionBody): void => {
          body.get(0);
          if (name.includes("store")) zero(body, type).memory(name);
          else body.memory(name).drop();
        };
        try {
          run([], write, ["i32"], address);
          return true;
        } catch {
          return false;
        }
      };
      expect(reaches(65536 - bytes)).toBe(true);
      expect(reaches(65536 - bytes + 1)).toBe(false);
    },
  );

  test("no two have the same code", () => {
    const codes = [OPERATORS, LANE_OPERATORS, MEMORY_OPERATORS].flatMap((table) =>
      Object.values(table).map(({ code }: { code: number }) => code),
    );
    expect(new Set(codes).size).toBe(codes.length);
  });
});

function zero(body: FunctionBody, type: ValueType): FunctionBody {
  switch (type) {
    case "i32":
      return body.i32(0);
    case "i64":
      return body.i64(0n);
    case "f32":
      return body.f32(0);
    case "f64":
      return body.f64(0);
    case "v128":
      return body.v128(new Array<number>(16).fill(0));
  }
}

describe("FunctionBody", () => {
  test("writes constants", () => {
    for (const value of [0, 1, -1, 63, 64, -64, -65, 0x7fff_ffff, -0x8000_0000]) {
      expect(run(["i32"], (body) => void body.i32(value))).toBe(value);
    }
    for (const value of [0n, -1n, 1n << 31n, -(1n << 31n) - 1n, (1n << 63n) - 1n, -(1n << 63n)]) {
      expect(run(["i64"], (body) => void body.i64(value))).toBe(value);
    }
    expect(run(["i64"], (body) => void body.i64((1n << 64n) - 1n))).toBe(-1n);
    for (const value of [0, -0, 1.5, Number.NaN, Infinity, 2 ** -149]) {
      expect(run(["f32"], (body) => void body.f32(value))).toBe(value);
      expect(run(["f64"], (body) => void body.f64(value))).toBe(value);
    }
    const bytes = Array.from({ length: 16 }, (_, index) => index * 17);
    expect(run(["i64"], (body) => void body.v128(bytes).laneOp("i64x2.extract_lane", 1))).toBe(
      BigInt.asIntN(64, 0xffee_ddcc_bbaa_9988n),
    );
  });

  test("counts the depth of labels", () => {
    // Leaves the outer block from within a loop and an if.
    const write = (body: FunctionBody): void => {
      const outer = body.block("i32");
      body.loop();
      body.get(0);
      body.if();
      body.i32(7).branch(outer);
      body.else().end();
      body.i32(9).branch(outer);
      body.end().unreachable().end();
    };
    expect(run(["i32"], write, ["i32"], 1)).toBe(7);
    expect(run(["i32"], write, ["i32"], 0)).toBe(9);
  });

  test("loops until a branch falls through", () => {
    const write = (body: FunctionBody): void => {
      const sum = body.local("i32");
      const again = body.loop();
      body.get(sum).get(0).op("i32.add").set(sum);
      body.get(0).i32(1).op("i32.sub").tee(0).branchIf(again);
      body.end().get(sum);
    };
    expect(run(["i32"], write, ["i32"], 10)).toBe(55);
  });

  test("branches by table", () => {
    const write = (body: FunctionBody): void => {
      const [far, middle, near] = [body.block(), body.block(), body.block()];
      body.get(0).branchTable([near, middle], far);
      body.end().i32(1).return().end().i32(2).return().end().i32(3);
    };
    expect([0, 1, 2, -1].map((value) => run(["i32"], write, ["i32"], value))).toEqual([1, 2, 3, 3]);
  });

  test("gives released locals again, of the same type only", () => {
    const module = new ModuleWriter();
    const { body } = module.function({ parameters: ["i64"], results: [] });
    const one = body.local("i32");
    const other = body.local("i64");
    expect([one, other]).toEqual([1, 2]);
    body.release("i32", one);
    expect(body.local("i64")).toBe(3);
    expect(body.local("i32")).toBe(one);
    expect(body.local("i32")).toBe(4);
    expect(WebAssembly.validate(module.finish())).toBe(true);
  });

  test.each(TYPES)("selects between values of type %s", (type) => {
    const write = (body: FunctionBody): void => {
      zero(zero(body, type), type).i32(1).select(type);
    };
    expect(isValid([], [type], write)).toBe(true);
  });

  test("shuffles and fills", () => {
    const shuffle = (body: FunctionBody): void => {
      const lanes = Array.from({ length: 16 }, (_, index) => 31 - index);
      body.v128(new Array<number>(16).fill(1)).v128(new Array<number>(16).fill(2)).shuffle(lanes);
      body.laneOp("i8x16.extract_lane_u", 0);
    };
    expect(run(["i32"], shuffle)).toBe(2);
    const fill = (body: FunctionBody): void => {
      body.i32(16).i32(0xab).i32(4).memoryFill();
      body.i32(16).memory("i64.load", 0);
    };
    expect(run(["i64"], fill)).toBe(0xabab_ababn);
  });
});

describe("ModuleWriter", () => {
  test("shares equal types and numbers functions after imports", () => {
    const module = new ModuleWriter();
    const signature = { parameters: ["i32"], results: ["i32"] } as const;
    expect(module.type(signature)).toBe(module.type({ ...signature }));
    expect(module.importFunction(HOST, "twice", signature)).toBe(0);
    expect(module.importFunction(HOST, "plusOne", signature)).toBe(1);
    module.importTable(HOST, "table", 2);
    const first = module.function(signature, "first");
    expect(first.index).toBe(2);
    first.body.get(0).call(0).call(1);
    const second = module.function(signature, "second");
    second.body.get(0).call(first.index).i32(1).callIndirect(module.type(signature));
    const table = new WebAssembly.Table({ element: "anyfunc", initial: 2 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
      [HOST]: { twice: (value: number) => value * 2, plusOne: (value: number) => value + 1, table },
    });
    const { first: callFirst, second: callSecond } = instance.exports as Record<
      string,
      (value: number) => number
    >;
    table.set(1, callFirst!);
    expect(callFirst!(20)).toBe(41);
    expect(callSecond!(1)).toBe(7);
  });

  test("an empty module is valid", () => {
    expect(WebAssembly.validate(new ModuleWriter().finish())).toBe(true);
  });

  test("imports shared memory with its exact size", () => {
    const bytes = moduleOf([], [], () => {});
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const module = new WebAssembly.Module(bytes);
    expect(() => new WebAssembly.Instance(module, { [HOST]: { memory } })).toThrow(/memory/);
  });
});
