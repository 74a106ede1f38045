/** The time that "2 min ago" is told by: one clock for the page, ticking once a second while it is seen. */

class Clock {
  now = $state.raw(new Date());

  start(): void {
    setInterval(() => {
      if (!document.hidden) this.now = new Date();
    }, 1000);
    document.addEventListener("visibilitychange", () => (this.now = new Date()));
  }

  get now_s(): number {
    return this.now.getTime() / 1000;
  }
}

export const clock = new Clock();
