/** A search as it is saved: the address of the view without what was opened in it. */

/** What a view is made of, in the order in which addresses have it. */
const SAVED = ["source", "view", "q", "new", "columns", "model", "before", "after", "env", "range", "from", "to"];

/** To be saved from the parameters of the page. */
export function savedAddress(params: URLSearchParams): string {
  const kept = new URLSearchParams();
  for (const name of SAVED) {
    const value = params.get(name);
    if (value) kept.set(name, value);
  }
  return kept.toString();
}

/** Where a saved search is opened. Its address was sent by somebody: it leads nowhere but to this page. */
export function savedPath(address: string): string {
  const search = savedAddress(new URLSearchParams(address));
  return search ? `/errors?${search}` : "/errors";
}
