// The practice WhatsApp page: a table of contents.
import { WidFactory, Wid } from "./ids.js";
import { Chats } from "./chats.js";
import { VERSION, offer, without } from "./graph.js";
import { inertModules } from "./inert.js";
import { Keeper } from "./keeper.js";
import { Line } from "./line.js";
import { Media } from "./media.js";
import { Messages } from "./messages.js";
import { People } from "./people.js";
import { Session } from "./session.js";
import { keepScreen } from "./screen.js";
import { suffer } from "./trouble.js";

const LISTENER_SECONDS = 5;
const SEEN_MS = 50;

window.Debug = { VERSION };

const page = crypto.randomUUID();
const line = new Line();
const keeper = new Keeper();
const session = new Session({ line, keeper, page });
const people = new People({ line, keeper });
const chats = new Chats({ line, keeper, people });
const messages = new Messages({ line, keeper, session, people, chats });
const media = new Media({ line, messages });

const modules = {
  ...session.modules,
  ...people.modules,
  ...chats.modules,
  ...messages.modules,
  ...media.modules,
  WAWebWid: { default: Wid },
  WAWebWidFactory: WidFactory,
  ...inertModules(), // last: the bundle takes the first module that looks right
};

const after = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** The real page takes seconds before it tells what happened while it was closed; this one waits until someone listens. */
async function listened(isSo) {
  const until = Date.now() + LISTENER_SECONDS * 1000;
  while (!isSo() && Date.now() < until) await after(50);
  await after(0); // whoever listens for messages listens for the rest in the same breath
}

async function enter(login) {
  session.be(login);
  await people.load();
  await chats.load();
  await messages.load();
  listen();
}

const told = {
  hello: async () => {
    if (session.stream.mode === "MAIN") return; // the line broke and is back
    session.becomeMain();
    await messages.settle();
    await listened(() => messages.listenedTo);
  },
  paired: async ({ login }) => {
    await keeper.saveLogin(login);
    await enter(login);
  },
  message: (event) => messages.arrived(event),
  receipt: (event) => messages.receipt(event),
  edited: (event) => messages.edited(event),
  revoked: (event) => messages.revoked(event),
  typing: (event) => people.typing(event),
  trouble: (event) => suffer(event),
  logout: async ({ reason }) => {
    await listened(() => messages.all.listeners("add").length);
    await session.leave(reason);
  },
  screen: ({ name }) => {
    if (name === "conflict") line.hangUp();
    session.showScreen(name);
  },
};

let dealtWith = 0;
let seen = 0;

/** What was dealt with is acknowledged, many at once: the server forgets it only then. */
function acknowledge(number) {
  if (!seen) setTimeout(sayWhatWasSeen, SEEN_MS);
  seen = number;
}

function sayWhatWasSeen() {
  const number = seen;
  seen = 0;
  line.ask("seen", { number }).catch(() => null); // else the server tells it again
}

/** Numbered events are told until acknowledged: again after the line broke. */
async function onEvent({ number, kind, ...event }) {
  if (!number) return told[kind]?.(event);
  if (number > dealtWith) await told[kind]?.(event);
  dealtWith = Math.max(dealtWith, number);
  acknowledge(number);
}

function listen() {
  line.listen({ page, onEvent, onState: (is) => session.online(is) });
}

keepScreen(session, chats);
await keeper.open();
const login = await keeper.login();
line.use(login?.token);
const start = await line.ask("start", { page });
offer(without(modules, start.missing));
if (login) {
  await enter(login);
} else {
  listen();
  await session.showQr();
}
if (start.screen) session.showScreen(start.screen);
