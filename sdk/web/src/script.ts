// The script-tag build: the same functions, as the global `viewledger`.
import { init, setConsent, track } from "./index.js";

Object.assign(globalThis, { viewledger: { init, track, setConsent } });
