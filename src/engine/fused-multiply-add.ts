import { ModuleWriter } from "../wasm/module-writer.ts";

let known: boolean | undefined;

/**
 * True where this host's WebAssembly has relaxed SIMD and its `relaxed_madd` rounds once, for both sizes of
 * numbers: the specification leaves that to the host. Found out once.
 */
export function hostFusesMultiplyAdd(): boolean {
  known ??= probe();
  return known;
}

function probe(): boolean {
  const module = new ModuleWriter();
  const doubles = module.function({ parameters: ["f64", "f64", "f64"], results: ["f64"] }, "doubles").body;
  for (const local of [0, 1, 2]) doubles.get(local).op("f64x2.splat");
  doubles.op("f64x2.relaxed_madd").laneOp("f64x2.extract_lane", 1);
  const singles = module.function({ parameters: ["f32", "f32", "f32"], results: ["f32"] }, "singles").body;
  for (const local of [0, 1, 2]) singles.get(local).op("f32x4.splat");
  singles.op("f32x4.relaxed_madd").laneOp("f32x4.extract_lane", 3);
  const bytes = module.finish();
  if (!WebAssembly.validate(bytes)) return false;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
  const fuse = (name: string, a: number, b: number, c: number): number =>
    // The module was generated here with exactly this signature.
    (exports[name] as (a: number, b: number, c: number) => number)(a, b, c);
  // (1 + e)(1 - e) - 1 = -e^2, which is lost when the product is rounded first.
  const [double, single] = [2 ** -30, 2 ** -13];
  return (
    fuse("doubles", 1 + double, 1 - double, -1) === -(double ** 2) &&
    fuse("singles", 1 + single, 1 - single, -1) === -(single ** 2)
  );
}
