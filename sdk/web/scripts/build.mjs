// dist/index.js is the ES module, dist/viewledger.min.js the script-tag build (global `viewledger`).
import { rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
const common = { bundle: true, target: "es2021", charset: "utf8" };
await build({ ...common, entryPoints: ["src/index.ts"], format: "esm", outfile: "dist/index.js" });
await build({
  ...common,
  entryPoints: ["src/script.ts"],
  format: "iife",
  minify: true,
  legalComments: "none",
  outfile: "dist/viewledger.min.js",
});
