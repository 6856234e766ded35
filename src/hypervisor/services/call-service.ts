import type { MemoryFault } from "../../mmu/memory-fault.ts";
import { type GuestCaller, isFault } from "./guest-caller.ts";
import {
  SERVICE_STATUS,
  SERVICES,
  type Service,
  type ServiceHost,
  type ServiceStatus,
} from "./service-table.ts";

const BY_NUMBER: ReadonlyMap<number, Service> = new Map(SERVICES.map((service) => [service.number, service]));

/** Registers of one door: arguments in order (an address and a length take two), and the numbers of a result. */
export interface DoorRegisters {
  readonly arguments: readonly number[];
  /** The first holds the status. */
  readonly results: readonly number[];
}

/** Serves one call. Where a buffer faults, nothing has happened. */
export function callService(
  host: ServiceHost,
  caller: GuestCaller,
  number: number,
  registers: DoorRegisters,
): MemoryFault | "served" {
  const finish = (status: ServiceStatus, numbers: readonly bigint[] = []): "served" => {
    [status, ...numbers].forEach((value, index) => {
      const register = registers.results[index];
      if (register !== undefined) caller.setX(register, BigInt.asUintN(64, value));
    });
    return "served";
  };
  const service = BY_NUMBER.get(number);
  if (service === undefined) return finish(SERVICE_STATUS.UNKNOWN);
  if (service.privilege === "kernel" && caller.level === 0) return finish(SERVICE_STATUS.DENIED);
  const words = registers.arguments.map((register) => caller.x(register));
  const numbers: bigint[] = [];
  const inputs: Uint8Array[] = [];
  let output: { address: bigint; length: number } | undefined;
  let next = 0;
  for (const argument of service.arguments) {
    const first = words[next++] ?? 0n;
    if (argument.kind === "number") {
      numbers.push(first);
      continue;
    }
    const length = words[next++] ?? 0n;
    if (length > BigInt(argument.most)) return finish(SERVICE_STATUS.TOO_MUCH);
    if (argument.kind === "output") {
      output = { address: first, length: Number(length) };
      continue;
    }
    const bytes = caller.read(first, Number(length));
    if (isFault(bytes)) return bytes;
    inputs.push(bytes);
  }
  const result = service.serve(host, numbers, inputs);
  if (output !== undefined && result.bytes !== undefined) {
    const fault = caller.write(output.address, result.bytes.subarray(0, output.length));
    if (fault !== undefined) return fault;
  }
  return finish(result.status, result.numbers);
}
