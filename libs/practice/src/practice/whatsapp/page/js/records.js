// A message in its three forms: as the browser keeps it, as the server is sent it, and as the page shows it (a Msg).
import { Collection, Model } from "./base.js";
import { MsgKey, wid } from "./ids.js";
import { mediaOf } from "./media.js";

const CONTENT = "type subtype body caption filename mimetype size filehash duration t quotedStanzaID".split(" ");
const PEOPLE = ["from", "to", "author"];

export class Msg extends Model {
  updateAck(ack) {
    this.set({ ack });
  }

  msgContextInfo() {
    return { quotedStanzaID: this.id.id, quotedParticipant: this.author ?? this.from };
  }
}
Msg.prototype.proxyName = "msg";

export class MsgCollection extends Collection {}
export class MsgInfoCollection extends Collection {}

const only = (names, from) => Object.fromEntries(names.map((name) => [name, from[name]]));
const plain = (id) => (id === undefined || id === null ? undefined : String(id));

let lastOrder = 0;

/** A rising order, also across restarts: milliseconds, and a thousandth for each message of the same one. */
function nextOrder() {
  lastOrder = Math.max(lastOrder + 0.001, Date.now());
  return lastOrder;
}

export function kept(message, chat) {
  const people = Object.fromEntries(PEOPLE.map((name) => [name, plain(message[name])]));
  const where = { key: String(message.id), chat: String(chat.id), order: nextOrder() };
  return { ...only(CONTENT, message), ...people, ...where, ack: message.ack };
}

export const sendable = (message, chat) => ({ ...only(CONTENT, message), id: message.id.id, chat: String(chat.id) });

function finished(data, line) {
  for (const name of PEOPLE) if (data[name]) data[name] = wid(data[name]);
  const message = new Msg(data);
  if (message.filehash) message.mediaData ??= mediaOf(message, line);
  return message;
}

export function revived({ key, chat, order, ...data }, line) {
  return finished({ ...data, id: MsgKey.fromString(key), isNewMsg: false }, line);
}

/** What the server tells of: `me` is the reader. */
export function told({ key, person, chatName, ...data }, { me, isNew, line }) {
  const id = new MsgKey(key);
  const [from, to] = id.fromMe ? [me, id.remote] : [id.remote, me];
  return finished({ ...data, id, from, to, author: id.participant, isNewMsg: isNew, notifyName: person?.name }, line);
}

export function withdrawal(id, revokeId, me) {
  const [from, to] = id.fromMe ? [me, id.remote] : [id.remote, me];
  const notice = { type: "protocol", subtype: "sender_revoke", protocolMessageKey: id, author: id.participant };
  return new Msg({ ...notice, from, to, id: new MsgKey({ ...id, id: revokeId }), isNewMsg: true });
}
