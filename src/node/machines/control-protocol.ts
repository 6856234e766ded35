import type { MachineStatistics } from "../../machine/virtual-machine-interface.ts";

/** What a process asks of the one in which a machine runs: the first line of a connection, in JSON. */
export type ControlRequest =
  /** A stream to a port of the guest; after the answer the connection is that stream. */
  | { readonly kind: "connect"; readonly port: number }
  /** Answered once the guest's agent has come. */
  | { readonly kind: "ready" }
  /** After the answer the connection is the guest's console. */
  | { readonly kind: "console" }
  | { readonly kind: "resize"; readonly columns: number; readonly rows: number }
  | { readonly kind: "statistics" }
  /** After the answer the connection brings an Inspection in JSON, and ends. */
  | { readonly kind: "inspect" }
  /** Ends the machine at once. */
  | { readonly kind: "end" };

/** The line that answers. */
export interface ControlAnswer {
  readonly error?: string;
  readonly statistics?: MachineStatistics;
}

/** The request in a line; undefined where it is none. */
export function parseRequest(line: string): ControlRequest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  switch (value.kind) {
    case "connect":
      return "port" in value && typeof value.port === "number"
        ? { kind: "connect", port: value.port }
        : undefined;
    case "resize":
      return "columns" in value &&
        "rows" in value &&
        typeof value.columns === "number" &&
        typeof value.rows === "number"
        ? { kind: "resize", columns: value.columns, rows: value.rows }
        : undefined;
    case "ready":
    case "console":
    case "statistics":
    case "inspect":
    case "end":
      return { kind: value.kind };
    default:
      return undefined;
  }
}
