"""Looking up messages: by number, in a chat, by chat (https://core.telegram.org/api/offsets)."""

from typing import Any

from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.calls import Call, handles


@handles(f.messages.GetMessagesRequest)
def get_messages(call: Call, request: Any) -> Any:
    """Return messages by number; those that are not there come back empty."""
    numbers = [one.id if isinstance(one, t.InputMessageID) else 0 for one in request.id]
    letters = [call.me.box.letters.get(one) for one in numbers]
    shown, users = views.messages_of(call.world, call.me, [one for one in letters if one])
    found = {one.id: one for one in shown}
    return t.messages.Messages([found.get(one) or t.MessageEmpty(one, None) for one in numbers], [], [], users)


@handles(f.messages.GetHistoryRequest, f.messages.SearchRequest)
def get_history(call: Call, request: Any) -> Any:
    """Return a chat's messages, newest first: those before `offset_id`, or those that hold a word."""
    box, word = call.me.box, getattr(request, "q", "").lower()
    chat = box.chats.get(call.person(request.peer).id)
    letters = [box.letters[one] for one in reversed(chat.ids if chat else ()) if one in box.letters]
    wanted = [
        one
        for one in letters
        if request.min_id < one.id_for(call.me.id) < (request.max_id or 2**31) and word in one.text.lower()
    ]
    before = sum(1 for one in wanted if request.offset_id and one.id_for(call.me.id) >= request.offset_id)
    start = max(0, before + request.add_offset)
    part = wanted[start : start + request.limit]
    shown, users = views.messages_of(call.world, call.me, part)
    if len(part) < len(wanted):
        return t.messages.MessagesSlice(len(wanted), shown, [], [], users)
    return t.messages.Messages(shown, [], [], users)


@handles(f.messages.GetDialogsRequest)
def get_dialogs(call: Call, request: Any) -> Any:
    """Return the chats with their newest message, newest first, at most `limit`."""
    box, dialogs, newest = call.me.box, [], []
    for peer, chat in box.chats.items():
        last = next((one for one in reversed(chat.ids) if one in box.letters), 0)
        if last and not 0 < request.offset_id <= last:
            newest.append(box.letters[last])
            dialogs.append(
                t.Dialog(
                    t.PeerUser(peer),
                    last,
                    chat.read_inbox,
                    chat.read_outbox,
                    unread_count=0,
                    unread_mentions_count=0,
                    unread_reactions_count=0,
                    unread_poll_votes_count=0,
                    notify_settings=t.PeerNotifySettings(),
                )
            )
    order = sorted(range(len(dialogs)), key=lambda n: -dialogs[n].top_message)[: request.limit or None]
    shown, users = views.messages_of(call.world, call.me, [newest[n] for n in order])
    return t.messages.Dialogs([dialogs[n] for n in order], shown, [], users)
