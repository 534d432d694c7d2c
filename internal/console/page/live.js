// The line to the worker: server-sent events with how things stand, and what to do when it falls silent.
const silence = 5000; // milliseconds without a word, after which what is shown is old
const blink = 1500; // a line that ended is made anew; only if that takes longer is it worth a banner
const giveUp = 9000; // after so long a line that claims to be open is made anew
const waits = [250, 1000, 2000, 4000]; // before each new line; the last repeats
const patience = 2000; // a hidden page lets go of its line: browsers have six for one site, and nobody looks

/** How far a time is, also when the clock has been set back meanwhile. */
const away = (time) => Math.abs(Date.now() - time);

/**
 * Follows ./api/live. told(now) is called with each state, while somebody looks; stale(since) when what is shown has become
 * old: since is when the worker was heard last, null if it never was; and stale(undefined) when it is heard again.
 */
export function follow(told, stale) {
  let source = null;
  let opening = 0; // timer of the next line
  let lettingGo = 0; // timer of a hidden page
  let failed = 0; // lines in a row that nothing came from
  let asked = Date.now(); // when somebody began to wait: the line was made, or heard last
  let lost = 0; // when the line broke, 0 while it has not
  let heard = null; // when the worker was heard last
  let old = false;
  let unseen = null; // what came while nobody looked

  function open() {
    close();
    source = new EventSource('api/live');
    source.addEventListener('now', (e) => hear(e.data));
    // The browser would try again by itself, but not after an HTTP error, and each browser in its own way.
    source.addEventListener('error', again);
    source.made = Date.now();
  }

  function close() {
    clearTimeout(opening);
    source?.close();
    source = null;
  }

  function again() {
    close();
    lost ||= Date.now();
    opening = setTimeout(open, waits[Math.min(failed, waits.length - 1)] * (1 + Math.random() / 4));
    failed++;
    look();
  }

  function hear(data) {
    let now;
    try {
      now = JSON.parse(data);
    } catch {
      return; // silence is told soon enough
    }
    failed = lost = 0;
    heard = asked = Date.now();
    if (document.hidden) {
      unseen = now;
      return;
    }
    look();
    told(now);
  }

  /** Sees whether what is shown has become old. It is called once a second. */
  function look() {
    if (document.hidden) return;
    const is = away(asked) > silence || (lost !== 0 && away(lost) > blink);
    if (is !== old) {
      old = is;
      stale(old ? heard && new Date(heard) : undefined);
    }
    if (source && Math.min(away(asked), away(source.made)) > giveUp) again(); // half of it is gone, and nobody says so
  }

  document.addEventListener('visibilitychange', () => {
    clearTimeout(lettingGo);
    if (document.hidden) {
      lettingGo = setTimeout(close, patience);
      return;
    }
    if (unseen) told(unseen);
    unseen = null;
    if (source) return look();
    failed = 0;
    if (!old) { // else it is old until the worker is heard
      lost = 0;
      asked = Date.now();
    }
    open();
  });
  if (!document.hidden) open(); // a link opened in a tab behind: it waits until somebody looks
  return { look };
}
