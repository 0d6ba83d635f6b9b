import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { eventQueue } from "../src/queue.js";
import { event } from "./events.js";
import { fakeStorage, forbidden } from "./fake_storage.js";

const DAY = 24 * 3_600_000;

function open(disk: Storage | undefined) {
  const lost: [string, string][] = [];
  const queue = eventQueue(
    () => disk,
    (kind, _, ids) => ids.forEach((id) => lost.push([kind, id])),
  );
  const ids = () => queue.entries(Date.now()).map((entry) => entry.event.event_id);
  return { queue, lost, ids };
}
const entry = (number: number, more = {}) => ({ url: "u", due: 0, event: event(number, more) });

test("what is put is there for the next page, oldest first, until it is removed", () => {
  const disk = fakeStorage();
  const { queue } = open(disk);
  for (const number of [3, 1, 2]) queue.put(entry(number));
  const next = open(disk);
  assert.deepEqual(next.ids(), [1, 2, 3].map((n) => event(n).event_id));
  next.queue.remove(event(2).event_id);
  assert.deepEqual(open(disk).ids(), [1, 3].map((n) => event(n).event_id));
});

test("two tabs never lose each other's events, in any order of what they do", () => {
  const step = fc.record({ tab: fc.nat(1), put: fc.boolean(), number: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const disk = fakeStorage();
      const tabs = [open(disk), open(disk)];
      const model = new Set<string>();
      for (const { tab, put, number } of steps) {
        const id = event(number).event_id;
        if (put) tabs[tab]!.queue.put(entry(number));
        else tabs[tab]!.queue.remove(id);
        if (put) model.add(id);
        else model.delete(id);
      }
      for (const tab of tabs) assert.deepEqual(tab.ids(), [...model].sort());
    }),
  );
});

for (const [name, disk] of [
  ["none", () => undefined],
  ["full", () => fakeStorage(10)],
  ["forbidden", () => forbidden],
] as const) {
  test(`without a usable store (${name}) events live in memory`, () => {
    const { queue, ids } = open(disk());
    queue.put(entry(1));
    queue.put(entry(2));
    queue.remove(event(1).event_id);
    assert.deepEqual(ids(), [event(2).event_id]);
  });
}

test("what is older than a day is given up, and that is said", () => {
  const { queue, ids, lost } = open(fakeStorage());
  queue.put(entry(1, { occurred_at: Date.now() - DAY - 1000 }));
  queue.put(entry(2, { occurred_at: Date.now() - DAY + 60_000 }));
  assert.deepEqual(ids(), [event(2).event_id]);
  assert.deepEqual(lost, [["too_old", event(1).event_id]]);
  assert.deepEqual(ids(), [event(2).event_id], "said once");
  assert.equal(lost.length, 1);
});

test("it is bounded: the oldest make room", () => {
  const disk = fakeStorage();
  const { queue, ids, lost } = open(disk);
  for (let n = 0; n < 120; n++) queue.put(entry(n, { attrs: { text: "x".repeat(10_000) } }));
  const left = ids();
  assert.ok(left.length >= 27 && left.length < 30);
  assert.equal(left.at(-1), event(119).event_id);
  assert.equal(lost.length, 120 - left.length);
  assert.ok(lost.every(([kind]) => kind === "queue_full"));
  assert.equal(Object.keys(disk).length, left.length);
});

test("what others wrote there does no harm", () => {
  const disk = fakeStorage();
  const { queue, ids } = open(disk);
  disk.setItem("theirs", "{nonsense");
  for (const [i, text] of ["{nonsense", "null", "7", "{}", '"x"'].entries()) {
    disk.setItem(`viewledger:event:${i}`, text);
  }
  queue.put(entry(1));
  assert.deepEqual(ids(), [event(1).event_id]);
  assert.equal(disk.getItem("theirs"), "{nonsense");
  assert.equal(Object.keys(disk).length, 2);
});

test("a clock that was set back does not make an entry wait", () => {
  const { queue } = open(fakeStorage());
  queue.put({ ...entry(1), due: Date.now() + 30 * DAY });
  queue.put({ ...entry(2), due: Date.now() + 60_000 });
  const [first, second] = queue.entries(Date.now());
  assert.equal(first!.due, 0);
  assert.ok(second!.due > Date.now());
});
