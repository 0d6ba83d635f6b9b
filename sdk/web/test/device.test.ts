import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { withoutQuery } from "../src/device.js";
import { randomId } from "../src/ids.js";
import { shareOf } from "../src/visibility.js";

test("a referrer has no query and no fragment", () => {
  assert.equal(withoutQuery("https://a.example/b?mail=x@y.example#z"), "https://a.example/b");
  assert.equal(withoutQuery("https://a.example/b#token=1"), "https://a.example/b");
  assert.equal(withoutQuery(""), undefined);
  assert.equal(withoutQuery("https://a.example/" + "x".repeat(9000))!.length, 2048);
});

test("ids are 22 characters of base64url and do not repeat", () => {
  const ids = Array.from({ length: 5000 }, randomId);
  assert.ok(ids.every((id) => /^[A-Za-z0-9_-]{22}$/.test(id)));
  assert.equal(new Set(ids).size, ids.length);
});

const size = fc.record({
  width: fc.integer({ min: 0, max: 3000 }),
  height: fc.integer({ min: 0, max: 3000 }),
});
const rect = (one: { width: number; height: number }) => one as DOMRectReadOnly;

test("the share is of what fits into the viewport, 0 to 1", () => {
  const share = (whole: object, part: object, root: object | null, ratio = 0.25) =>
    shareOf({
      boundingClientRect: rect(whole as never),
      intersectionRect: rect(part as never),
      rootBounds: root && rect(root as never),
      intersectionRatio: ratio,
    });
  const phone = { width: 400, height: 800 };
  assert.equal(share({ width: 400, height: 3200 }, phone, phone), 1);
  assert.equal(share({ width: 400, height: 200 }, { width: 400, height: 50 }, phone), 0.25);
  assert.equal(share({ width: 400, height: 200 }, { width: 0, height: 0 }, phone), 0);
  assert.equal(share({ width: 0, height: 0 }, { width: 0, height: 0 }, phone), 0);
  assert.equal(share(phone, phone, null), 0.25);
  fc.assert(
    fc.property(size, size, size, (whole, part, root) => {
      const found = share(whole, part, root);
      assert.ok(found >= 0 && found <= 1);
    }),
  );
});
