// Signing in and out: QR text, pairing code, stream, and who this device is.
import { Emitter, Model } from "./base.js";
import { wid } from "./ids.js";

const ROTATIONS = 6; // then the real page shows "click to reload the QR code"
const RELOAD_AFTER_LOGOUT_MS = 500;
const SCREEN_MODES = { passkey: "QR", terms: "TOS_BLOCK", unknown: "SYNCING", conflict: "CONFLICT" };

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const random = (length) => crypto.getRandomValues(new Uint8Array(length));

export class Session {
  me = null;
  lid = null;
  #rotation = null;

  constructor({ line, keeper, page }) {
    Object.assign(this, { line, keeper, page });
    this.keys = { noise: random(32), identity: random(32), secret: base64(random(32)) };
    this.stream = new Model({ mode: "SYNCING", info: "OPENING", markAvailable() {}, markUnavailable() {} });
    this.conn = new Model({ connected: false, platform: "android" });
    this.network = Object.assign(new Model({ online: true }), { checkOnline() {} });
    this.socket = new Model({ state: "OPENING", logout: () => this.#leave(), poke: () => this.showQr() });
    this.cmd = Object.assign(new Emitter(), { isMainLoaded: false, refreshQR: () => this.showQr() });
    this.linkEvents = Object.assign(new Emitter(), { triggerRefreshAltLinkingCode() {} });
    this.modules = this.#modules();
  }

  be({ token, phone, lid, name }) {
    this.me = wid(`${phone.slice(1)}@c.us`);
    this.lid = wid(lid);
    this.line.use(token);
    clearTimeout(this.#rotation);
    this.conn.set({ ref: undefined, connected: true, pushname: name, wid: this.me });
    this.socket.set({ state: "PAIRING" });
    this.stream.set({ info: "SYNCING", mode: "SYNCING" });
  }

  becomeMain() {
    this.socket.set({ state: "CONNECTED" });
    this.cmd.isMainLoaded = true;
    this.cmd.trigger("main_loaded");
    this.stream.set({ info: "NORMAL", mode: "MAIN" });
  }

  online(is) {
    this.network.set({ online: is });
    if (this.me && this.stream.mode === "MAIN") this.stream.set({ info: is ? "NORMAL" : "OFFLINE" });
  }

  async showQr(rotation = 1) {
    clearTimeout(this.#rotation);
    if (this.me) return;
    if (rotation > ROTATIONS) {
      this.conn.set({ ref: undefined });
      this.socket.set({ state: "UNPAIRED_IDLE" });
      return;
    }
    const { ref, seconds } = await this.line.ask("ref", { page: this.page, keys: this.#publicKeys() });
    if (this.me) return; // scanned while it was on its way
    this.socket.set({ state: "UNPAIRED" });
    this.stream.set({ info: "PAIRING", mode: "QR" });
    this.conn.set({ ref });
    this.#rotation = setTimeout(() => this.showQr(rotation + 1), seconds * 1000);
  }

  /** A screen that no QR text and no ready page goes with. */
  showScreen(name) {
    clearTimeout(this.#rotation);
    this.conn.set({ ref: undefined });
    this.stream.set({ mode: SCREEN_MODES[name] ?? "SYNCING", info: "PAIRING", screen: name });
  }

  /** The phone, or this page, ended the login. */
  async leave(reason) {
    const code = this.modules.WAWebLogoutReason.getErrorCodeFromLogoutReason(reason);
    this.modules.WAWebLogoutReason.setPrevLogoutReasonCode(code);
    this.line.hangUp();
    await this.keeper.forget();
    this.me = this.lid = null;
    this.conn.set({ connected: false });
    this.socket.set({ state: "UNPAIRED" });
    this.cmd.isMainLoaded = false;
    this.cmd.trigger("logout");
    setTimeout(() => location.reload(), RELOAD_AFTER_LOGOUT_MS);
  }

  async #leave() {
    await this.line.ask("logout");
    await this.leave("user_initiated");
  }

  #publicKeys() {
    return [base64(this.keys.noise), base64(this.keys.identity), this.keys.secret];
  }

  async #pairingCode(phone) {
    const asked = { page: this.page, keys: this.#publicKeys(), phone: `+${phone.replace(/\D/g, "")}` };
    return (await this.line.ask("pairing", asked)).code;
  }

  #modules() {
    let previous = null;
    return {
      WAWebStreamModel: { Stream: this.stream },
      WAWebConnModel: { Conn: this.conn, ConnImpl: Model },
      WAWebSocketModel: { Socket: this.socket },
      WAWebCmd: { Cmd: this.cmd, CmdImpl: Emitter },
      WAWebNetworkStatus: { default: this.network },
      WAWebLoginState: { isLoggedIn: () => this.me !== null },
      WAWebUserPrefsReg: { isRegistered: () => this.me !== null },
      WAWebUserPrefsMeUser: {
        getMaybeMePnUser: () => this.me ?? undefined,
        getMaybeMeUser: () => this.me ?? undefined,
        getMaybeMeLidUser: () => this.lid ?? undefined,
        getMeLidUserOrThrow: () => this.lid,
        getMe: () => this.me,
      },
      WASignal: { waSignalStore: { getRegistrationInfo: async () => ({ identityKeyPair: { pubKey: this.keys.identity } }) } },
      WANoise: { waNoiseInfo: { get: async () => ({ staticKeyPair: { pubKey: this.keys.noise } }) } },
      WAAdv: { getADVSecretKey: () => this.keys.secret, setADVSignedIdentity() {} },
      WABase64: { encodeB64: base64, decodeB64: (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0)) },
      WAWebAltDeviceLinking: {
        initializeAltDeviceLinking: async () => {},
        genLinkDeviceCodeForPhoneNumber: (phone) => this.#pairingCode(phone),
      },
      WAWebLinkDeviceEvents: { WAWebLinkDeviceEvents: this.linkEvents },
      WAWebLogoutReason: {
        getErrorCodeFromLogoutReason: (reason) => (reason === "account_locked" ? "3" : "0"),
        getPrevLogoutReasonCode: () => previous,
        setPrevLogoutReasonCode: (code) => (previous = code),
        getPrevCustomLogoutMessage: () => null,
        setPrevCustomLogoutMessage() {},
      },
    };
  }
}
