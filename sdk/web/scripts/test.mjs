// Bundles test/*.test.ts (Node 20 reads no TypeScript) and runs them with node's own runner.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const out = mkdtempSync("node_modules/.test-");
try {
  const tests = readdirSync("test").filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((name) => `test/${name}`),
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    sourcemap: "inline",
    outdir: out,
    outExtension: { ".js": ".mjs" },
  });
  const files = tests.map((name) => `${out}/${name.replace(/\.ts$/, ".mjs")}`);
  const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-timeout=20000", "--test-reporter=dot", ...files], {
    stdio: "inherit",
  });
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
