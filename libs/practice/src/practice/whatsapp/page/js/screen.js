// What a person sees.

const DRAW_MS = 30;

const SCREENS = {
  passkey: "<h1>Use your passkey</h1><p>To link this device, confirm with the passkey of your account.</p>",
  terms: "<h1>Updated terms</h1><p>Accept the updated terms to go on using WhatsApp.</p>",
  unknown: "<h1>Something new</h1><p>This screen was not here before.</p>",
  conflict: "<h1>WhatsApp is open in another window</h1><p>Click “Use here” to use WhatsApp in this window.</p>",
};

const QR = `<h1>Log in to WhatsApp</h1>
  <canvas aria-label="Scan this QR code to link a device!"></canvas>
  <p>Scan the QR code with your phone, or link with your phone number.</p>`;

const app = () => document.querySelector("#app");

function showChats(chats) {
  const list = document.createElement("ul");
  for (const chat of chats.all.getModelsArray().slice(-20)) {
    const item = list.appendChild(document.createElement("li"));
    item.textContent = `${chat.name || chat.id.user} (${chat.unreadCount} unread)`;
  }
  app().innerHTML = "<h1>Chats</h1>";
  app().append(list);
}

function draw(session, chats) {
  const { screen, mode } = session.stream;
  if (screen) app().innerHTML = SCREENS[screen];
  else if (mode === "MAIN") showChats(chats);
  else if (mode === "QR") app().innerHTML = QR;
  else app().innerHTML = "<p>Loading your chats…</p>";
}

/** Draw what changed, many changes at once. */
export function keepScreen(session, chats) {
  let due = null;
  const change = () => {
    due ??= setTimeout(() => {
      due = null;
      draw(session, chats);
    }, DRAW_MS);
  };
  session.stream.on("change:mode", change).on("change:screen", change);
  chats.all.on("add", change).on("change:unreadCount", change);
}
