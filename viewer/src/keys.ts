// Which key was pressed: by what is printed on it, as the tooltips name them.

/** The Latin letter of a key in small, by its place where the layout has another alphabet's there; else the key's own name. */
export function keyName({ key, code }: KeyboardEvent): string {
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  const place = /^Key([A-Z])$/.exec(code);
  return place && /^\p{L}$/u.test(key) ? place[1]!.toLowerCase() : key;
}

/** Whether a key is pressed with another that makes it the browser's own. */
export const isShortcut = (event: KeyboardEvent) => event.ctrlKey || event.metaKey || event.altKey;
