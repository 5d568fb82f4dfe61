// Ids of people and groups (Wid) and of messages (MsgKey).

export class Wid {
  constructor(serialized) {
    this._serialized = serialized;
    [this.user, this.server] = serialized.split("@");
  }

  toString() {
    return this._serialized;
  }

  toJid() {
    return this._serialized;
  }

  equals(other) {
    return String(other) === this._serialized;
  }

  isGroup() {
    return this.server === "g.us";
  }

  isLid() {
    return this.server === "lid";
  }

  isUser() {
    return this.server === "c.us" || this.server === "lid";
  }

  isNewsletter() {
    return this.server === "newsletter";
  }

  isBroadcast() {
    return this.server === "broadcast";
  }

  isBot() {
    return false;
  }

  isStatusV3() {
    return this._serialized === "status@broadcast";
  }

  isPSA() {
    return false;
  }

  isCommunity() {
    return false;
  }

  static isXWid(given) {
    return given instanceof Wid;
  }

  static isWid(given) {
    return given instanceof Wid;
  }
}

export const wid = (given) => (given instanceof Wid ? given : new Wid(String(given?._serialized ?? given)));

export const WidFactory = {
  createWid: wid,
  createUserWid: (user, server = "c.us") => wid(user.includes("@") ? user : `${user}@${server}`),
  createUserWidOrThrow: (user, server = "c.us") => wid(user.includes("@") ? user : `${user}@${server}`),
  createWidFromWidLike: wid,
  isWidlike: (given) => given instanceof Wid,
};

export class MsgKey {
  constructor(given) {
    if (!given) throw Error("MsgKey error: obj is null/undefined");
    this.fromMe = given.selfDir ? given.selfDir === "out" : Boolean(given.fromMe);
    this.remote = wid(given.remote ?? (this.fromMe ? given.to : given.from));
    this.id = given.id;
    this.participant = given.participant ? wid(given.participant) : undefined;
    this.self = this.fromMe ? "out" : "in";
    const parts = [this.fromMe, this.remote, this.id, this.participant];
    this._serialized = parts.filter((part) => part !== undefined).join("_");
  }

  toString() {
    return this._serialized;
  }

  equals(other) {
    return String(other) === this._serialized;
  }

  clone() {
    return new MsgKey(this);
  }

  static async newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(9));
    return `3EB0${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase()}`;
  }

  static fromString(given) {
    const [fromMe, remote, id, participant] = String(given).split("_");
    return new MsgKey({ fromMe: fromMe === "true", remote, id, participant });
  }
}
