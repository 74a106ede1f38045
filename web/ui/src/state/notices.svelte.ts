/** Short words about what was just done, or could not be; they stay some seconds, or until closed. */

const SHOWN_MS = 8_000;
const MOST = 4;

export interface Notice {
  id: number;
  tone: "ok" | "critical";
  text: string;
  /** Where to see what came of it. */
  link: { href: string; text: string } | null;
}

class Notices {
  list = $state<Notice[]>([]);
  #next = 1;

  say(tone: Notice["tone"], text: string, link: Notice["link"] = null): void {
    const id = this.#next++;
    this.list = [...this.list.slice(1 - MOST), { id, tone, text, link }];
    setTimeout(() => this.close(id), SHOWN_MS);
  }

  close(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
