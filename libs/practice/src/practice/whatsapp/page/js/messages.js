// Messages: what is sent, what comes in, and what becomes of either.
import { MsgKey, wid } from "./ids.js";
import { Msg, MsgCollection, MsgInfoCollection, kept, revived, sendable, told, withdrawal } from "./records.js";

const SHOWN_AT_START = 20; // of each chat; older ones are found when asked for
const RECEIPTS = { 2: "delivery", 3: "read", 4: "played" };
const never = () => new Promise(() => {});

export class Messages {
  #onReceipt = (receipt) => this.#receipted(receipt);

  constructor({ line, keeper, session, people, chats }) {
    Object.assign(this, { line, keeper, session, people, chats });
    this.all = new MsgCollection();
    this.all.processMultipleMessages = (chat, messages) => this.#process(messages);
    this.modules = this.#modules();
  }

  async load() {
    const chats = this.chats.all.getModelsArray();
    const found = await Promise.all(chats.map(({ id }) => this.keeper.messagesOf(String(id), { count: SHOWN_AT_START })));
    chats.forEach((chat, n) => found[n].forEach((one) => this.#show(chat, revived(one, this.line))));
  }

  /** Whether someone from outside hears of new messages, and has wrapped the receipts. */
  get listenedTo() {
    const { handleChatSimpleReceipt } = this.modules.WAWebHandleMsgReceipt;
    return this.all.listeners("add").length > 0 && handleChatSimpleReceipt !== this.#onReceipt;
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
    const message = new Msg({ ...data, isNewMsg: true });
    await this.keeper.put("messages", message.id, kept(message, chat));
    this.#show(chat, message);
    return [Promise.resolve(message), this.#transmit(chat, message)];
  }

  /** Without an answer the clock stays until a restart: this page, unlike the real one, never sends again by itself. */
  async #transmit(chat, message) {
    const answer = await this.line.ask("send", { message: sendable(message, chat) }).catch(never);
    if (answer.ack === null) return never();
    await this.#acknowledge(message, answer.ack);
    return { messageSendResult: answer.result, t: answer.t, count: null };
  }

  async #acknowledge(message, ack) {
    if (ack !== -1 && ack <= message.ack) return;
    message.set({ ack });
    await this.#rewrite(message, { ack });
  }

  // --- what the server tells

  async arrived({ message, isNew }) {
    const made = told(message, { me: this.session.me, isNew, line: this.line });
    if (await this.keeper.get("messages", made.id)) return;
    if (message.person) await this.people.meet(message.person);
    const chat = await this.chats.open(made.id.remote, message.chatName);
    await this.keeper.put("messages", made.id, kept(made, chat));
    if (!isNew) return this.#show(chat, made);
    if (!made.id.fromMe) await this.chats.unread(chat);
    await this.all.processMultipleMessages(chat.id, [made]);
  }

  /** Goes through the module, where others may listen; and never overtakes that the message was sent. */
  async receipt({ chat, ids, ack }) {
    const receipt = { from: wid(chat), participant: null, recipient: null, externalIds: ids };
    await this.#receipted({ ...receipt, ack: 1 });
    const handle = this.modules.WAWebHandleMsgReceipt.handleChatSimpleReceipt;
    await handle({ ...receipt, ack, ackString: RECEIPTS[ack], ts: Math.floor(Date.now() / 1000) });
  }

  async edited({ key, text, editId }) {
    const message = await this.#find(new MsgKey(key));
    if (!message) return;
    message[message.filehash ? "caption" : "body"] = text;
    await this.#rewrite(message, { body: message.body, caption: message.caption });
    message.set({ latestEditMsgKey: new MsgKey({ ...key, id: editId }), latestEditSenderTimestampMs: Date.now() });
  }

  async revoked({ key, revokeId }) {
    const id = new MsgKey(key);
    await this.all.processMultipleMessages(id.remote, [withdrawal(id, revokeId, this.session.me)]);
  }

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
    message.set({ type: "revoked", body: "", caption: undefined, filehash: undefined, mediaData: undefined });
  }

  async #receipted({ from, externalIds, ack }) {
    const participant = from.isGroup() ? this.session.lid : undefined;
    for (const id of externalIds) {
      const message = await this.#find(new MsgKey({ fromMe: true, remote: from, id, participant }));
      if (message) await this.#acknowledge(message, ack);
    }
  }

  // --- shown and kept

  #show(chat, message) {
    chat.lastReceivedKey = message.id;
    chat.t = message.t;
    chat.msgs.add(message);
    this.all.add(message);
  }

  async #find(id) {
    const shown = this.all.get(id);
    if (shown) return shown;
    const found = await this.keeper.get("messages", id);
    return found && this.all.add(revived(found, this.line));
  }

  async #rewrite(message, changes) {
    const found = await this.keeper.get("messages", message.id);
    if (found) await this.keeper.put("messages", message.id, { ...found, ...changes });
  }

  async #around({ anchor, count, direction }) {
    const found = await this.keeper.get("messages", anchor);
    if (!found) return { messages: [] };
    const limit = direction === "after" ? { after: found.order } : { before: found.order };
    const around = await this.keeper.messagesOf(found.chat, { ...limit, count });
    return { messages: around.map((one) => this.all.get(one.key) ?? revived(one, this.line)) };
  }

  #context(chat, key) {
    let found;
    const loadAroundPromise = this.#find(key).then((message) => (found = message));
    return { collection: { loadAroundPromise, get: () => found } };
  }

  #modules() {
    const receipt = this.#onReceipt;
    return {
      WAWebMsgCollection: { MsgCollection: this.all, MsgCollectionImpl: MsgCollection },
      WAWebMsgModel: { Msg, default: Msg },
      WAWebMsgInfoCollection: { MsgInfoCollection: new MsgInfoCollection() },
      WAWebMsgKey: { default: MsgKey },
      WAWebSendMsgChatAction: { addAndSendMsgToChat: (chat, data) => this.send(chat, data) },
      WAWebHandleMsgReceipt: {
        handleChatSimpleReceipt: receipt,
        handleGroupSimpleReceipt: receipt,
        handleStatusSimpleReceipt: receipt,
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
