export type Consent = "granted" | "denied";
export type Platform = "tiktok" | "instagram" | "youtube" | "web";

/** One view as the collector takes it (`view/1`), without `sent_at`, which is new on every try. */
export interface ViewEvent {
  schema: "view/1";
  event_id: string;
  campaign_id: string;
  promoter_id: string;
  post_id: string;
  platform: Platform;
  viewer_id: string;
  session_id: string;
  occurred_at: number;
  watch_ms: number;
  duration_ms: number;
  visible_pct: number;
  interactions: number;
  muted?: boolean;
  autoplay?: boolean;
  screen?: string;
  language?: string;
  tz_offset_min?: number;
  referrer?: string;
  consent?: Consent;
  attrs?: Record<string, string>;
}

/** Something the application may want to know. The SDK goes on in any case. */
export interface Problem {
  /**
   * `rejected`: the collector took the batch, but not these events. `refused`: it refused the
   * whole batch (a wrong key, such as). `too_old`, `queue_full`: given up before they could be
   * sent.
   */
  kind: "rejected" | "refused" | "too_old" | "queue_full";
  detail: string;
  eventIds: string[];
}

export interface Options {
  /** Publishable key, `vlpk_…`. */
  key: string;
  /** Address of the collector, such as `https://collect.example.com`. */
  endpoint: string;
  /** What the viewer said. Left out: ids and events are stored, and events do not mention it. */
  consent?: Consent;
  /** How long a view may rest (paused, ended, out of sight) before it is over. Default 10. */
  idleSeconds?: number;
  /** How long a finished view may wait for others to be sent with. Default 2. */
  flushSeconds?: number;
  /** A view is over and about to be sent. */
  onView?: (event: ViewEvent) => void;
  /** The collector has these events. */
  onAccepted?: (eventIds: string[]) => void;
  onProblem?: (problem: Problem) => void;
}

export interface Details {
  campaign: string;
  promoter: string;
  post: string;
  /** Default `web`. */
  platform?: Platform;
  /** At most 16; names of up to 64 and values of up to 2048 characters. */
  attrs?: Record<string, string>;
}

export interface Handle {
  /** Ends the view, if one is under way, and watches the element no longer. */
  stop(): void;
}
