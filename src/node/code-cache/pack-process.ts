/** The process that makes packs of what machines noted, after they have ended: `node pack-process.js DIRECTORY`. */
import { constants, setPriority } from "node:os";
import { enableEngineFeatures } from "../engine-features.ts";
import { makePack } from "./make-pack.ts";

const [, , directory] = process.argv;
setPriority(constants.priority.PRIORITY_LOW);
enableEngineFeatures();
if (directory !== undefined) makePack(directory, { native: true });
