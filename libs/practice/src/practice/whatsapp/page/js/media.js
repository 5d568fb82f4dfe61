// Files: prepared, uploaded and sent; downloaded again by their hash.
import { Model } from "./base.js";

const MEGABYTE = 1_000_000;
const LIMITS = { image: 16, video: 64, audio: 16, document: 2_000, sticker: 1 };

export class OpaqueData {
  #blob;

  constructor(blob) {
    this.#blob = blob;
  }

  throwIfReleased() {}

  retain() {}

  autorelease() {}

  forceToBlob() {
    return this.#blob;
  }

  size() {
    return this.#blob.size;
  }

  type() {
    return this.#blob.type;
  }

  url() {
    return URL.createObjectURL(this.#blob);
  }

  static async createFromData(data, type) {
    return new OpaqueData(data instanceof Blob ? data : new Blob([data], { type }));
  }

  static async createFromBase64Jpeg(text) {
    return new OpaqueData(new Blob([Uint8Array.from(atob(text), (char) => char.charCodeAt(0))], { type: "image/jpeg" }));
  }
}

class MediaData extends Model {}
MediaData.prototype.proxyName = "mediaData";

/** The media of a message whose file lies on the server; also gives the message its `downloadMedia`. */
export function mediaOf(message, line) {
  const { type, mimetype, size, filehash, duration } = message;
  const media = new MediaData({ type, mimetype, size, filehash, duration, mediaStage: "NEED_POKE" });
  Object.defineProperty(message, "downloadMedia", {
    value: async () => {
      const blob = await line.download(filehash);
      media.set({ mediaBlob: new OpaqueData(new Blob([blob], { type: mimetype })), mediaStage: "RESOLVED" });
    },
  });
  return media;
}

function typeOf(mimetype, { asDocument, asSticker, isPtt }) {
  if (asDocument) return "document";
  if (asSticker) return "sticker";
  const [kind] = mimetype.split("/");
  if (kind === "audio") return isPtt ? "ptt" : "audio";
  return kind === "image" || kind === "video" ? kind : "document";
}

export class Media {
  constructor({ line, messages }) {
    Object.assign(this, { line, messages });
    this.modules = this.#modules();
  }

  #prepare(opaque, options) {
    const { line, messages } = this;
    const media = new MediaData({ type: typeOf(opaque.type(), options), mimetype: opaque.type(), size: opaque.size() });
    Object.assign(media, { mediaBlob: opaque, mediaStage: "INIT", duration: options.precomputedFields?.duration });
    return {
      mediaData: media,
      waitForPrep: async () => media,
      async sendToChat({ chat, options: wanted }) {
        const { type, mimetype, size, duration } = media;
        let filehash;
        try {
          ({ filehash } = await line.upload(opaque.forceToBlob()));
        } catch {
          return { messageSendResult: "ERROR_UPLOAD" };
        }
        media.set({ filehash, mediaStage: "RESOLVED" });
        const data = { ...wanted.productMsgOptions, type, mimetype, size, duration, filehash, caption: wanted.caption, mediaData: media };
        const [, answered] = await messages.send(chat, data);
        return answered;
      },
    };
  }

  #modules() {
    return {
      WAWebMediaOpaqueData: { default: OpaqueData },
      WAWebMediaGatingUtils: { getUploadLimit: (type) => (LIMITS[type] ?? LIMITS.document) * MEGABYTE },
      WAWebPrepRawMedia: { uploadProductImage() {}, MediaPrep: class {}, prepRawMedia: (opaque, options) => this.#prepare(opaque, options) },
      WAWebMediaDataModel: { default: MediaData },
      WAWebMediaInMemoryBlobCache: {
        InMemoryMediaBlobCacheImpl: class {},
        InMemoryMediaBlobCache: { has: () => false, get: () => undefined },
      },
      WAWebLruMediaStore: {
        LruMediaStore: { get: async () => null, put() {}, del() {}, clear() {}, count: () => 0, has: () => false },
      },
      WAWebProcessRawMedia: { processRawMedia: async (opaque) => opaque },
    };
  }
}
