import assert from "node:assert/strict";
import { test } from "node:test";
import { watch, type Page } from "../src/view.js";

// As much of a document as an element that is not seen needs.
Object.assign(globalThis, {
  HTMLMediaElement: class {},
  IntersectionObserver: class {
    observe(): void {}
    disconnect(): void {}
  },
});

test("what is stopped is let go, though the element stays in the document", () => {
  const element = Object.assign(new EventTarget(), { isConnected: true }) as Element;
  const page = { visible: () => true, idleMs: () => 10_000 } as Page;
  const watched = watch(element, { campaign: "c", promoter: "p", post: "post" }, page);
  watched.look();
  assert.ok(!watched.gone());
  watched.stop();
  assert.ok(watched.gone());
});
