/** A `Storage` as browsers have it: its keys are its own properties. */
export function fakeStorage(room = Infinity): Storage {
  const methods = {
    getItem(this: Record<string, string>, key: string) {
      return this[key] ?? null;
    },
    setItem(this: Record<string, string>, key: string, text: string) {
      const used = Object.entries(this).reduce((sum, [k, v]) => sum + k.length + v.length, 0);
      if (used + key.length + text.length > room) throw new Error("QuotaExceededError");
      this[key] = text;
    },
    removeItem(this: Record<string, string>, key: string) {
      delete this[key];
    },
  };
  return Object.create(methods) as Storage;
}

/** One that a browser shows and then forbids to use. */
export const forbidden = new Proxy({} as Storage, {
  get() {
    throw new Error("SecurityError");
  },
  ownKeys() {
    throw new Error("SecurityError");
  },
});
