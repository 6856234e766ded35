import type { StateField } from "../base/state-fields.ts";
import type { CallOutcome, GuestCaller } from "./services/guest-caller.ts";
import { GuestInfo } from "./services/guest-info.ts";
import {
  callFromHost,
  type ServiceAnswer,
  type ServiceInputs,
  type ServiceName,
} from "./services/host-calls.ts";
import { RateLimit } from "./services/rate-limit.ts";
import { RegisterDoors } from "./services/register-doors.ts";
import type { IntegrityServices, ServiceHost } from "./services/service-table.ts";
import { callSmccc } from "./services/smccc-door.ts";
import { type BackdoorFacts, VmwareBackdoor } from "./vmware/backdoor.ts";
import { GuestTools, type ToolsOrder, type ToolsState } from "./vmware/guest-tools.ts";
import { MessageChannels } from "./vmware/message-channels.ts";

/** Which other hypervisor's interface is answered besides our own. */
export type Compatibility = "vmware";

export interface GuestServicesOptions {
  /** Whether calls are answered at first. */
  readonly enabled?: boolean;
  readonly compatibility: Compatibility | undefined;
  readonly facts: Omit<BackdoorFacts, "syncsTime" | "wallMicroseconds">;
  /** Seconds since 1970, and a clock for limits, in seconds. */
  wallSeconds(): number;
  seconds(): number;
  log(text: string): void;
  readonly integrity: IntegrityServices;
}

/** What a guest may ask of its hypervisor, through all doors (spec 2.4.4), and what it has left there. */
export class GuestServices {
  readonly info: GuestInfo = new GuestInfo();
  /** Whether calls are answered; otherwise the instructions do what the architecture says. */
  enabled: boolean;
  readonly #host: ServiceHost;
  readonly #limit: RateLimit;
  readonly #doors: RegisterDoors;
  readonly #tools: GuestTools;
  readonly #channels: MessageChannels;

  constructor(options: GuestServicesOptions) {
    this.enabled = options.enabled ?? true;
    const { info } = this;
    const { compatibility, facts, log } = options;
    const wallMicroseconds = (): bigint => BigInt(Math.floor(options.wallSeconds() * 1e6));
    this.#host = {
      info,
      log,
      integrity: options.integrity,
      wallNanoseconds: () => wallMicroseconds() * 1000n,
    };
    this.#limit = new RateLimit(options.seconds);
    this.#tools = new GuestTools({ info, log, wallSeconds: options.wallSeconds });
    this.#channels = new MessageChannels(this.#tools);
    const vmware =
      compatibility === "vmware"
        ? new VmwareBackdoor(
            { ...facts, wallMicroseconds, syncsTime: () => this.#tools.syncsTime },
            this.#channels,
          )
        : undefined;
    this.#doors = new RegisterDoors(this.#host, this.#limit, vmware);
  }

  /** Calls served through registers and the VMware interface. */
  get served(): number {
    return this.#doors.served;
  }

  /** MRS XZR, MDCCSR_EL0 or BRK #0x5658 was executed. */
  registerCall(caller: GuestCaller): CallOutcome {
    return this.enabled ? this.#doors.call(caller) : "not ours";
  }

  /** HVC with a function identifier of the vendor's range. */
  smcccCall(caller: GuestCaller): CallOutcome {
    return this.enabled ? callSmccc(this.#host, this.#limit, caller) : "not ours";
  }

  /** A service for the machine's owner; see {@link callFromHost}. */
  callFromHost<Name extends ServiceName>(name: Name, inputs: ServiceInputs<Name>): ServiceAnswer<Name> {
    return callFromHost(this.#host, name, inputs);
  }

  tools(): ToolsState {
    return this.#tools.state();
  }

  /** Lets the guest's tools keep its clock at the host's, or not. */
  syncTime(wanted: boolean): void {
    this.#tools.syncsTime = wanted;
  }

  /** See {@link GuestTools.order}. */
  order(order: ToolsOrder): boolean {
    return this.#tools.order(order);
  }

  stateFields(): readonly StateField[] {
    return this.info.stateFields();
  }

  /** Channels end: the guest's tools open new ones, as after a resume of VMware's. */
  stateRestored(): void {
    this.reset();
  }

  /** The machine starts again: what the guest left with its host stays. */
  reset(): void {
    this.#tools.reset();
    this.#channels.reset();
  }
}
