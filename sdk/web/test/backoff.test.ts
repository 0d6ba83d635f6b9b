import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffMs, retryAfterMs } from "../src/backoff.js";

test("waits anything from nothing to twice as long each time, at most five minutes", () => {
  assert.deepEqual([1, 2, 3, 20].map((n) => backoffMs(n, () => 1)), [2000, 4000, 8000, 300_000]);
  assert.equal(backoffMs(5, () => 0), 0);
});

test("Retry-After in seconds, as a date, or nonsense", () => {
  const now = Date.UTC(2026, 10, 23, 12);
  assert.equal(retryAfterMs("7", now), 7000);
  assert.equal(retryAfterMs(new Date(now + 90_000).toUTCString(), now), 90_000);
  assert.equal(retryAfterMs(new Date(now - 90_000).toUTCString(), now), 0);
  assert.equal(retryAfterMs("86400", now), 3_600_000);
  for (const text of [null, "", "soon", "-5"]) assert.equal(retryAfterMs(text, now), 0);
});

test("whatever a server says, the wait is a number from 0 to an hour", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (text, now) => {
      const ms = retryAfterMs(text, now);
      assert.ok(ms >= 0 && ms <= 3_600_000);
    }),
  );
});
