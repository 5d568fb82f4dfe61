// Who is who: contacts, the two ids of a person (phone number and lid), who has WhatsApp, and who is typing.
import { Collection, Model } from "./base.js";
import { wid } from "./ids.js";

class Contact extends Model {}
Contact.prototype.proxyName = "contact";

class Presence extends Model {}
Presence.prototype.proxyName = "presence";

class ContactCollection extends Collection {}
class PresenceCollection extends Collection {}

export class People {
  #phoneOf = new Map();
  #lidOf = new Map();

  constructor({ line, keeper }) {
    Object.assign(this, { line, keeper });
    this.contacts = new ContactCollection();
    this.presences = new PresenceCollection();
    this.modules = this.#modules();
  }

  async load() {
    for (const person of await this.keeper.all("contacts")) this.#meet(person);
  }

  #meet({ id, phone, lid, name }) {
    this.knows({ phone, lid });
    if (!this.contacts.get(id)) {
      this.contacts.add(new Contact({ id: wid(id), name, pushname: name, shortName: name, isBusiness: false }));
    }
  }

  /** Someone wrote to us: from now on a contact. */
  async meet(person) {
    if (this.contacts.get(person.id)) return;
    this.#meet(person);
    await this.keeper.put("contacts", person.id, person);
  }

  knows({ phone, lid }) {
    if (!lid) return;
    this.#phoneOf.set(lid, wid(phone));
    this.#lidOf.set(phone, wid(lid));
  }

  /** What the server knows of a number: null, or {wid, chat, lid}. */
  async ask(id) {
    const { found } = await this.line.ask("exists", { id: String(id) });
    if (found) this.knows({ phone: found.wid, lid: found.lid });
    return found;
  }

  presenceOf(chat) {
    const presence = new Presence({ id: chat, isUser: chat.isUser(), isGroup: chat.isGroup(), hasData: true });
    presence.chatstate = new Model({ id: chat, type: "unavailable" });
    presence.chatstates = new Collection();
    presence.subscribe = async () => {};
    return this.presences.add(presence);
  }

  typing({ chat, state }) {
    const presence = this.presences.get(chat);
    if (!presence) return;
    presence.chatstate.type = state;
    this.presences.trigger("change:chatstate.type", presence.chatstate);
  }

  #modules() {
    const getCurrentLid = (id) => this.#lidOf.get(String(id));
    const getPhoneNumber = (id) => this.#phoneOf.get(String(id));
    const tell = (state) => (chat) => this.line.ask("typing", { chat: String(chat.id), state });
    return {
      WAWebContactCollection: { ContactCollection: this.contacts, ContactCollectionImpl: ContactCollection },
      WAWebContactModel: { default: Contact },
      WAWebPresenceCollection: { PresenceCollection: this.presences },
      WAWebPresenceModel: { Presence, default: Presence },
      WAWebApiContact: { getCurrentLid, getPhoneNumber, lidPnCache: { getCurrentLid, getPhoneNumber } },
      WAWebQueryExistsJob: {
        queryWidExists: async (id) => {
          const found = await this.ask(id);
          return found && { wid: wid(found.wid), biz: false };
        },
        queryPhoneExists() {},
      },
      WAWebChatPresence: {
        markComposing: tell("composing"),
        markPaused: tell("paused"),
        markRecording: tell("recording"),
      },
    };
  }
}
