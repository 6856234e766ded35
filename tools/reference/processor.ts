import {
  CRYPTOGRAPHY_FEATURES,
  featureSet,
  IDENTIFICATION_FIELDS,
  type ProcessorOptions,
} from "../../src/cpu/feature-set.ts";
import {
  identificationValues,
  MAIN_IDENTIFIER,
  multiprocessorAffinity,
  PHYSICAL_ADDRESS_BITS,
} from "../../src/cpu/identification.ts";
import type { Feature } from "../../src/isa/instruction.ts";
import { IMPLEMENTED_FEATURES, INSTRUCTIONS } from "../../src/isa/table.ts";
import { code, hexadecimal, join, type Page, table } from "./markdown.ts";

/** The machines of which the page shows the registers. */
const VARIANTS: readonly { readonly name: string; readonly options: ProcessorOptions }[] = [
  { name: "default", options: { secure: false, virtualization: false } },
  { name: "`--virtualization`", options: { secure: false, virtualization: true } },
  { name: "`--secure --virtualization`", options: { secure: true, virtualization: true } },
];

export function processorPage(): Page {
  return {
    file: "processor.md",
    title: "Processor",
    summary: "Features, and the identification registers that follow from them.",
    body: join(
      `The processing element is Armv8.0-A with the features below. Physical addresses have ${PHYSICAL_ADDRESS_BITS} bits.`,
      "## Features",
      featureTable(),
      "## Identification registers",
      "Values at reset, of processing element 0; computed from the features.",
      identificationTable(),
      "## Fields of the identification registers that follow from features",
      fieldTable(),
    ),
  };
}

function featureTable(): string {
  const sets = VARIANTS.map(({ options }) => featureSet(IMPLEMENTED_FEATURES, options));
  const known = new Set<Feature>([
    ...sets.flatMap((set) => [...set]),
    ...INSTRUCTIONS.flatMap(({ feature }) => feature ?? []),
    ...IDENTIFICATION_FIELDS.flatMap(({ values }) => values.map(([feature]) => feature)),
  ]);
  return table(
    ["Feature", "Instructions", ...VARIANTS.map(({ name }) => name), "Shown in the identification registers"],
    [...known]
      .toSorted()
      .map((feature) => [
        feature,
        String(INSTRUCTIONS.filter((row) => row.feature === feature).length),
        ...sets.map((set) => (set.has(feature) ? "yes" : "no")),
        shown(feature),
      ]),
  );
}

function shown(feature: Feature): string {
  const place = IDENTIFICATION_FIELDS.find(({ values }) => values.some(([name]) => name === feature));
  if (place === undefined) return "";
  const text = `${place.register}.${place.field}`;
  return CRYPTOGRAPHY_FEATURES.includes(feature) ? `${text}, if asked for` : text;
}

function valuesOf(options: ProcessorOptions): ReadonlyMap<string, bigint> {
  const values = identificationValues(featureSet(IMPLEMENTED_FEATURES, options), options);
  return new Map<string, bigint>([
    ["MIDR_EL1", MAIN_IDENTIFIER],
    ["MPIDR_EL1", multiprocessorAffinity(0)],
    ...[...values].toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}

function identificationTable(): string {
  const variants = VARIANTS.map(({ options }) => valuesOf(options));
  return table(
    ["Register", ...VARIANTS.map(({ name }) => name)],
    [...variants[0]!.keys()].map((name) => [
      name,
      ...variants.map((values) => code(hexadecimal(values.get(name) ?? 0n, 16))),
    ]),
  );
}

function fieldTable(): string {
  const values = valuesOf(VARIANTS[0]!.options);
  return table(
    ["Field", "Bits", "Value (default)", "Meanings"],
    IDENTIFICATION_FIELDS.map(({ register, field, low, none, values: cases }) => [
      `${register}.${field}`,
      `${low + 3}:${low}`,
      String(((values.get(register) ?? 0n) >> BigInt(low)) & 15n),
      [`${none} none`, ...cases.map(([feature, value]) => `${value} ${feature}`)].join(", "),
    ]),
  );
}
