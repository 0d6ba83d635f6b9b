import type { ViewEvent } from "../src/types.js";

const NOW = Date.now();

/** Events in the order of their numbers. */
export function event(number: number, more: Partial<ViewEvent> = {}): ViewEvent {
  return {
    schema: "view/1",
    event_id: `event-${String(number).padStart(16, "0")}`,
    campaign_id: "c",
    promoter_id: "p",
    post_id: "post",
    platform: "web",
    viewer_id: "viewer-0001",
    session_id: "session-0001",
    occurred_at: NOW - 1000 + number,
    watch_ms: 5000,
    duration_ms: 9000,
    visible_pct: 100,
    interactions: 0,
    ...more,
  };
}
