import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { eventQueue } from "../src/queue.js";
import { eventSender } from "../src/send.js";
import type { ViewEvent } from "../src/types.js";
import { event } from "./events.js";
import { fakeStorage } from "./fake_storage.js";

type Sent = ViewEvent & { sent_at: number };
type Headers = Record<string, string>;
type Answer = { status: number; headers?: Headers; body?: unknown; text?: string } | "none";
const ACCEPT: Answer = { status: 202, body: { accepted: 1, rejected: [] } };

// The timers of a page die with it; here they would keep the process.
const { setTimeout: plainTimeout } = globalThis;
globalThis.setTimeout = ((run: () => void, ms: number) => {
  const timer = plainTimeout(run, ms);
  return ms > 100 ? timer.unref() : timer;
}) as typeof setTimeout;

let cleanups: (() => void)[] = [];
afterEach(() => {
  cleanups.forEach((clean) => clean());
  cleanups = [];
});

/** A collector on a real socket that answers as `answers` say, and then takes everything. */
async function collector(...answers: Answer[]) {
  const batches: Sent[][] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    batches.push(JSON.parse(text) as Sent[]);
    const answer = answers.shift() ?? ACCEPT;
    if (answer === "none") return void request.socket.destroy();
    response.writeHead(answer.status, answer.headers);
    response.end(answer.text ?? JSON.stringify(answer.body ?? {}));
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1/views?key=vlpk_x`, batches };
}

function client(disk: Storage = fakeStorage()) {
  const accepted: string[] = [];
  const problems: [string, string, string[]][] = [];
  const queue = eventQueue(() => disk, (...problem) => void problems.push(problem));
  const sender = eventSender(queue, {
    accepted: (ids) => void accepted.push(...ids),
    problem: (...problem) => void problems.push(problem),
  });
  return { queue, sender, accepted, problems };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (holds()) return;
    await new Promise((next) => setTimeout(next, 10));
  }
  assert.fail("did not happen");
}

/** Backoff without the waiting: the least that jitter may give. */
function hurry(): void {
  const random = Math.random;
  Math.random = () => 0;
  cleanups.push(() => (Math.random = random));
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => from + i);
const ids = (batch: Sent[]) => batch.map((one) => one.event_id);

test("sends batches of at most 50 in order, and forgets what was taken", async () => {
  const { url, batches } = await collector();
  const { queue, sender, accepted } = client();
  for (const n of numbers(0, 120)) queue.put({ url, due: 0, event: event(n) });
  sender.wake(0);
  await until(() => accepted.length === 120);
  assert.deepEqual(batches.map((batch) => batch.length), [50, 50, 20]);
  assert.deepEqual(batches.flatMap(ids), numbers(0, 120).map((n) => event(n).event_id));
  assert.equal(queue.entries(Date.now()).length, 0);
});

test("a batch is at most 60,000 bytes, in UTF-8", async () => {
  const { url, batches } = await collector();
  const { queue, sender, accepted } = client();
  for (const n of numbers(0, 10)) {
    queue.put({ url, due: 0, event: event(n, { attrs: { text: "€".repeat(7000) } }) });
  }
  sender.wake(0);
  await until(() => accepted.length === 10);
  assert.ok(batches.every((batch) => Buffer.byteLength(JSON.stringify(batch)) <= 60_000));
  assert.equal(batches.length, 5);
});

for (const answer of [
  "none",
  { status: 503, headers: {} },
  { status: 429, headers: {} },
  { status: 408 },
  { status: 500 },
  { status: 200, body: "a login page" },
] as Answer[]) {
  test(`tries again after ${JSON.stringify(answer)}: same event, new sent_at`, async () => {
    hurry();
    const { url, batches } = await collector(answer, answer);
    const { queue, sender, accepted, problems } = client();
    queue.put({ url, due: 0, event: event(1) });
    sender.wake(0);
    await until(() => accepted.length === 1);
    assert.equal(batches.length, 3);
    const [first, second, third] = batches.map((batch) => batch[0]!);
    assert.ok(first!.sent_at < second!.sent_at && second!.sent_at < third!.sent_at);
    assert.deepEqual({ ...first, sent_at: 0 }, { ...event(1), sent_at: 0 });
    assert.deepEqual({ ...third, sent_at: 0 }, { ...event(1), sent_at: 0 });
    assert.deepEqual(problems, []);
  });
}

test("Retry-After is honoured, by the next page as well, but the network's return is not", async () => {
  hurry();
  const { url, batches } = await collector({ status: 503, headers: { "Retry-After": "1" } });
  const disk = fakeStorage();
  const { queue, sender } = client(disk);
  queue.put({ url, due: 0, event: event(1) });
  sender.wake(0);
  await until(() => batches.length === 1);
  await until(() => queue.entries(Date.now())[0]!.due < Date.now() + 30_000);
  const start = Date.now();
  sender.retry();
  const next = client(disk);
  next.sender.wake(0);
  await until(() => batches.length > 1);
  assert.ok(Date.now() - start > 800);
});

test("final refusals are told and forgotten", async () => {
  const rejected = [{ index: 1, event_id: null, reason: "too_late", detail: "a week" }];
  const { url } = await collector(
    { status: 202, body: { accepted: 1, rejected } },
    { status: 401, body: { detail: "no such key" } },
  );
  const { queue, sender, accepted, problems } = client();
  for (const n of [1, 2]) queue.put({ url, due: 0, event: event(n) });
  sender.wake(0);
  await until(() => accepted.length === 1);
  queue.put({ url, due: 0, event: event(3) });
  sender.wake(0);
  await until(() => problems.length === 2);
  assert.deepEqual(accepted, [event(1).event_id]);
  assert.deepEqual(problems, [
    ["rejected", "too_late: a week", [event(2).event_id]],
    ["refused", "401: no such key", [event(3).event_id]],
  ]);
  assert.equal(queue.entries(Date.now()).length, 0);
});

test("a batch that is too large is halved", async () => {
  const { url, batches } = await collector({ status: 413 }, { status: 413 });
  const { queue, sender, accepted } = client();
  for (const n of numbers(0, 40)) queue.put({ url, due: 0, event: event(n) });
  sender.wake(0);
  await until(() => accepted.length === 40);
  assert.deepEqual(batches.map((batch) => batch.length), [40, 20, 10, 10, 10, 10]);
});

test("each event goes to the address of its own key", async () => {
  const one = await collector();
  const other = await collector();
  const { queue, sender, accepted } = client();
  for (const n of numbers(0, 6)) {
    queue.put({ url: n % 2 ? one.url : other.url, due: 0, event: event(n) });
  }
  sender.wake(0);
  await until(() => accepted.length === 6);
  assert.deepEqual(one.batches.map(ids), [[1, 3, 5].map((n) => event(n).event_id)]);
  assert.deepEqual(other.batches.map(ids), [[0, 2, 4].map((n) => event(n).event_id)]);
});

test("what is under way is left alone by other tabs; a dead one's is taken over", async () => {
  const { url, batches } = await collector();
  const disk = fakeStorage();
  const { queue } = client(disk);
  queue.put({ url, due: Date.now() + 60_000, event: event(1) });
  queue.put({ url, due: Date.now() - 1, event: event(2) });
  const tab = client(disk);
  tab.sender.wake(0);
  await until(() => tab.accepted.length === 1);
  assert.deepEqual(batches.map(ids), [[event(2).event_id]]);
  assert.equal(queue.entries(Date.now()).length, 1);
});

test("an open view is not sent by its own page, however late", async () => {
  const { url, batches } = await collector();
  const { queue, sender, accepted } = client();
  sender.held.add(event(1).event_id);
  queue.put({ url, due: Date.now() - 1, event: event(1) });
  queue.put({ url, due: 0, event: event(2) });
  sender.wake(0);
  await until(() => accepted.length === 1);
  assert.deepEqual(batches.map(ids), [[event(2).event_id]]);
});

test("sent_at never goes back, whatever is done to the clock", () => {
  const sent: Sent[][] = [];
  const sendBeacon = (_: string, body: string) => sent.push(JSON.parse(body)) > 0;
  Object.defineProperty(globalThis, "navigator", { value: { sendBeacon }, configurable: true });
  const now = Date.now;
  cleanups.push(() => (Date.now = now));
  const { queue, sender } = client();
  queue.put({ url: "u", due: 0, event: event(1) });
  sender.leave(true);
  Date.now = () => now() - 3_600_000;
  queue.put({ url: "u", due: 0, event: event(1) });
  sender.leave(true);
  assert.equal(sent.length, 2);
  assert.ok(sent[1]![0]!.sent_at >= sent[0]![0]!.sent_at);
});

test("a clock that was set back sends nothing before it happened", () => {
  const sent: Sent[][] = [];
  const sendBeacon = (_: string, body: string) => sent.push(JSON.parse(body)) > 0;
  Object.defineProperty(globalThis, "navigator", { value: { sendBeacon }, configurable: true });
  const { queue, sender } = client();
  const occurred_at = Date.now() + 3_600_000;
  queue.put({ url: "u", due: 0, event: event(1, { occurred_at }) });
  queue.put({ url: "u", due: 0, event: event(2) });
  const before = Date.now();
  sender.leave(true);
  const [second, first] = sent[0]!;
  assert.equal(first!.sent_at, occurred_at);
  assert.ok(second!.sent_at >= before && second!.sent_at <= Date.now());
});

test("what the browser has no room for stays in the queue", () => {
  let room = 2;
  const sendBeacon = () => room-- > 0;
  Object.defineProperty(globalThis, "navigator", { value: { sendBeacon }, configurable: true });
  const { queue, sender } = client();
  for (const n of numbers(0, 120)) queue.put({ url: "u", due: 0, event: event(n) });
  sender.leave(true);
  const due = queue.entries(Date.now()).filter((entry) => !entry.due);
  assert.equal(due.length, 20, "two beacons of 50 are under way");
});

interface Case {
  name: string;
  events: number;
  now_ms: number;
  status: number | null;
  headers: Headers;
  body: string;
  expect: {
    action: "settle" | "retry" | "halve" | "give_up";
    not_before_ms?: number;
    reason?: string;
    rejected?: Record<string, string>;
  };
}
const vectors = JSON.parse(readFileSync("../vectors/answers.json", "utf8")) as { cases: Case[] };

for (const { name, events, now_ms, status, headers, body, expect } of vectors.cases) {
  test(`protocol, answers: ${name}`, async () => {
    hurry();
    const given = { ...headers };
    const date = Date.parse(given["Retry-After"] ?? "");
    // Dates are those of the vectors' own present.
    if (date > 1e12) given["Retry-After"] = new Date(Date.now() + date - now_ms).toUTCString();
    const { url, batches } = await collector(
      status === null ? "none" : { status, headers: given, text: body },
    );
    const { queue, sender, accepted, problems } = client();
    const ids = numbers(0, events).map((n) => event(n).event_id);
    for (const n of numbers(0, events)) queue.put({ url, due: 0, event: event(n) });
    sender.wake(0);
    const left = () => queue.entries(Date.now()).length;
    const told = () => problems.flatMap(([, , of]) => of);
    await until(() => batches.length > 0);
    if (expect.action === "retry") {
      if (expect.not_before_ms) {
        const asked = Date.now() + expect.not_before_ms;
        await until(() => Math.abs(queue.entries(Date.now())[0]!.due - asked) < 1500);
        assert.equal(batches.length, 1);
      } else await until(() => accepted.length === events);
      assert.deepEqual(told(), []);
      return;
    }
    await until(() => left() === 0 && accepted.length + told().length === events);
    if (expect.action === "halve") {
      assert.deepEqual(accepted, ids);
      assert.ok(batches.slice(1).every((batch) => batch.length <= Math.ceil(events / 2)));
      return;
    }
    const rejected = Object.entries(expect.rejected ?? {});
    const givenUp = expect.action === "give_up" && !rejected.length;
    assert.equal(batches.length, 1);
    assert.equal(accepted.length, givenUp ? 0 : events - rejected.length);
    for (const [index, reason] of rejected) {
      const found = problems.find(([, , of]) => of.includes(ids[Number(index)]!));
      assert.ok(found?.[0] === "rejected" && found[1].startsWith(`${reason}: `));
    }
    if (givenUp) assert.equal(problems[0]![0], "refused");
  });
}
