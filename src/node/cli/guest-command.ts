import { UserError } from "../../base/errors.ts";
import type { ToolsOrder } from "../../hypervisor/vmware/guest-tools.ts";
import { RemoteMachine } from "../machines/control-client.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import type { Host } from "./host.ts";

/** `elvisor guest`: what a guest and its host tell each other through its tools. */

function find(name: string, host: Host): RemoteMachine {
  return RemoteMachine.find(new Registry(runtimeDirectory(host.environment)), name);
}

export async function guestInfoCommand(name: string, options: { json?: boolean }, host: Host): Promise<void> {
  const guest = await find(name, host).guest();
  if (options.json === true) {
    host.stdout.write(`${JSON.stringify(guest, null, 2)}\n`);
    return;
  }
  const { tools, facts, cards, values } = guest;
  const lines = [
    `tools: ${tools.running ? `running, last heard of ${tools.lastHeartbeat ?? "never"}` : "not running"}`,
    `time synchronisation: ${tools.syncsTime ? "on" : "off"}`,
    ...Object.entries(facts).map(([key, value]) => `${key}: ${value}`),
    ...cards.map(({ hardwareAddress, addresses }) => `network ${hardwareAddress}: ${addresses.join(", ")}`),
    ...Object.entries(values).map(([key, value]) => `guestinfo.${key}: ${value}`),
  ];
  // Text of the guest's must not reach the terminal as commands.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  for (const line of lines) host.stdout.write(`${line.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ")}\n`);
}

export async function guestGetCommand(name: string, key: string, host: Host): Promise<void> {
  const { values } = await find(name, host).guest();
  const value = values[key];
  if (value === undefined) {
    throw new UserError(`Nobody has set "${key}" in ${name}; elvisor guest info ${name} shows what is set.`);
  }
  host.stdout.write(`${value}\n`);
}

export async function guestSetCommand(name: string, key: string, value: string, host: Host): Promise<void> {
  await find(name, host).setValue(key, value);
}

export async function guestOrderCommand(name: string, order: ToolsOrder, host: Host): Promise<void> {
  await find(name, host).order(order);
}

export async function guestSyncTimeCommand(name: string, wanted: "on" | "off", host: Host): Promise<void> {
  const machine = find(name, host);
  await machine.syncTime(wanted === "on");
  if (wanted === "on") await machine.order("Time_Synchronize 1");
}
