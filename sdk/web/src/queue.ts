import { attempt } from "./safely.js";
import type { Problem, ViewEvent } from "./types.js";

/** An event that the collector is not known to have. */
export interface Entry {
  /** Where it is sent to, with the key. */
  url: string;
  /** Not to be sent before, ms since 1970: it is under way, was not taken, or may still grow. */
  due: number;
  event: ViewEvent;
}

const PREFIX = "viewledger:event:";
const HOUR_MS = 3_600_000;
const OLDEST_MS = 24 * HOUR_MS;
/** Some 450 events: fewer than the collector takes of one viewer in a minute. */
const MOST_CHARACTERS = 300_000;

/**
 * Events until they are settled, in `disk()`, or in memory where that is undefined or full.
 *
 * Each event has a key of its own: tabs share the store without a lock, and two that write at
 * once can't overwrite each other's events.
 */
export function eventQueue(
  disk: () => Storage | undefined,
  onProblem: (kind: Problem["kind"], detail: string, ids: string[]) => void,
) {
  const memory = new Map<string, Entry>();

  function put(entry: Entry): void {
    const id = entry.event.event_id;
    memory.set(id, entry);
    attempt(() => {
      disk()!.setItem(PREFIX + id, JSON.stringify(entry));
      memory.delete(id);
    });
  }

  function remove(id: string): void {
    memory.delete(id);
    attempt(() => disk()!.removeItem(PREFIX + id));
  }

  /** All of them, oldest first, without those that are given up here: too old, or too many. */
  function entries(now: number): Entry[] {
    const found = new Map<string, Entry>();
    attempt(() => {
      const store = disk()!;
      for (const key of Object.keys(store)) {
        if (!key.startsWith(PREFIX)) continue;
        const entry = attempt(() => JSON.parse(store[key]) as Entry);
        if (entry?.event) found.set(entry.event.event_id, entry);
        else store.removeItem(key);
      }
    });
    memory.forEach((entry, id) => found.set(id, entry));
    let room = MOST_CHARACTERS;
    return [...found.values()]
      .sort((a, b) => b.event.occurred_at - a.event.occurred_at)
      .filter((entry) => {
        const { event_id, occurred_at } = entry.event;
        room -= JSON.stringify(entry).length;
        const old = now - occurred_at > OLDEST_MS;
        if (old || room < 0) {
          remove(event_id);
          onProblem(old ? "too_old" : "queue_full", "given up", [event_id]);
          return false;
        }
        // Of a clock that was set back since: it would wait for ever.
        if (entry.due > now + 2 * HOUR_MS) entry.due = 0;
        return true;
      })
      .reverse();
  }

  return { put, remove, entries };
}

export type Queue = ReturnType<typeof eventQueue>;
