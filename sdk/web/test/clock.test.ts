import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { watchClock, type Sample } from "../src/clock.js";

/** What a player does for some time: whether it plays, at which rate, how much of it is seen. */
const stretch = fc.record({
  ms: fc.integer({ min: 1, max: 2000 }),
  running: fc.boolean(),
  stuck: fc.boolean(),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  rate: fc.constantFrom(0.5, 1, 1.5, 2),
  seekTo: fc.option(fc.double({ min: 0, max: 600, noNaN: true }), { nil: undefined }),
});
interface Stretch {
  ms: number;
  running: boolean;
  stuck?: boolean;
  share: number;
  rate: number;
  seekTo?: number;
}

/** Plays `stretches`; every position is told with up to `jitter` seconds of error. */
function play(stretches: Stretch[], jitter: (i: number) => number = () => 0) {
  const clock = watchClock();
  let now = 1000;
  let position = 0;
  let played = 0;
  const after: number[] = [];
  stretches.forEach((one, i) => {
    if (one.seekTo !== undefined) position = one.seekTo;
    const { running, share, rate } = one;
    clock.sample({ now, running, share, rate, position: position + jitter(i) });
    after.push(clock.watchedMs());
    now += one.ms;
    if (!running || one.stuck) return;
    position += (one.ms / 1000) * rate;
    played += one.ms;
  });
  const end: Sample = { now, running: false, share: 0, position: position + jitter(-1), rate: 1 };
  clock.sample(end);
  return { clock, played, elapsed: now - 1000, after };
}

test("is never more than the time that passed, and never goes back", () => {
  fc.assert(
    fc.property(fc.array(stretch), (stretches) => {
      const { clock, elapsed, after } = play(stretches);
      assert.ok(clock.watchedMs() <= elapsed);
      assert.ok(clock.visiblePct() >= 0 && clock.visiblePct() <= 100);
      after.forEach((watched, i) => assert.ok(watched >= (after[i - 1] ?? 0)));
    }),
  );
});

test("is what really played, give or take a little, whatever is paused, stuck or sped up", () => {
  const noSeeks = fc.array(stretch.map((one) => ({ ...one, seekTo: undefined })));
  fc.assert(
    fc.property(noSeeks, (stretches) => {
      const { clock, played } = play(stretches);
      assert.ok(Math.abs(clock.watchedMs() - played) <= 2, `${clock.watchedMs()} of ${played}`);
    }),
  );
});

test("jitter of the position does not add up", () => {
  const smooth = Array.from({ length: 200 }, () => ({ ms: 250, running: true, share: 1, rate: 1 }));
  fc.assert(
    fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.05, noNaN: true })), (errors) => {
      const { clock, played } = play(smooth, () => errors.next().value as number);
      assert.ok(played - clock.watchedMs() <= 100, `${clock.watchedMs()} of ${played}`);
    }),
    { numRuns: 30 },
  );
});

test("a loop goes on counting", () => {
  const rounds = Array.from({ length: 10 }, () => [
    { ms: 1000, running: true, share: 1, rate: 1, seekTo: 0 },
    { ms: 1000, running: true, share: 1, rate: 1 },
  ]).flat();
  assert.equal(play(rounds).clock.watchedMs(), 20_000);
});

test("what jumps ahead is not watched", () => {
  const { clock } = play([
    { ms: 1000, running: true, share: 1, rate: 1 },
    { ms: 1000, running: true, share: 1, rate: 1, seekTo: 500 },
  ]);
  assert.equal(clock.watchedMs(), 2000);
});

test("without media it is the time between samples, but not that of a computer asleep", () => {
  const clock = watchClock();
  const seen = { running: true, share: 0.8, position: NaN, rate: 1 };
  for (const now of [0, 1000, 2000, 3_602_000]) clock.sample({ now, ...seen });
  assert.equal(clock.watchedMs(), 3500);
  assert.equal(clock.visiblePct(), 80);
});

test("the visible share is weighted by the time watched", () => {
  const { clock } = play([
    { ms: 3000, running: true, share: 1, rate: 1 },
    { ms: 1000, running: true, share: 0.5, rate: 1 },
    { ms: 9000, running: false, share: 0.1, rate: 1 },
  ]);
  assert.equal(clock.visiblePct(), 87.5);
});

test("a backward seek while playing counts what played before it", () => {
  const { clock } = play([
    { ms: 900, running: true, share: 1, rate: 1, seekTo: 300 },
    { ms: 100, running: false, share: 1, rate: 1, seekTo: 10 },
    { ms: 1000, running: true, share: 1, rate: 1 },
  ]);
  assert.equal(clock.watchedMs(), 1900);
});
