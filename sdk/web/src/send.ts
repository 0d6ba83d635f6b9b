import { backoffMs, retryAfterMs } from "./backoff.js";
import type { Entry, Queue } from "./queue.js";
import type { Problem } from "./types.js";

const MOST_EVENTS = 50;
/** Browsers allow 64 KiB of requests that outlive their page at a time. */
const MOST_BYTES = 60_000;
const ANSWER_MS = 30_000;
/** How long an event is left alone that is under way, with an answer to come or none. */
export const LEASE_MS = 60_000;
const LOCK = "viewledger:send";

export interface Report {
  accepted: (ids: string[]) => void;
  problem: (kind: Problem["kind"], detail: string, ids: string[]) => void;
}

interface Batch {
  entries: Entry[];
  body: string;
  bytes: number;
}

/**
 * Sends what is due in `queue`. An event stays in it until the collector has answered for it, so
 * whatever happens to the page, it is sent again: under its id it counts once.
 */
export function eventSender(queue: Queue, report: Report) {
  /** Events of views that are still open in this page: stored in case it dies, not to be sent. */
  const held = new Set<string>();
  let most = MOST_EVENTS;
  let failures = 0;
  /** Until when nothing is sent; and the part of it that the server asked for. */
  let silentUntil = 0;
  let askedUntil = 0;
  let sentAt = 0;
  let busy = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wakesAt = Infinity;

  const idOf = (entry: Entry) => entry.event.event_id;
  const waiting = (now: number) => queue.entries(now).filter((entry) => !held.has(idOf(entry)));

  function lease(entries: Entry[], due: number): void {
    for (const entry of entries) queue.put({ ...entry, due });
  }

  /** The next batch, of one address and at most `room` bytes, leased; empty where none is due. */
  function take(room: number): Batch {
    const now = Date.now();
    // It never goes back, whatever is done to the clock.
    sentAt = Math.max(sentAt, now);
    const entries: Entry[] = [];
    const texts: string[] = [];
    let bytes = 1;
    for (const entry of now < silentUntil ? [] : waiting(now)) {
      if (entry.due > now || (entries[0] && entries[0].url !== entry.url)) continue;
      // Nor before the view, which may have been timed before the clock was set back.
      const sent_at = Math.max(sentAt, entry.event.occurred_at);
      const text = JSON.stringify({ ...entry.event, sent_at });
      const size = new Blob([text]).size + 1;
      // One that is too large for any batch goes alone.
      if (entries.length >= most || (bytes + size > room && (bytes > 1 || room < MOST_BYTES))) break;
      bytes += size;
      entries.push(entry);
      texts.push(text);
    }
    lease(entries, now + LEASE_MS);
    return { entries, body: `[${texts}]`, bytes };
  }

  async function post({ entries, body, bytes }: Batch): Promise<void> {
    let wait = 0;
    try {
      // A text is a simple request: no preflight, which would not outlive the page.
      const answer = await fetch(entries[0]!.url, {
        method: "POST",
        body,
        keepalive: bytes <= MOST_BYTES,
        credentials: "omit",
        redirect: "manual",
        signal: AbortSignal.timeout?.(ANSWER_MS),
      });
      if (await settle(entries, answer)) {
        failures = silentUntil = askedUntil = 0;
        return;
      }
      wait = retryAfterMs(answer.headers.get("Retry-After"), Date.now());
    } catch {
      // No answer.
    }
    silentUntil = Date.now() + (wait ? wait + Math.random() * 1000 : backoffMs(++failures));
    // Only what the server asked for binds the next page, too; the network may be back any time.
    askedUntil = wait && silentUntil;
    lease(entries, askedUntil);
  }

  /** Whether that was an answer; then it has been dealt with. */
  async function settle(entries: Entry[], answer: Response): Promise<boolean> {
    const { status } = answer;
    if (status === 413 && entries.length > 1) {
      most = entries.length >> 1;
      lease(entries, 0);
      return true;
    }
    const final = status >= 400 && status < 500 && status !== 408 && status !== 429;
    if (status !== 202 && !final) return false;
    const said = (await answer.json().catch(() => 0)) || {};
    // A 202 of somebody else, who has no list of what was rejected.
    if (!final && !said.rejected) return false;
    const left = new Set(entries.map(idOf));
    left.forEach(queue.remove);
    for (const { index, reason, detail } of said.rejected ?? []) {
      const id = entries[index] && idOf(entries[index]!);
      if (id && left.delete(id)) report.problem("rejected", `${reason}: ${detail}`, [id]);
    }
    if (!left.size) return true;
    if (final) report.problem("refused", `${said.type ?? status}: ${said.detail}`, [...left]);
    else report.accepted([...left]);
    return true;
  }

  async function drain(): Promise<void> {
    for (let batch; (batch = take(MOST_BYTES)).entries.length; ) await post(batch);
  }

  async function flush(): Promise<void> {
    wakesAt = Infinity;
    if (busy) return;
    busy = true;
    let pause = 100;
    try {
      // One tab sends what all tabs share. Without locks, leases leave little to send twice.
      if (navigator.locks) {
        await navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
          if (lock) return drain();
          pause = 5000;
        });
      } else await drain();
    } catch {
      // Some frames may not lock.
      await drain();
    } finally {
      busy = false;
    }
    const now = Date.now();
    const next = Math.min(...waiting(now).map((entry) => Math.max(entry.due, silentUntil)));
    if (next < Infinity) wake(Math.max(next - now, pause));
  }

  /** Sends in `ms`, or earlier if that was said before. */
  function wake(ms: number): void {
    const at = Date.now() + ms;
    if (at >= wakesAt) return;
    wakesAt = at;
    clearTimeout(timer);
    timer = setTimeout(flush, ms);
  }

  return {
    held,
    wake,

    /** The network is back. */
    retry(): void {
      silentUntil = askedUntil;
      wake(0);
    },

    /**
     * Sends at once what could be lost with the page, as far as there is room.
     *
     * @param dying there is nobody any more to wait for an answer.
     */
    leave(dying: boolean): void {
      for (let room = MOST_BYTES, batch; (batch = take(room)).entries.length; room -= batch.bytes) {
        if (!dying && "keepalive" in Request.prototype) void post(batch);
        else if (!navigator.sendBeacon(batch.entries[0]!.url, batch.body)) {
          return lease(batch.entries, 0);
        }
      }
    },
  };
}

export type Sender = ReturnType<typeof eventSender>;
