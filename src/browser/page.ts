/** The page: a terminal, a line about the machine, and what is shown at its end. */
import { Bug } from "../base/errors.ts";
import { SERVED_GUEST_PATH } from "../machine/served-guest.ts";
import { MachineClient } from "./machine-client.ts";
import { describeEnd, describeState, type MachineState } from "./state.ts";
import { TerminalView } from "./terminal-view.ts";

const WORKER_PATH = "worker.js";

const page = {
  state: elementOf("state", HTMLElement),
  loading: elementOf("loading", HTMLProgressElement),
  terminal: elementOf("terminal", HTMLElement),
  end: elementOf("end", HTMLElement),
  endSentence: elementOf("end-sentence", HTMLElement),
  startAgain: elementOf("start-again", HTMLButtonElement),
};

/** The machine that runs. */
let machine: MachineClient | undefined;
const terminal = new TerminalView(page.terminal, {
  onInput: (bytes) => machine?.send(bytes),
  onResize: (columns, rows) => machine?.resize(columns, rows),
});
page.startAgain.addEventListener("click", start);
if (crossOriginIsolated) start();
else {
  const sentence =
    "This page has no shared memory, which the machine needs; open it at the address that the server says, in a browser of 2023 or later.";
  show({ kind: "ended", reason: { kind: "failed", sentence } });
}

function start(): void {
  terminal.reset();
  machine = new MachineClient(addressOf(WORKER_PATH), addressOf(SERVED_GUEST_PATH), terminal.size, {
    onOutput: (bytes) => terminal.write(bytes),
    onState: show,
  });
}

function show(state: MachineState): void {
  page.state.textContent = describeState(state);
  page.loading.hidden = state.kind !== "loading";
  page.end.hidden = state.kind !== "ended";
  if (state.kind === "loading") {
    page.loading.max = state.size;
    page.loading.value = state.received;
  }
  if (state.kind === "ended") {
    machine = undefined;
    page.endSentence.textContent = describeEnd(state.reason);
    page.startAgain.focus();
  }
}

function addressOf(path: string): string {
  return new URL(path, document.baseURI).href;
}

function elementOf<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Bug(`The page has no element ${id} of the kind wanted.`);
  return element;
}
