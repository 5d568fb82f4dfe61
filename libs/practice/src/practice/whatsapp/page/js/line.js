// The line to the chat server: one request per thing asked, one event stream for what it tells.

export class Line {
  #token = null;
  #source = null;

  use(token) {
    this.#token = token;
  }

  async ask(what, body = {}) {
    const answer = await fetch(`/wa/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token: this.#token, ...body }),
    });
    if (!answer.ok) throw Error(`${what}: ${answer.status}`);
    return answer.json();
  }

  async upload(blob) {
    const answer = await fetch(`/wa/media?token=${this.#token}`, { method: "PUT", body: blob });
    if (!answer.ok) throw Error(`upload: ${answer.status}`);
    return answer.json();
  }

  async download(filehash) {
    const answer = await fetch(`/wa/media/${encodeURIComponent(filehash)}?token=${this.#token}`);
    if (!answer.ok) throw Error(`download: ${answer.status}`);
    return answer.blob();
  }

  /** Events come one after the other: the next waits until the last is dealt with. */
  listen({ page, onEvent, onState }) {
    this.hangUp();
    const query = new URLSearchParams(this.#token ? { page, token: this.#token } : { page });
    const source = new EventSource(`/wa/listen?${query}`);
    this.#source = source;
    let last = Promise.resolve();
    source.onmessage = ({ data }) => {
      last = last.then(() => (this.#source === source ? onEvent(JSON.parse(data)) : null)).catch(console.error);
    };
    source.onopen = () => onState(true);
    source.onerror = () => onState(false);
  }

  hangUp() {
    this.#source?.close();
    this.#source = null;
  }
}
