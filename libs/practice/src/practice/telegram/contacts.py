"""People: who they are, finding them by number or name, contacts and blocking."""

from typing import Any

from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.calls import Call, RpcError, handles
from practice.telegram.people import Behaviour, Person


@handles(f.users.GetUsersRequest)
def get_users(call: Call, request: Any) -> Any:
    """Return these people."""
    return [_shown(call, one) for one in request.id]


def _shown(call: Call, given: Any) -> Any:
    try:
        return views.user(call.world, call.person(given), call.me)
    except RpcError:
        # no error, as the real server: clients that know no access hash try 0
        return t.UserEmpty(getattr(given, "user_id", 0))


@handles(f.users.GetFullUserRequest)
def get_full_user(call: Call, request: Any) -> Any:
    """Return what there is to know of one person."""
    person = call.person(request.id)
    full = t.UserFull(
        person.id, t.PeerSettings(), t.PeerNotifySettings(), common_chats_count=0, blocked=person.id in call.me.blocked
    )
    return t.users.UserFull(full, [], [views.user(call.world, person, call.me)])


@handles(f.contacts.ImportContactsRequest)
def import_contacts(call: Call, request: Any) -> Any:
    """Add numbers as contacts; those of a person that acts `retry` must be imported again later."""
    imported, retry, found = [], [], []
    for one in request.contacts:
        person = call.world.find(one.phone)
        if person is None:
            continue
        if call.world.behaviour(person) is Behaviour.RETRY:
            retry.append(one.client_id)
            continue
        call.world.add_contact(call.me.id, person.id, _name(one))
        imported.append(t.ImportedContact(person.id, one.client_id))
        found.append(views.user(call.world, person, call.me))
    return t.contacts.ImportedContacts(imported, [], retry, found)


def _name(given: Any) -> str:
    return f"{given.first_name} {given.last_name}".strip()


@handles(f.contacts.AddContactRequest)
def add_contact(call: Call, request: Any) -> Any:
    """Add a person known already."""
    person = call.person(request.id)
    call.world.add_contact(call.me.id, person.id, _name(request))
    return views.updates(call.world, call.me, [], [person.id])


@handles(f.contacts.DeleteContactsRequest)
def delete_contacts(call: Call, request: Any) -> Any:
    """Forget contacts."""
    gone = [call.person(one) for one in request.id]
    for person in gone:
        call.world.remove_contact(call.me.id, person.id)
    return views.updates(call.world, call.me, [], [person.id for person in gone])


@handles(f.contacts.GetContactsRequest)
def get_contacts(call: Call, _request: Any) -> Any:
    """Return all contacts."""
    people = [call.world.people[one] for one in sorted(call.me.contacts)]
    listed = [t.Contact(person.id, call.me.id in person.contacts) for person in people]
    return t.contacts.Contacts(listed, 0, [views.user(call.world, person, call.me) for person in people])


@handles(f.contacts.ResolveUsernameRequest)
def resolve_username(call: Call, request: Any) -> Any:
    """Find a person by its name."""
    person = call.world.by_username.get(request.username.removeprefix("@").lower())
    if person is None or call.world.behaviour(person) is Behaviour.ABSENT:
        raise RpcError("USERNAME_NOT_OCCUPIED")
    return _resolved(call, person)


@handles(f.contacts.ResolvePhoneRequest)
def resolve_phone(call: Call, request: Any) -> Any:
    """Find a person by its number, without making it a contact."""
    person = call.world.find(request.phone)
    if person is None:
        raise RpcError("PHONE_NOT_OCCUPIED")
    return _resolved(call, person)


def _resolved(call: Call, person: Person) -> Any:
    return t.contacts.ResolvedPeer(t.PeerUser(person.id), [], [views.user(call.world, person, call.me)])


@handles(f.contacts.BlockRequest, f.contacts.UnblockRequest)
def block(call: Call, request: Any) -> Any:
    """Block a person, or no longer."""
    call.world.block(call.me.id, call.person(request.id).id, isinstance(request, f.contacts.BlockRequest))
    return True
