import { Bug, UserError } from "../../base/errors.ts";
import { SERVICE_STATUS, SERVICES, type Service, type ServiceHost, STATUS_TEXTS } from "./service-table.ts";

/** The same services for the machine's owner: types and functions are made from the one table. */

type Row = (typeof SERVICES)[number];
type RowOf<Name extends ServiceName> = Extract<Row, { readonly name: Name }>;
type ArgumentOf<Name extends ServiceName> = RowOf<Name>["arguments"][number];

export type ServiceName = Row["name"];

/** A service's numbers and inputs by their names. */
export type ServiceInputs<Name extends ServiceName> = {
  readonly [Argument in ArgumentOf<Name> as Argument["kind"] extends "output"
    ? never
    : Argument["name"]]: Argument["kind"] extends "number" ? bigint : Uint8Array;
};

/** What a service answers, numbers and bytes, by their names. */
export type ServiceAnswer<Name extends ServiceName> = {
  readonly [Result in RowOf<Name>["results"][number]]: bigint;
} & {
  readonly [Argument in Extract<
    ArgumentOf<Name>,
    { readonly kind: "output" }
  > as Argument["name"]]: Uint8Array;
};

/** Calls a service as a kernel's call would, without a guest. Each answer but success is a UserError. */
export function callFromHost<Name extends ServiceName>(
  host: ServiceHost,
  name: Name,
  inputs: ServiceInputs<Name>,
): ServiceAnswer<Name> {
  const service: Service | undefined = SERVICES.find((candidate) => candidate.name === name);
  if (service === undefined)
    throw new UserError(`There is no service "${name}"; see docs/reference/services.md.`);
  const given = new Map<string, unknown>(Object.entries(inputs));
  const numbers: bigint[] = [];
  const bytes: Uint8Array[] = [];
  for (const argument of service.arguments) {
    const value = given.get(argument.name);
    if (argument.kind === "number") {
      if (typeof value !== "bigint")
        throw wrongArgument(service, argument.name, "a number of 64 bits (bigint)");
      numbers.push(BigInt.asUintN(64, value));
    } else if (argument.kind === "input") {
      const fits = value instanceof Uint8Array && value.length <= argument.most;
      if (!fits) throw wrongArgument(service, argument.name, `at most ${argument.most} bytes`);
      bytes.push(value);
    }
  }
  const result = service.serve(host, numbers, bytes);
  if (result.status !== SERVICE_STATUS.SUCCESS) throw new UserError(`${name}: ${statusText(result.status)}.`);
  const answer: Record<string, bigint | Uint8Array> = {};
  service.results.forEach((key, index) => {
    answer[key] = result.numbers?.[index] ?? 0n;
  });
  for (const argument of service.arguments) {
    if (argument.kind === "output") answer[argument.name] = (result.bytes ?? new Uint8Array(0)).slice();
  }
  // The row that gave the type has named all of them.
  return answer as ServiceAnswer<Name>;
}

function wrongArgument(service: Service, argument: string, what: string): UserError {
  return new UserError(`${service.name}: ${argument} must be ${what}.`);
}

function statusText(status: bigint): string {
  for (const [name, value] of Object.entries(SERVICE_STATUS)) {
    // Both tables have the same keys, by their types.
    if (value === status) return STATUS_TEXTS[name as keyof typeof STATUS_TEXTS];
  }
  throw new Bug(`no status is ${status}`);
}
