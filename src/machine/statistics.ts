import type { CodeCache } from "../engine/translator/code-cache.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import type { ShadowWalk } from "../mmu/shadow/shadow-walk.ts";
import type { UserNetworkStatistics } from "../network/user-network.ts";
import type { Machine } from "./machine.ts";
import type { ProcessingElement } from "./processing-element.ts";
import type { MachineStatistics } from "./virtual-machine-interface.ts";

/** Figures about a run, for `--stats` and Ctrl-A s. */
export function machineStatistics(
  machine: Machine,
  run: { milliseconds: number; idleMilliseconds: number; resets: number },
  network?: UserNetworkStatistics,
): MachineStatistics {
  const { interpreter, store, tlbs } = machine;
  const busySeconds = (run.milliseconds - run.idleMilliseconds) / 1000;
  const { translator } = interpreter;
  const inRegions = translator?.statistics();
  const fills = sum(machine, ({ base }) =>
    Number(machine.memory.doubleWords[(base + PE_LAYOUT.SHADOW_FILLS) >>> 3]),
  );
  const misses = fills + sum(machine, ({ mmu }) => mmu.statistics().walks);
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
    tlbMisses: misses,
    tlbMissesPer1000Instructions: (1000 * misses) / machine.instructions,
    tableWalks: misses - fills - sum(machine, ({ mmu }) => mmu.shadowWalk?.hits ?? 0),
    tlbInvalidations: tlbs.invalidations,
    tracedWrites: store.tracedWrites,
    ...(network !== undefined && {
      networkConnections: network.tcpConnections,
      networkBufferedBytes: network.tcpBufferedBytes,
      networkUdpFlows: network.udpFlows,
      networkDroppedFrames: network.droppedFrames,
      networkRefusedConnections: network.refusedConnections,
    }),
    tlbFlushes: sum(machine, (element) => element.mmu.statistics().flushes),
    addressSpaceReassignments: sum(machine, (element) => element.mmu.statistics().reassignments),
    ...shadowStatistics(machine, fills),
    ...(translator !== undefined && {
      regions: translator.regions,
      regionInvalidations: translator.invalidations,
      regionModules: translator.modules,
      regionFailures: translator.failures,
      regionCodeBytes: translator.codeBytes,
      regionsCompiled: translator.place,
      regionEntries: inRegions?.entries ?? 0,
      regionInstructions: inRegions?.instructions ?? 0,
    }),
    ...(translator?.cache !== undefined && codeCacheStatistics(translator.cache)),
  };
}

function sum(machine: Machine, figure: (element: ProcessingElement) => number): number {
  return machine.elements.reduce((total, element) => total + figure(element), 0);
}

/** What shadow tables did, where there are any. */
function shadowStatistics({ shadow, elements }: Machine, fills: number): MachineStatistics {
  if (shadow === undefined) return {};
  const walks = elements.map(({ mmu }) => mmu.shadowWalk!);
  const total = (figure: (walk: ShadowWalk) => number) => walks.reduce((all, walk) => all + figure(walk), 0);
  const { fills: read, drains, lateRecords, lostUpdates, purges, rootsDropped, links } = shadow.statistics;
  const { leaves, leavesLost, wideInvalidations, wideLeaves, wideLeavesLost } = shadow.statistics;
  return {
    shadowHits: fills + total((walk) => walk.hits),
    shadowHitsInGeneratedCode: fills,
    shadowFaults: total((walk) => walk.absentHits),
    shadowMisses: total((walk) => walk.walks),
    shadowTables: shadow.liveTables,
    shadowEntriesRead: read,
    shadowTablesLinked: links,
    shadowLeaves: leaves,
    shadowLeavesLost: leavesLost,
    shadowWideInvalidations: wideInvalidations,
    shadowLeavesBeforeWideInvalidations: wideLeaves,
    shadowLeavesLostByWideInvalidations: wideLeavesLost,
    shadowRootsDropped: rootsDropped,
    shadowPurges: purges,
    shadowLostUpdates: lostUpdates,
    writeBufferRecords: shadow.buffers.records,
    writeBufferOverflows: shadow.buffers.overflows,
    writeBufferLateRecords: lateRecords,
    writeBufferDrains: drains,
    ...(walks.some(({ check }) => check) && { checkedTranslations: total((walk) => walk.checked) }),
  };
}

function codeCacheStatistics(cache: CodeCache): MachineStatistics {
  return {
    codeCacheRegions: cache.regions,
    codeCacheBytes: cache.bytes,
    codeCacheHits: cache.hits,
    codeCacheMisses: cache.misses,
    codeCacheRefused: cache.refused,
  };
}
