/** `run`, but what it throws goes to the console: the page is never harmed. */
export function safely<A extends unknown[], R>(run: (...given: A) => R) {
  return (...given: A): R | undefined => {
    try {
      return run(...given);
    } catch (error) {
      console.error("viewledger:", error);
      return undefined;
    }
  };
}

/** The result of `run`; undefined where the browser forbids it, or has no room. */
export function attempt<R>(run: () => R): R | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
