const STEPS = Array.from({ length: 21 }, (_, step) => step / 20);

/**
 * Tells `tell` the visible share of `element` (0–1, in steps of about 0.05), now and whenever it
 * changes. What is larger than the viewport is compared with the part that can fit into it.
 *
 * @returns a function that ends it.
 */
export function observeShare(element: Element, tell: (share: number) => void): () => void {
  const observer = new IntersectionObserver(
    (entries) => {
      const entry = entries[entries.length - 1];
      if (entry) tell(entry.isIntersecting ? shareOf(entry) : 0);
    },
    { threshold: STEPS },
  );
  observer.observe(element);
  return () => observer.disconnect();
}

/** In a frame of another origin `rootBounds` is null: then the ratio has to do. */
export function shareOf(
  entry: Pick<
    IntersectionObserverEntry,
    "boundingClientRect" | "intersectionRect" | "intersectionRatio" | "rootBounds"
  >,
): number {
  const { boundingClientRect: whole, intersectionRect: part, rootBounds: root } = entry;
  if (!root) return entry.intersectionRatio;
  const fits = Math.min(whole.width, root.width) * Math.min(whole.height, root.height);
  return fits > 0 ? Math.min(1, (part.width * part.height) / fits) : 0;
}
