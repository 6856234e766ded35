/** Return codes of PSCI (Arm DEN 0022, section 5.2.2) and SMCCC. */
export const PSCI_STATUS = {
  SUCCESS: 0,
  NOT_SUPPORTED: -1,
  INVALID_PARAMETERS: -2,
  DENIED: -3,
  ALREADY_ON: -4,
  ON_PENDING: -5,
  INTERNAL_FAILURE: -6,
  NOT_PRESENT: -7,
  DISABLED: -8,
  INVALID_ADDRESS: -9,
} as const;
/** One of {@link PSCI_STATUS}. */
export type PsciStatus = (typeof PSCI_STATUS)[keyof typeof PSCI_STATUS];

/** What AFFINITY_INFO answers about one processing element. */
export const PSCI_POWER_STATE = { ON: 0, OFF: 1, ON_PENDING: 2 } as const;
/** One of {@link PSCI_POWER_STATE}. */
export type PsciPowerState = (typeof PSCI_POWER_STATE)[keyof typeof PSCI_POWER_STATE];

/** Who turns processing elements and the machine on and off. Elements are named by MPIDR_EL1's affinity fields. */
export interface PowerController {
  /**
   * Starts an element at guest-physical `entry`, a multiple of 4, with `context` in X0: see `startState` of
   * the machine room. INVALID_PARAMETERS if there is none, ALREADY_ON or ON_PENDING if it is not off.
   */
  cpuOn(affinity: bigint, entry: bigint, context: bigint): PsciStatus;
  /** Turns the calling element off; it does not return from the call. */
  cpuOff(): void;
  /** Makes the calling element wait for an interrupt, after the call has returned. */
  suspend(): void;
  /** Undefined if there is no such element. */
  affinityInfo(affinity: bigint): PsciPowerState | undefined;
  /** The caller executes nothing more. */
  systemOff(): void;
  systemReset(): void;
}

/** The value for X0, or that the caller's instruction stream ends here. */
export type PsciResult = bigint | "no return";

/** Versions announced: PSCI 1.1 and SMCCC 1.1, major in bits 31:16. */
const PSCI_VERSION = 0x1_0001n;
const SMCCC_VERSION = 0x1_0001n;

/** MIGRATE_INFO_TYPE: no trusted system that would have to move. */
const MIGRATION_NOT_REQUIRED = 2n;

/** CPU_SUSPEND: bits of the original power_state format that must be zero. Affinity levels are not told apart. */
const POWER_STATE_RESERVED = 0xfffe_0000n;

/** SYSTEM_RESET2: the only reset type that the architecture defines. */
const SYSTEM_WARM_RESET = 0n;

type Handler = (power: PowerController, args: readonly [bigint, bigint, bigint]) => PsciResult | PsciStatus;

interface PsciFunction {
  readonly name: string;
  /** SMCCC function identifiers: the 32-bit variant takes the low halves of its arguments. */
  readonly smc32?: number;
  readonly smc64?: number;
  readonly call: Handler;
}

/**
 * Everything the machine answers itself, as QEMU's built-in PSCI does, and SMCCC's discovery calls. Any
 * other function is NOT_SUPPORTED.
 */
export const PSCI_FUNCTIONS: readonly PsciFunction[] = [
  { name: "PSCI_VERSION", smc32: 0x8400_0000, call: () => PSCI_VERSION },
  { name: "CPU_SUSPEND", smc32: 0x8400_0001, smc64: 0xc400_0001, call: cpuSuspend },
  { name: "CPU_OFF", smc32: 0x8400_0002, call: (power) => ended(() => power.cpuOff()) },
  { name: "CPU_ON", smc32: 0x8400_0003, smc64: 0xc400_0003, call: cpuOn },
  { name: "AFFINITY_INFO", smc32: 0x8400_0004, smc64: 0xc400_0004, call: affinityInfo },
  { name: "MIGRATE_INFO_TYPE", smc32: 0x8400_0006, call: () => MIGRATION_NOT_REQUIRED },
  { name: "SYSTEM_OFF", smc32: 0x8400_0008, call: (power) => ended(() => power.systemOff()) },
  { name: "SYSTEM_RESET", smc32: 0x8400_0009, call: (power) => ended(() => power.systemReset()) },
  { name: "PSCI_FEATURES", smc32: 0x8400_000a, call: (_, [id]) => features(id) },
  { name: "SYSTEM_RESET2", smc32: 0x8400_0012, smc64: 0xc400_0012, call: systemReset2 },
  { name: "SMCCC_VERSION", smc32: 0x8000_0000, call: () => SMCCC_VERSION },
  { name: "SMCCC_ARCH_FEATURES", smc32: 0x8000_0001, call: (_, [id]) => architectureFeatures(id) },
];

interface Variant {
  readonly width: 32 | 64;
  readonly call: Handler;
}

const VARIANTS: ReadonlyMap<bigint, Variant> = new Map(
  PSCI_FUNCTIONS.flatMap(({ smc32, smc64, call }): [bigint, Variant][] => [
    ...(smc32 === undefined ? [] : [[BigInt(smc32), { width: 32, call }] as [bigint, Variant]]),
    ...(smc64 === undefined ? [] : [[BigInt(smc64), { width: 64, call }] as [bigint, Variant]]),
  ]),
);

/** Answers an HVC or SMC by X0 to X3 of the caller. X1 and up keep their values. */
export function callPsci(power: PowerController, x: readonly [bigint, bigint, bigint, bigint]): PsciResult {
  const variant = VARIANTS.get(BigInt.asUintN(32, x[0]));
  if (variant === undefined) return encode(PSCI_STATUS.NOT_SUPPORTED);
  const { width, call } = variant;
  const [, first, second, third] = x;
  const result = call(power, [
    BigInt.asUintN(width, first),
    BigInt.asUintN(width, second),
    BigInt.asUintN(width, third),
  ]);
  return typeof result === "number" ? encode(result) : result;
}

/** A signed 32-bit status as X0 holds it. */
function encode(status: PsciStatus): bigint {
  return BigInt.asUintN(64, BigInt(status));
}

/** Does what the caller does not come back from. */
function ended(action: () => void): PsciResult {
  action();
  return "no return";
}

function cpuSuspend(power: PowerController, [powerState]: readonly bigint[]): PsciStatus {
  if (powerState === undefined || (powerState & POWER_STATE_RESERVED) !== 0n)
    return PSCI_STATUS.INVALID_PARAMETERS;
  // Powering down is not modelled: the deepest state is standby, which an implementation may choose.
  power.suspend();
  return PSCI_STATUS.SUCCESS;
}

function cpuOn(
  power: PowerController,
  [affinity, entry, context]: readonly [bigint, bigint, bigint],
): PsciStatus {
  if ((entry & 3n) !== 0n) return PSCI_STATUS.INVALID_PARAMETERS;
  return power.cpuOn(affinity, entry, context);
}

function affinityInfo(
  power: PowerController,
  [affinity, lowestLevel]: readonly [bigint, bigint, bigint],
): PsciStatus | PsciResult {
  // Clusters are always on.
  if (lowestLevel !== 0n) return BigInt(PSCI_POWER_STATE.ON);
  const state = power.affinityInfo(affinity);
  return state === undefined ? PSCI_STATUS.INVALID_PARAMETERS : BigInt(state);
}

function systemReset2(
  power: PowerController,
  [type]: readonly [bigint, bigint, bigint],
): PsciStatus | PsciResult {
  if (type !== SYSTEM_WARM_RESET) return PSCI_STATUS.INVALID_PARAMETERS;
  return ended(() => power.systemReset());
}

/** PSCI_FEATURES: 0, no feature flags, for what exists. */
function features(id: bigint): PsciStatus {
  return VARIANTS.has(id) ? PSCI_STATUS.SUCCESS : PSCI_STATUS.NOT_SUPPORTED;
}

/** SMCCC_ARCH_FEATURES speaks only of the architecture's own calls. */
function architectureFeatures(id: bigint): PsciStatus {
  const isArchitectureCall = id >> 16n === 0x8000n;
  return isArchitectureCall ? features(id) : PSCI_STATUS.NOT_SUPPORTED;
}
