"""A crash between store and bus heals, and an older version never replaces a newer one."""

import pytest
from accounts.context import build
from accounts.domain import Account
from accounts.projection import Projection
from accounts.usecases import Changes, Draft, create, edit
from contracts import subjects
from contracts.channels import Channel
from contracts.state import ALL, DesiredAccount, Pace
from servicekit.bus import Bus
from servicekit.kv import Bucket
from servicekit.mongo import connect

from .conftest import EMAIL, prepare


@pytest.fixture
async def ctx(fresh_nats, settings):
    """The parts of the service without its loops: a test calls them one by one."""
    await prepare(fresh_nats.url, settings)
    bus, db = Bus(settings), connect(settings)
    made = build(settings, db, bus)
    await made.store.prepare()
    await bus.start()
    await bus.wait_connected()
    yield made
    await bus.stop()
    db.close()


@pytest.fixture
def bucket(ctx):
    return Bucket(ctx.bus, subjects.bucket("accounts", Channel.EMAIL), DesiredAccount)


async def new(ctx) -> Account:
    secret = {"smtp_password": "x"}
    draft = Draft(
        name="Toko",
        channel=Channel.EMAIL,
        notes="",
        active=True,
        worker=True,
        pace=Pace(),
        settings=EMAIL,
        credentials=secret,
    )
    return (await create(ctx.editing, draft, by="tester"))[0]


async def test_a_crash_after_the_store_is_healed_by_the_next_look(ctx, bucket):
    account = await new(ctx)
    assert await bucket.get(account.id) is None
    await ctx.projection.catch_up()
    assert (await bucket.get(account.id)).value.version == 1
    assert (await ctx.store.get(account.id)).projected_version == 1
    assert await ctx.store.behind(10) == []


async def test_a_crash_between_bus_and_note_is_healed_too(ctx, bucket):
    account = await new(ctx)
    await bucket.create(account.id, account.desired)
    await ctx.projection.catch_up()
    assert await ctx.store.behind(10) == []
    assert (await bucket.get(account.id)).value == account.desired


async def test_an_older_version_never_replaces_a_newer_one(ctx, bucket):
    old = await new(ctx)
    renamed = await edit(ctx.editing, old.id, Changes(worker=False), None)
    await ctx.projection.project(renamed)
    assert await ctx.projection.project(old) is False
    assert (await bucket.get(old.id)).value.version == 2
    assert (await ctx.store.get(old.id)).version == 2


async def test_an_edit_during_projection_stays_behind(ctx, bucket):
    account = await new(ctx)
    await edit(ctx.editing, account.id, Changes(name="Later"), None)
    await ctx.projection.project(account)
    assert [a.version for a in await ctx.store.behind(10)] == [2]


async def test_a_lost_bucket_is_filled_again(ctx, bucket):
    account = await new(ctx)
    await ctx.projection.everything()
    await bucket.purge(account.id)
    await bucket.purge(ALL)
    await ctx.projection.everything()
    assert (await bucket.get(account.id)).value == account.desired


async def test_a_restored_store_decides_over_a_newer_bus(ctx, bucket):
    account = await new(ctx)
    await bucket.create(account.id, account.desired.model_copy(update={"version": 9, "status": "inactive"}))
    await ctx.projection.everything()
    await ctx.projection.catch_up()
    healed = (await bucket.get(account.id)).value
    assert (healed.version, healed.status) == (10, "active")


async def test_what_only_the_bus_knows_is_switched_off_but_kept(ctx, bucket):
    account = await new(ctx)
    stranger = account.desired.model_copy(update={"account_id": "acc_stranger", "version": 4})
    await bucket.create("acc_stranger", stranger)
    await ctx.projection.everything()
    found = (await bucket.get("acc_stranger")).value
    assert (found.status, found.version, found.credentials) == ("inactive", 5, stranger.credentials)


async def test_two_replicas_project_side_by_side(ctx, bucket):
    accounts = [await new(ctx) for _ in range(5)]
    second = Projection(ctx.bus, ctx.store, ctx.switch, ctx.settings.enabled)
    await ctx.projection.everything()
    await second.everything()
    assert {(await bucket.get(a.id)).value.version for a in accounts} == {1}


async def test_an_event_survives_a_crash_of_the_relay_and_is_stored_once(ctx):
    account = await new(ctx)
    waiting = (await ctx.store.unsent(10))[0]
    event = waiting.events[0]
    await ctx.bus.publish(event.subject, b"{}", msg_id=event.id)  # published, then killed before forgetting it
    await ctx.relay.catch_up()
    assert await ctx.store.unsent(10) == []
    info = await ctx.bus.js.stream_info("EVENTS", subjects_filter=event.subject)
    assert info.state.subjects == {event.subject: 1}
    await edit(ctx.editing, account.id, Changes(worker=False), None)
    await ctx.relay.catch_up()
    info = await ctx.bus.js.stream_info("EVENTS", subjects_filter=event.subject)
    assert info.state.subjects == {event.subject: 2}


async def test_an_unreadable_value_is_written_anew_and_holds_back_nobody(ctx, bucket):
    broken, whole = await new(ctx), await new(ctx)
    await ctx.bus.publish(bucket.subject(broken.id), b"not json")
    await ctx.projection.catch_up()
    assert {(await bucket.get(a.id)).value.version for a in (broken, whole)} == {1}
