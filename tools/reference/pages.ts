import { devicesPage } from "./devices.ts";
import { instructionsPage } from "./instructions.ts";
import { layoutsPage } from "./layouts.ts";
import { join, type Page, render } from "./markdown.ts";
import { memoryMapPage } from "./memory-map.ts";
import { powerPage } from "./power.ts";
import { processorPage } from "./processor.ts";
import { runtimeFunctionsPage } from "./runtime-functions.ts";
import { servicesPage } from "./services.ts";
import { systemRegistersPage } from "./system-registers.ts";
import { trapsPage } from "./traps.ts";

/** The files of docs/reference/, by name. Nothing but the sources' tables goes into them. */
export function referenceFiles(): ReadonlyMap<string, string> {
  const pages = [
    instructionsPage(),
    processorPage(),
    systemRegistersPage(),
    trapsPage(),
    memoryMapPage(),
    devicesPage(),
    powerPage(),
    servicesPage(),
    runtimeFunctionsPage(),
    layoutsPage(),
  ];
  return new Map([indexOf(pages), ...pages].map((page) => [page.file, render(page)]));
}

function indexOf(pages: readonly Page[]): Page {
  return {
    file: "README.md",
    title: "Reference",
    summary: "",
    body: join(
      "What the tables in the sources say, for people. The sources are the authority.",
      pages.map(({ file, title, summary }) => `- [${title}](${file}): ${summary}`).join("\n"),
    ),
  };
}
