import { mount } from "svelte";
import "./styles/tokens.css";
import "./styles/base.css";
import { words } from "./i18n/i18n.svelte";
import { fetchAhead } from "./pages/scripts";
import Root from "./Root.svelte";
import { clock } from "./state/clock.svelte";
import { preferences } from "./state/preferences.svelte";
import { router } from "./state/router.svelte";
import { session } from "./state/session.svelte";

preferences.start();
words.start();
clock.start();
router.start();
fetchAhead(router.page.name);
void session.start();

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no #app");
target.replaceChildren();
mount(Root, { target });
