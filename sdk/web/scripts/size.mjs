// Fails when the script-tag build is larger than it may be.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 4096;
const size = gzipSync(readFileSync("dist/viewledger.min.js"), { level: 9 }).length;
console.log(`dist/viewledger.min.js: ${size} of ${LIMIT} bytes, gzip`);
process.exitCode = size > LIMIT ? 1 : 0;
