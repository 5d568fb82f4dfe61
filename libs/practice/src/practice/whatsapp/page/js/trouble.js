// Trouble on request: a page that hangs, and one that grows.

const grown = [];

function freeze(seconds) {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end);
}

/** Bytes that truly take memory: random ones, touched, and never let go. */
function grow(megabytes) {
  const chunk = 65_536;
  for (let n = 0; n < megabytes; n += 1) {
    const bytes = new Uint8Array(1_000_000);
    for (let at = 0; at < bytes.length; at += chunk) crypto.getRandomValues(bytes.subarray(at, at + chunk));
    grown.push(bytes);
  }
}

export function suffer({ freezeSeconds, growMegabytes }) {
  if (growMegabytes) grow(growMegabytes);
  if (freezeSeconds) freeze(freezeSeconds);
}
