// What the page keeps in the browser: messages and chats, and the login.
//
// The login lies in localStorage, sealed with a key that cannot leave IndexedDB (a non-extractable CryptoKey), as the
// real page's secrets do: whoever copies the storage as JSON loses it, only the profile folder holds it.

const LOGIN = "WASealedLogin";
const STORES = ["messages", "chats", "contacts", "keys"];

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const decode = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

export class Keeper {
  #db;

  async open() {
    const request = indexedDB.open("model-storage", 1);
    request.onupgradeneeded = () => {
      for (const name of STORES) request.result.createObjectStore(name);
      request.transaction.objectStore("messages").createIndex("chat", ["chat", "order"]);
    };
    this.#db = await done(request);
  }

  #store(name, mode = "readonly") {
    return this.#db.transaction(name, mode, { durability: "relaxed" }).objectStore(name);
  }

  put(name, key, value) {
    return done(this.#store(name, "readwrite").put(value, String(key)));
  }

  get(name, key) {
    return done(this.#store(name).get(String(key)));
  }

  all(name) {
    return done(this.#store(name).getAll());
  }

  /** The last messages of a chat up to an order (a rising number), oldest first. */
  async messagesOf(chat, { before = Infinity, after = -Infinity, count }) {
    const range = IDBKeyRange.bound([chat, after], [chat, before], true, true);
    const found = await done(this.#store("messages").index("chat").getAll(range));
    if (count === Infinity) return found;
    return after === -Infinity ? found.slice(-count) : found.slice(0, count);
  }

  async saveLogin(login) {
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(JSON.stringify(login)));
    await this.put("keys", "login", key);
    localStorage.setItem(LOGIN, `${encode(iv)}.${encode(sealed)}`);
  }

  /** The login, or null: never signed in, or the storage came without its key. */
  async login() {
    const kept = localStorage.getItem(LOGIN);
    const key = await this.get("keys", "login");
    if (!kept || !(key instanceof CryptoKey)) return null;
    const [iv, sealed] = kept.split(".").map(decode);
    try {
      return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed)));
    } catch {
      return null;
    }
  }

  async forget() {
    localStorage.removeItem(LOGIN);
    await Promise.all(STORES.map((name) => done(this.#store(name, "readwrite").clear())));
  }
}
