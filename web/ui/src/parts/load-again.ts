/** A script that could not be loaded, once more. */

/**
 * Browsers may remember that a script failed, and a server that was replaced by another version no longer has it: where
 * the second try fails although the server answers, the page is loaded anew. Nothing is lost by that, for all of a
 * view's state is in its address.
 */
export async function loadAgain<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (failure) {
    const answer = await fetch("/", { method: "HEAD", cache: "no-store" });
    if (answer.ok) location.reload();
    throw failure;
  }
}
