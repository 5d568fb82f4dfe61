// Everything Kurir asks of WhatsApp's page. Injected after wa-js (`WPP`, @wppconnect/wa-js); page.py is its only caller.
// It is plain JavaScript that the TypeScript compiler checks against the package's own types (`make check-wpp`), so the
// calls that run are the calls that are checked. What comes back is plain data: a page's own objects never leave it.
// @ts-check
(() => {
  "use strict";
  if (window !== window.top) return;

  /** What of WhatsApp's own modules the calls below stand on: wa-js finds each by its shape, and may not. */
  const MODULES = /** @type {const} */ ([
    "ChatStore", "Cmd", "Conn", "ContactStore", "MsgKey", "MsgModel", "MsgStore", "Socket", "Stream", "UserPrefs", "Wid",
    "lidPnCache",
  ]);
  const FUNCTIONS = /** @type {const} */ ([
    "addAndSendMsgToChat", "findOrCreateLatestChat", "handleChatSimpleReceipt", "isAuthenticated",
  ]);
  const CALLS = [
    "chat.downloadMedia", "chat.find", "chat.getMessageById", "chat.getMessages", "chat.list", "chat.markIsComposing",
    "chat.sendFileMessage", "chat.sendTextMessage",
    "conn.genLinkDeviceCodeForPhoneNumber", "conn.getAuthCode", "conn.getMyUserId", "conn.getStreamData", "conn.isAuthenticated", "conn.isIdle", "conn.logout",
    "conn.needsUpdate", "conn.refreshQR", "contact.getPnLidEntry", "contact.queryWidExists",
  ];

  /** Messages this page was asked to send: bare id → how far the latest call came. @type {Map<string, {way: string}>} */
  const out = new Map();
  const OUT_KEPT = 2000;
  /** Names this very loading of the page: one that reloads itself has forgotten `out`. */
  const born = crypto.randomUUID();

  /** @param {string} kind @param {object} data */
  const tell = (kind, data) => {
    const hear = /** @type {any} */ (window).kurirHears;
    if (hear) hear({ kind, ...data });
  };

  /** @param {any} wid @returns {string} */
  const text = (wid) => (wid ? String(wid._serialized ?? wid) : "");

  /** @param {any} key A message key or its serialised form. @returns {string} the id both sides of a chat know */
  const bare = (key) => (key && key.id ? String(key.id) : String(key ?? "").split("_")[2] ?? "");

  /** A call to send begins: until it hands the message over, `known` may still take it back. @param {string} id */
  const begin = (id) => {
    const turn = { way: "asked" };
    out.delete(id);
    out.set(id, turn);
    while (out.size > OUT_KEPT) out.delete(/** @type {string} */ (out.keys().next().value));
    return turn;
  };

  const NOTICES = new Set(["e2e_notification", "notification", "notification_template", "gp2", "broadcast_notification",
    "protocol", "ciphertext", "debug", "call_log", "pinned_message", "reaction"]);

  /** @param {any} wid A peer, by phone number or by its hidden id. @returns {Promise<string>} its phone number, if known */
  const phoneOf = async (wid) => {
    const id = text(wid);
    if (id.endsWith("@c.us")) return id.slice(0, -5);
    if (!id.endsWith("@lid")) return "";
    try {
      const entry = await WPP.contact.getPnLidEntry(id);
      return entry?.phoneNumber?.id ?? "";
    } catch { return ""; }
  };

  /** @param {any} msg A MsgModel or its raw form. */
  const plain = async (msg) => {
    const fromMe = Boolean(msg.id?.fromMe);
    const chat = msg.id?.remote ?? (fromMe ? msg.to : msg.from);
    const author = msg.author ?? (fromMe ? "" : msg.from);
    return {
      id: bare(msg.id), key: text(msg.id), fromMe, chat: text(chat), chatPhone: await phoneOf(chat),
      author: text(author), authorPhone: await phoneOf(author), name: String(msg.notifyName ?? ""),
      at: Number(msg.t ?? 0), type: String(msg.type ?? ""), body: String(msg.type === "chat" ? msg.body ?? "" : ""),
      caption: String(msg.caption ?? ""), media: Boolean(msg.mediaKey || msg.directPath || msg.mediaData?.filehash || msg.filehash),
      mimetype: String(msg.mimetype ?? ""), filename: String(msg.filename ?? ""), size: Number(msg.size ?? 0),
      quoted: String(msg.quotedStanzaID ?? ""), ack: Number(msg.ack ?? 0), place: msg.type === "location" ? [msg.lat, msg.lng] : null,
      card: msg.type === "vcard" ? String(msg.body ?? "") : "", ours: out.has(bare(msg.id)),
      notice: NOTICES.has(String(msg.type ?? "")) || Boolean(msg.isNotification),
    };
  };

  /** A message that cannot be described is told of all the same: where it came, and what was wrong. @param {any} msg */
  const described = async (msg) => {
    try {
      return await plain(msg);
    } catch (error) {
      const chat = msg?.id?.remote;
      return { id: bare(msg?.id), chat: text(chat), chatPhone: await phoneOf(chat), fromMe: Boolean(msg?.id?.fromMe),
        at: Number(msg?.t ?? 0), broken: String(error) };
    }
  };

  const listen = () => {
    WPP.on("conn.auth_code_change", (code) => tell("qr", { code: code?.fullCode ?? "" }));
    WPP.on("conn.qrcode_idle", () => tell("state", {}));
    WPP.on("conn.stream_mode_changed", () => tell("state", {}));
    WPP.on("conn.stream_info_changed", () => tell("state", {}));
    WPP.on("conn.authenticated", () => tell("state", {}));
    WPP.on("conn.main_ready", () => tell("state", {}));
    WPP.on("conn.needs_update", () => tell("state", {}));
    WPP.on("conn.logout_reason", (reason) => tell("logged_out", { reason: String(reason ?? "") }));
    WPP.on("conn.logout", () => tell("logged_out", { reason: "" }));
    WPP.on("chat.new_message", async (msg) => tell("message", { message: await described(msg) }));
    WPP.on("chat.msg_ack_change", async (change) => tell("ack", {
      ack: change.ack, chat: text(change.chat), chatPhone: await phoneOf(change.chat), ids: change.ids.map(bare),
    }));
    WPP.on("chat.msg_edited", async (edit) => tell("edited", { message: await described(edit.msg) }));
    WPP.on("chat.msg_revoke", async (gone) => tell("deleted", {
      id: bare(gone.refId), chat: text(gone.refId?.remote ?? gone.from), chatPhone: await phoneOf(gone.refId?.remote ?? gone.from),
    }));
  };

  /** @param {string} to @param {string} id @returns {Promise<{chat: string, messageId: string}>} */
  const address = async (to, id) => {
    const chat = await WPP.chat.find(to); // a phone number's chat may live under its hidden id
    return { chat: text(chat.id), messageId: `true_${text(chat.id)}_${id}` };
  };

  /** @param {{way: string}} turn @param {() => Promise<any>} send */
  const hand = async (turn, send) => {
    if (turn.way !== "asked") throw Object.assign(new Error("the caller has given it up"), { code: "taken_back" });
    turn.way = "handed";
    const done = await send();
    const result = String(done.sendMsgResult?.messageSendResult ?? done.sendMsgResult ?? "");
    turn.way = "answered";
    return { result, ack: Number(done.ack ?? 0) };
  };

  /** Files on their way in, piece by piece: a token → what came so far. @type {Map<string, {parts: BlobPart[]}>} */
  const files = new Map();

  const kurir = {
    /** @returns what of what we use is missing, and the versions */
    canary: () => {
      /** @type {any} */ const all = WPP;
      const lost = CALLS.filter((name) => typeof name.split(".").reduce((at, key) => at?.[key], all) !== "function");
      const modules = MODULES.filter((name) => WPP.whatsapp[name] === undefined);
      const functions = FUNCTIONS.filter((name) => typeof WPP.whatsapp.functions[name] !== "function");
      return { born, missing: [...lost, ...modules, ...functions], wajs: WPP.version, page: String(/** @type {any} */ (window).Debug?.VERSION ?? "") };
    },

    state: () => {
      if (!WPP.isReady) return { injected: false };
      const stream = WPP.conn.getStreamData();
      return {
        injected: true, authenticated: Boolean(WPP.conn.isAuthenticated()), mode: String(stream.mode ?? ""),
        info: String(stream.info ?? ""), idle: WPP.conn.isIdle(), update: Boolean(WPP.conn.needsUpdate()),
        me: text(WPP.conn.getMyUserId()),
      };
    },

    qr: async () => (await WPP.conn.getAuthCode())?.fullCode ?? "",
    refreshQr: async () => (await WPP.conn.refreshQR())?.fullCode ?? "",
    /** @param {string} phone digits only */
    pairingCode: async (phone) => WPP.conn.genLinkDeviceCodeForPhoneNumber(phone, true),
    logOut: async () => WPP.conn.logout(),

    /** @param {string} to */
    exists: async (to) => {
      const found = await WPP.contact.queryWidExists(to);
      return found ? { wid: text(found.wid), lid: text(found.lid) } : null;
    },

    /** @param {string} to @param {number} milliseconds */
    typing: async (to, milliseconds) => {
      const chat = await WPP.chat.find(to);
      await WPP.chat.markIsComposing(text(chat.id), milliseconds);
    },

    /** @param {string} token @param {string} piece base64 */
    file: (token, piece) => {
      const held = files.get(token) ?? { parts: [] };
      held.parts.push(Uint8Array.from(atob(piece), (c) => c.charCodeAt(0)));
      files.set(token, held);
    },
    /** @param {string} token */
    dropFile: (token) => { files.delete(token); },

    /** @param {{to: string, id: string, text: string}} message */
    sendText: async ({ to, id, text: words }) => {
      const turn = begin(id);
      const { chat, messageId } = await address(to, id);
      return hand(turn, () => WPP.chat.sendTextMessage(chat, words, {
        messageId, linkPreview: false, detectMentioned: false, markIsRead: false, waitForAck: true,
      }));
    },

    /** @param {{to: string, id: string, token: string, type: "image" | "video" | "audio" | "document", caption: string, filename: string, mimetype: string, voice: boolean}} message */
    sendFile: async ({ to, id, token, type, caption, filename, mimetype, voice }) => {
      const turn = begin(id);
      const blob = new File(files.get(token)?.parts ?? [], filename, { type: mimetype });
      files.delete(token); // whatever comes: at another try it is brought in again
      const { chat, messageId } = await address(to, id);
      const common = { messageId, filename, mimetype, markIsRead: false, waitForAck: true, ...(caption ? { caption } : {}) };
      return hand(turn, () => WPP.chat.sendFileMessage(chat, blob,
        type === "audio" ? { ...common, type, isPtt: voice } : { ...common, type }));
    },

    /** @param {string} to @param {string} id @returns what the page knows of a message of ours */
    known: async (to, id) => {
      const turn = out.get(id);
      if (turn?.way === "asked") turn.way = "taken_back"; // it waits before the send, and now never gets there
      const way = turn?.way ?? "";
      try {
        const { messageId } = await address(to, id);
        const msg = await WPP.chat.getMessageById(messageId);
        return { born, found: true, ack: Number(msg.ack ?? 0), way };
      } catch (error) {
        if (/** @type {any} */ (error)?.code !== "msg_not_found") throw error;
        return { born, found: false, ack: 0, way };
      }
    },

    /** @param {string} key @param {number} limit bytes @returns {Promise<{size: number, mimetype: string, data: string}>} */
    download: async (key, limit) => {
      const blob = await WPP.chat.downloadMedia(key);
      if (blob.size > limit) return { size: blob.size, mimetype: blob.type, data: "" };
      const url = await new Promise((done, fail) => {
        const reader = new FileReader();
        reader.onload = () => done(String(reader.result));
        reader.onerror = () => fail(reader.error);
        reader.readAsDataURL(blob);
      });
      return { size: blob.size, mimetype: blob.type, data: url.slice(url.indexOf(",") + 1) };
    },

    /** @param {number} since seconds @returns the chats that moved since */
    moved: async (since) =>
      (await WPP.chat.list({ ignoreGroupMetadata: true })).filter((chat) => Number(chat.t ?? 0) >= since).map((chat) => text(chat.id)),

    /** @param {string} chat @param {number} since seconds @param {number} limit read at once @returns its messages since then */
    since: async (chat, since, limit) => {
      /** @type {any[]} */ let found = [];
      const known = new Set();
      /** @type {any} */ let from = null;
      do {
        const page = await WPP.chat.getMessages(chat, { count: limit, ...(from ? { id: text(from.id) } : {}) });
        const more = page.filter((msg) => !known.has(text(msg.id)));
        for (const msg of more) known.add(text(msg.id));
        found = [...more, ...found]; // of one second the order is the page's
        from = more.reduce((oldest, msg) => (oldest && Number(oldest.t) <= Number(msg.t) ? oldest : msg), /** @type {any} */ (null));
      } while (from && Number(from.t ?? 0) >= since);
      return Promise.all(found.filter((msg) => Number(msg.t ?? 0) >= since).map(described));
    },
  };

  /** @type {any} */ (window).kurir = kurir;
  listen(); // at once: that the login ended while the page was closed is told before wa-js is ready
  const wait = setInterval(() => {
    if (!window.WPP?.isFullReady) return;
    clearInterval(wait);
    tell("loaded", {});
  }, 50);
})();
