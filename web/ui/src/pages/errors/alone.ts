/** Below this width what is opened covers the page, as in the styles of the pane. */
const COVERS = "(max-width: 900px)";
/** What is said there stays to be heard. */
const HEARD = "[role=status], dialog";

/** While `pane` covers the page, nothing behind it can be reached; to be attached to it. */
export function alone(pane: HTMLElement): () => void {
  const covers = matchMedia(COVERS);
  let behind: Element[] = [];
  const free = () => {
    for (const element of behind) element.removeAttribute("inert");
    behind = [];
  };
  const see = () => {
    free();
    if (!covers.matches) return;
    for (let at: Element = pane; at.parentElement && at !== document.body; at = at.parentElement) {
      behind.push(...[...at.parentElement.children].filter((one) => one !== at && !one.matches(HEARD) && !one.hasAttribute("inert")));
    }
    for (const element of behind) element.setAttribute("inert", "");
  };
  see();
  covers.addEventListener("change", see);
  return () => {
    covers.removeEventListener("change", see);
    free();
  };
}
