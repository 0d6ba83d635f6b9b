const FIRST_MS = 1000;
const LONGEST_MS = 5 * 60_000;
export const LONGEST_WAIT_MS = 60 * 60_000;

/** How long to wait after `failures` (1 or more) in a row: exponential, with full jitter. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** failures);
}

/** What `Retry-After` asks for (seconds or a date), ms, no more than an hour; 0 where nothing. */
export function retryAfterMs(header: string | null, now: number): number {
  if (!header) return 0;
  const seconds = Number(header);
  const ms = Number.isNaN(seconds) ? Date.parse(header) - now : seconds * 1000;
  return Math.min(LONGEST_WAIT_MS, Math.max(0, ms || 0));
}
