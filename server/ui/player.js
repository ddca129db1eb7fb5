// Plays a replay: which frame stands at which moment, what has to be loaded, how the time goes on.
//
// It knows nothing of the page: `load` fetches, `show` is told of each screen, `changed` that something else changed.
// Pages follow each other; each begins with a whole frame, so any moment in one that is here is shown at once.

/** Nothing happens for longer than this: the time goes on at the next frame, if idle time is skipped. */
const IDLE_MS = 1000;
/** And so long before it. */
const LEAD_MS = 250;
/** The next page is fetched so many milliseconds of the recording before it is needed, and as many times faster. */
const AHEAD_MS = 5000;
/** So many pages are kept. */
const PAGES_MAX = 12;
/** A page that nobody looked at was not drawn either: no more than this passes at once. */
const PASSED_MS_MAX = 500;
/** How often a session that goes on is asked for more. */
const LIVE_MS = 1000;

/** A screen that frames are put over. */
export class Picture {
  constructor() {
    this.cols = 0;
    this.rows = 0;
    this.cursor = null;
    this.lines = [];
  }

  put(frame) {
    if (frame.cols !== this.cols || frame.rows !== this.rows) this.lines = Array.from({ length: frame.rows }, () => []);
    for (const { row, runs } of frame.lines) this.lines[row] = runs;
    this.cols = frame.cols;
    this.rows = frame.rows;
    this.cursor = frame.cursor;
  }
}

export class Player {
  constructor({ load, show, changed, now = () => performance.now() }) {
    Object.assign(this, { load, show, changed, now });
    this.position = 0;
    this.duration = 0;
    this.speed = 1;
    this.skipsIdle = true;
    this.playing = false;
    /** What the player waits for: `""`, `"loading"`, or `"winding"` on the way to a moment far away. */
    this.waits = "";
    this.problem = null;
    this.pages = [];
    this.picture = new Picture();
    /** The place of the frame that is shown. */
    this.page = 0;
    this.frame = 0;
    this.seeks = 0;
    this.fetching = false;
    this.askedAt = -Infinity;
  }

  /** Goes to a moment: at once if its page is here. */
  async seek(ms) {
    this.seeks += 1;
    this.ended = false;
    this.position = Math.max(0, Math.min(ms, this.duration || ms));
    const page = this.pages.findLastIndex((one) => one.frames[0].time_ms <= this.position);
    const here = page >= 0 && (page + 1 < this.pages.length || this.pages[page].frames.at(-1).time_ms >= this.position
      || this.pages[page].next === null);
    if (here) {
      this.stand(page);
      return;
    }
    await this.fetchFrom(this.position);
  }

  async fetchFrom(ms) {
    const turn = this.seeks;
    this.waits = "loading";
    this.changed();
    try {
      let page = await this.load({ at: ms });
      while (!page.frames.length && turn === this.seeks) {
        this.waits = "winding";
        this.changed();
        page = { ...await this.load({ cursor: page.next_cursor }), markers: page.markers };
      }
      if (turn !== this.seeks) return;
      this.pages = [];
      this.take(page);
      this.position = Math.max(0, Math.min(this.position, this.duration));
      this.stand(0);
    } catch (problem) {
      if (turn === this.seeks && problem.name !== "AbortError") this.problem = problem;
    } finally {
      if (turn === this.seeks) {
        this.waits = "";
        this.changed();
      }
    }
  }

  take(page) {
    this.problem = null;
    this.duration = Math.max(page.duration_ms, page.frames.at(-1)?.time_ms ?? 0);
    this.pages.push({ frames: page.frames, next: page.next_cursor });
  }

  /** Shows the position, from the first frame of a page on. */
  stand(page) {
    this.page = page;
    this.frame = 0;
    this.picture.put(this.pages[page].frames[0]);
    this.advance();
    this.show(this.picture);
    this.changed();
  }

  /** The frame after the one that is shown, if it is here. */
  next() {
    const frames = this.pages[this.page]?.frames;
    if (!frames) return null;
    if (this.frame + 1 < frames.length) return frames[this.frame + 1];
    // A page's first frame is what stands already.
    return this.pages[this.page + 1]?.frames[1] ?? null;
  }

  /** Puts the frames up to the position over the picture. Were there some? */
  advance() {
    let moved = false;
    for (;;) {
      const page = this.pages[this.page];
      if (this.frame + 1 >= page.frames.length) {
        if (this.page + 1 >= this.pages.length) break;
        this.page += 1;
        this.frame = 0;
        continue;
      }
      const frame = page.frames[this.frame + 1];
      if (frame.time_ms > this.position) break;
      this.frame += 1;
      this.picture.put(frame);
      moved = true;
    }
    return moved;
  }

  get isLive() {
    return this.pages.length > 0 && this.pages.at(-1).next !== null;
  }

  play() {
    if (this.playing) return;
    if (this.position >= this.duration && !this.isLive) this.seek(0);
    this.playing = true;
    this.last = this.now();
    this.changed();
  }

  pause() {
    this.playing = false;
    this.changed();
  }

  /** Goes on by the time that passed; to be called with each picture that the browser draws. */
  tick() {
    if (!this.pages.length) return;
    const now = this.now();
    if (this.playing && !this.waits) this.goOn(Math.min(now - this.last, PASSED_MS_MAX));
    this.last = now;
    this.lookAhead(now);
  }

  goOn(passed) {
    const before = this.position;
    this.position += passed * this.speed;
    const next = this.next();
    const shown = this.pages[this.page].frames[this.frame].time_ms;
    if (next && this.skipsIdle && this.position - shown > IDLE_MS * Math.min(1, this.speed)) {
      this.position = Math.max(this.position, Math.min(next.time_ms, next.time_ms - LEAD_MS * this.speed));
    }
    const last = this.pages.at(-1);
    if (!next) {
      // Nothing more changes: the end is here, or has to be waited for.
      if (last.next === null && this.skipsIdle) this.position = Math.max(this.position, this.duration);
      if (last.next !== null) this.position = Math.min(this.position, Math.max(before, this.duration));
    }
    if (this.advance()) this.show(this.picture);
    if (this.position >= this.duration && last.next === null) {
      this.position = this.duration;
      this.playing = false;
    }
    this.changed();
  }

  lookAhead(now) {
    const last = this.pages.at(-1);
    if (this.fetching || last.next === null || this.waits) return;
    const loaded = last.frames.at(-1).time_ms;
    const frames = last.frames.length - (this.page === this.pages.length - 1 ? this.frame : 0);
    const far = loaded > this.position + AHEAD_MS * this.speed && frames > 50;
    const atEnd = this.caughtUp && now - this.askedAt < LIVE_MS;
    if (far || atEnd) return;
    this.fetchNext(last.next, now);
  }

  async fetchNext(cursor, now) {
    const turn = this.seeks;
    this.fetching = true;
    this.askedAt = now;
    try {
      const page = await this.load({ cursor });
      if (turn !== this.seeks || this.pages.at(-1)?.next !== cursor) return;
      if (!page.frames.length) {
        this.pages.at(-1).next = page.next_cursor;
        return;
      }
      this.caughtUp = page.frames.length === 1 && page.next_cursor === cursor;
      if (this.caughtUp) {
        this.duration = Math.max(this.duration, page.duration_ms);
        this.problem = null;
        return;
      }
      this.take(page);
      while (this.pages.length > PAGES_MAX && this.page > 0) {
        this.pages.shift();
        this.page -= 1;
      }
      this.changed();
    } catch (problem) {
      // It is asked again.
      if (problem.name !== "AbortError") this.problem = problem;
      this.caughtUp = true;
    } finally {
      this.fetching = false;
    }
  }
}
