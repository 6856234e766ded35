import type { Machine } from "./machine.ts";
import type { MachineStatistics } from "./virtual-machine-interface.ts";

/** Figures about a run, for `--stats` and Ctrl-A s. */
export function machineStatistics(
  machine: Machine,
  run: { milliseconds: number; idleMilliseconds: number; resets: number },
): MachineStatistics {
  const { interpreter, elements, store, tlbs } = machine;
  const busySeconds = (run.milliseconds - run.idleMilliseconds) / 1000;
  const { translator } = interpreter;
  const inRegions = translator?.statistics();
  const walks = elements.reduce((sum, { mmu }) => sum + mmu.statistics().walks, 0);
  return {
    seconds: run.milliseconds / 1000,
    idleSeconds: run.idleMilliseconds / 1000,
    resets: run.resets,
    instructions: machine.instructions,
    millionInstructionsPerBusySecond: machine.instructions / busySeconds / 1e6,
    instructionsDecoded: interpreter.decoded,
    handlersCompiled: interpreter.coldHandlers,
    recordPages: interpreter.records.pages,
    recordEvictions: interpreter.records.evictions,
    recordDrops: interpreter.records.drops,
    tableWalks: walks,
    tlbInvalidations: tlbs.invalidations,
    tracedWrites: store.tracedWrites,
    ...(translator !== undefined && {
      regions: translator.regions,
      regionInvalidations: translator.invalidations,
      regionModules: translator.modules,
      regionFailures: translator.failures,
      regionCodeBytes: translator.codeBytes,
      regionEntries: inRegions?.entries ?? 0,
      regionInstructions: inRegions?.instructions ?? 0,
    }),
  };
}
