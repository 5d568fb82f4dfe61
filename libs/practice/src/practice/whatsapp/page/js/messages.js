// Messages: what is sent, what comes in, and what becomes of either.
import { Collection, Model } from "./base.js";
import { MsgKey, wid } from "./ids.js";
import { mediaOf } from "./media.js";

const KEPT = ["type", "subtype", "body", "caption", "filename", "mimetype", "size", "filehash", "duration", "t", "quotedStanzaID"];

class Msg extends Model {
  updateAck(ack) {
    this.set({ ack });
  }

  msgContextInfo() {
    return { quotedStanzaID: this.id.id, quotedParticipant: this.author ?? this.from };
  }
}
Msg.prototype.proxyName = "msg";

class MsgCollection extends Collection {}
class MsgInfoCollection extends Collection {}

const plain = (id) => (id === undefined || id === null ? undefined : String(id));

export class Messages {
  #order = 0;
  #onReceipt = (told) => this.#receipted(told);

  constructor({ line, keeper, session, people, chats }) {
    Object.assign(this, { line, keeper, session, people, chats });
    this.all = new MsgCollection();
    this.all.processMultipleMessages = (chat, messages) => this.#process(messages);
    this.infos = new MsgInfoCollection();
    this.modules = this.#modules();
  }

  /** Read the newest messages of every chat; older ones are found when asked for. */
  async load(count = 50) {
    for (const chat of this.chats.all.getModelsArray()) {
      for (const kept of await this.keeper.messagesOf(String(chat.id), { count })) this.#show(chat, this.#revived(kept));
    }
  }

  /** What went out without an answer before the page was closed: ask which of it was taken. */
  async settle() {
    const open = this.all.filter((message) => message.id.fromMe && message.ack === 0);
    if (!open.length) return;
    const { taken } = await this.line.ask("taken", { ids: open.map((message) => message.id.id) });
    for (const message of open) if (taken.includes(message.id.id)) await this.#acknowledge(message, 1);
  }

  // --- sending

  /** Returns two promises: of the message shown in the chat, and of what the server answered. */
  async send(chat, data) {
    const message = new Msg({ ...data, id: data.id, isNewMsg: true });
    if (message.filehash) message.mediaData ??= mediaOf(message, this.line);
    await this.#keep(chat, message);
    this.#show(chat, message);
    return [Promise.resolve(message), this.#transmit(chat, message)];
  }

  async #transmit(chat, message) {
    let answer;
    try {
      answer = await this.line.ask("send", { message: this.#wire(chat, message) });
    } catch {
      return new Promise(() => {}); // the clock stays: the real page waits for a connection, this one for its restart
    }
    if (answer.ack === null) return new Promise(() => {});
    await this.#acknowledge(message, answer.ack);
    return { messageSendResult: answer.result, t: answer.t, count: null };
  }

  #wire(chat, message) {
    const sent = Object.fromEntries(KEPT.map((name) => [name, message[name]]));
    return { ...sent, id: message.id.id, chat: String(chat.id) };
  }

  async #acknowledge(message, ack) {
    if (ack !== -1 && ack <= message.ack) return;
    message.set({ ack });
    const kept = await this.keeper.get("messages", message.id);
    if (kept) await this.keeper.put("messages", message.id, { ...kept, ack });
  }

  // --- what the server tells

  async arrived({ message, isNew }) {
    const id = new MsgKey({ ...message.key });
    if (await this.keeper.get("messages", id)) return;
    if (message.person) await this.people.meet(message.person);
    const chat = await this.chats.open(message.key.remote, message.chatName);
    const made = this.#made(id, chat, message, isNew);
    await this.keeper.put("messages", id, this.#kept(chat, made));
    if (!isNew) return void this.#show(chat, made);
    if (!id.fromMe) chat.set({ unreadCount: chat.unreadCount + 1 });
    await this.chats.save(chat);
    await this.all.processMultipleMessages(chat.id, [made]);
  }

  /** Goes through the module, where others may listen. */
  async receipt({ chat, ids, ack, participant }) {
    const names = { 2: "delivery", 3: "read", 4: "played" };
    await this.#receipted({ from: chat, externalIds: ids, ack: 1 }); // never overtakes that it was sent
    const { handleChatSimpleReceipt, handleGroupSimpleReceipt } = this.modules.WAWebHandleMsgReceipt;
    const handle = participant ? handleGroupSimpleReceipt : handleChatSimpleReceipt;
    const told = { from: wid(chat), participant: participant && wid(participant), recipient: null, externalIds: ids };
    await handle({ ...told, ack, ackString: names[ack], ts: Math.floor(Date.now() / 1000) });
  }

  async edited({ key, text, editId }) {
    const message = await this.#find(new MsgKey(key));
    if (!message) return;
    const latestEditMsgKey = new MsgKey({ ...key, id: editId });
    message[message.caption ? "caption" : "body"] = text;
    await this.#rewrite(message, { body: message.body, caption: message.caption });
    message.set({ latestEditMsgKey, latestEditSenderTimestampMs: Date.now() });
  }

  async revoked({ key, revokeId }) {
    const id = new MsgKey(key);
    const told = new Msg({ id: new MsgKey({ ...key, id: revokeId }), type: "protocol", isNewMsg: true });
    const [from, to] = id.fromMe ? [this.session.me, id.remote] : [id.remote, this.session.me];
    Object.assign(told, { subtype: "sender_revoke", protocolMessageKey: id, from, to, author: id.participant });
    await this.all.processMultipleMessages(id.remote, [told]);
  }

  // --- the collection

  async #process(messages) {
    for (const message of messages) {
      if (message.type === "protocol") await this.#withdraw(message.protocolMessageKey);
      else this.#show(this.chats.all.get(message.id.remote), message);
    }
  }

  async #withdraw(id) {
    const message = await this.#find(id);
    if (!message) return;
    await this.#rewrite(message, { type: "revoked", body: "", caption: undefined, filehash: undefined });
    message.set({ type: "revoked", body: "", caption: undefined, mediaData: undefined });
  }

  #show(chat, message) {
    chat.lastReceivedKey = message.id;
    chat.t = message.t;
    chat.msgs.add(message);
    this.all.add(message);
  }

  async #find(id) {
    const shown = this.all.get(id);
    if (shown) return shown;
    const kept = await this.keeper.get("messages", id);
    return kept && this.all.add(this.#revived(kept));
  }

  async #receipted({ from, externalIds, ack }) {
    for (const id of externalIds) {
      const key = { fromMe: true, remote: from, id };
      const own = from.toString().endsWith("@g.us") ? { participant: this.session.lid } : {};
      const message = await this.#find(new MsgKey({ ...key, ...own }));
      if (message) await this.#acknowledge(message, ack);
    }
  }

  /** Whether someone from outside hears of new messages, and has wrapped the receipts. */
  get listenedTo() {
    const { handleChatSimpleReceipt } = this.modules.WAWebHandleMsgReceipt;
    return this.all.listeners("add").length > 0 && handleChatSimpleReceipt !== this.#onReceipt;
  }

  // --- keeping

  #keep(chat, message) {
    return this.keeper.put("messages", message.id, this.#kept(chat, message));
  }

  /** Milliseconds and a counter: a rising order within the chat, also across restarts. */
  #nextOrder() {
    this.#order = Math.max(this.#order + 0.001, Date.now());
    return this.#order;
  }

  #kept(chat, message) {
    const kept = Object.fromEntries(KEPT.map((name) => [name, message[name]]));
    const people = { from: plain(message.from), to: plain(message.to), author: plain(message.author) };
    return { ...kept, ...people, key: plain(message.id), chat: plain(chat.id), ack: message.ack, order: this.#nextOrder() };
  }

  async #rewrite(message, changes) {
    const kept = await this.keeper.get("messages", message.id);
    if (kept) await this.keeper.put("messages", message.id, { ...kept, ...changes });
  }

  #revived(kept) {
    return this.#finished({ ...kept, id: MsgKey.fromString(kept.key), isNewMsg: false });
  }

  #made(id, chat, message, isNew) {
    const [from, to] = id.fromMe ? [this.session.me, chat.id] : [chat.id, this.session.me];
    const author = id.participant ?? message.author;
    return this.#finished({ ...message, id, from, to, author, isNewMsg: isNew, notifyName: message.person?.name });
  }

  #finished({ key, chat, order, person, chatName, ...data }) {
    for (const name of ["from", "to", "author"]) if (data[name]) data[name] = wid(data[name]);
    const message = new Msg(data);
    if (message.filehash) message.mediaData = mediaOf(message, this.line);
    return message;
  }

  async #around({ anchor, count, direction }) {
    const kept = await this.keeper.get("messages", anchor);
    if (!kept) return { messages: [] };
    const limit = direction === "after" ? { after: kept.order } : { before: kept.order };
    const found = await this.keeper.messagesOf(kept.chat, { ...limit, count });
    return { messages: found.map((one) => this.all.get(one.key) ?? this.#revived(one)) };
  }

  #context(chat, key) {
    let found;
    const loadAroundPromise = this.#find(key).then((message) => (found = message));
    return { collection: { loadAroundPromise, get: () => found } };
  }

  #modules() {
    return {
      WAWebMsgCollection: { MsgCollection: this.all, MsgCollectionImpl: MsgCollection },
      WAWebMsgModel: { Msg, default: Msg },
      WAWebMsgInfoCollection: { MsgInfoCollection: this.infos },
      WAWebMsgKey: { default: MsgKey },
      WAWebSendMsgChatAction: { addAndSendMsgToChat: (chat, data) => this.send(chat, data) },
      WAWebHandleMsgReceipt: {
        handleChatSimpleReceipt: this.#onReceipt,
        handleGroupSimpleReceipt: this.#onReceipt,
        handleStatusSimpleReceipt: this.#onReceipt,
      },
      WAWebChatMessageSearch: { getSearchContext: (chat, key) => this.#context(chat, key) },
      WAWebDBMessageFindLocal: {
        msgFindByDirection: (asked) => this.#around(asked),
        msgFindBefore: (asked) => this.#around({ ...asked, direction: "before" }),
        msgFindAfter: (asked) => this.#around({ ...asked, direction: "after" }),
      },
      WAWebMsgActionCapability: { canReplyMsg: () => true },
      WAWebQuotedMsgModelUtils: { getQuotedMsgObj: () => undefined },
    };
  }
}
