// Chats with people and groups.
import { Collection, Model } from "./base.js";
import { wid } from "./ids.js";

class Chat extends Model {}
Chat.prototype.proxyName = "chat";

class GroupMetadata extends Model {}
GroupMetadata.prototype.proxyName = "groupMetadata";

class ChatCollection extends Collection {}
class GroupMetadataCollection extends Collection {
  onParentGroupChange() {}
}

export class Chats {
  constructor({ line, keeper, people }) {
    Object.assign(this, { line, keeper, people });
    this.all = new ChatCollection();
    this.groups = new GroupMetadataCollection();
    this.modules = this.#modules();
  }

  async load() {
    for (const { id, name, unreadCount } of await this.keeper.all("chats")) this.#open(id, name).unreadCount = unreadCount;
  }

  /** The chat of this id, created where it is new. */
  async open(id, name = "") {
    const known = this.all.get(id);
    if (known) return known;
    const chat = this.#open(id, name);
    await this.save(chat);
    return chat;
  }

  save({ id, name, unreadCount }) {
    return this.keeper.put("chats", id, { id: String(id), name, unreadCount });
  }

  async unread(chat) {
    chat.set({ unreadCount: chat.unreadCount + 1 });
    await this.save(chat);
  }

  #open(id, name) {
    const chat = new Chat({ id: wid(id), name, unreadCount: 0, archive: false, msgs: new Collection() });
    chat.presence = this.people.presenceOf(chat.id);
    if (chat.id.isGroup()) this.groups.add(new GroupMetadata({ id: chat.id, subject: name, participants: new Collection() }));
    return this.all.add(chat);
  }

  /** A person whose chats go by lid has one chat, under the lid, whichever id is given. */
  async #findOrCreate(id) {
    let chat = this.all.get(id);
    const created = !chat;
    if (created) {
      const found = await this.people.ask(id);
      if (!found) throw Error("No LID for user");
      chat = await this.open(found.chat, found.name);
    }
    return { chat: { id: chat.id }, created };
  }

  async #seen(chat) {
    if (!chat.unreadCount) return;
    chat.set({ unreadCount: 0 });
    await this.save(chat);
    await this.line.ask("read", { chat: String(chat.id) });
  }

  #modules() {
    return {
      WAWebChatCollection: { ChatCollection: this.all, ChatCollectionImpl: ChatCollection },
      WAWebChatModel: { Chat, default: Chat },
      WAWebGroupMetadataCollection: { default: this.groups },
      WAWebGroupMetadataModel: { default: GroupMetadata },
      WAWebFindChatAction: { findOrCreateLatestChat: (id) => this.#findOrCreate(id) },
      WAWebUpdateUnreadChatAction: { markUnread() {}, sendSeen: (given) => this.#seen(given.chat ?? given) },
      WAWebChatGetters: {
        getShouldAppearInList: () => true,
        getPreviewMessage: (chat) => chat.msgs.getModelsArray().at(-1),
        getShowChangeNumberNotification: () => false,
        getHasUnread: (chat) => chat.unreadCount > 0,
      },
    };
  }
}
