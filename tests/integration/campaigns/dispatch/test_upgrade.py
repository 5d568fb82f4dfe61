"""What the version before the lists by slices stored goes on working: it is found, answered, settled and sent."""

from campaigns import upgrade
from campaigns.inbox import messaging
from servicekit.mongo import Database, IndexModel, connect, ensure_indexes

from tests.integration.campaigns.dispatch.kit import Service, running, settings_for, until
from tests.integration.campaigns.test_inbox import received
from tests.support.servers import NatsServer

_ZONES = ("low", "high", "from", "to", "kinds", "channel", "rare")


async def made_old(db: Database) -> None:
    """Give documents the form they had, and the store its indexes."""
    async for row in db["rows"].find({}):
        contact = [f"contact:{row['contact']}"] if row["contact"] else []
        find = [row["key"], row["to"]["name"].casefold(), *contact]
        await db["rows"].update_one({"_id": row["_id"]}, {"$set": {"find": find}, "$unset": {"name_key": ""}})
    await db["slices"].update_many({}, {"$unset": dict.fromkeys(_ZONES, ""), "$set": {"dirty": False}})
    await db["conversations"].update_many({}, {"$unset": {"shown_ms": "", "begins": ""}})
    await ensure_indexes(db["conversations"], [IndexModel("search")])
    await ensure_indexes(db["rows"], [IndexModel("batch"), IndexModel("find")])
    await db.raw["rows"].drop_index("name_key_1")
    await db.raw[upgrade.UPGRADES].drop()


async def three_campaigns(service: Service) -> list[str]:
    """Return one that is sent, one that lies queued, and one that is paused with its rows pending."""
    made = []
    for number, account in enumerate(("acc_1", "acc_2", "acc_3")):
        await service.account(account)
        made.append(await service.campaign(4, (account,), name=f"c{number}"))
        if number == 0:
            service.lane(account)
        await service.process(made[-1])
    await service.status(made[0], "done")
    for campaign in made[1:]:
        await until(lambda campaign=campaign: _all_in(service, campaign, "queued"))
    await service.call("POST", f"/v1/campaigns/{made[2]}/pause")
    await until(lambda: _all_in(service, made[2], "pending"))
    await messaging.on_received(service.ctx, [received(5)])
    return made


async def _all_in(service: Service, campaign: str, state: str) -> bool:
    return len(await service.rows(campaign, state=state)) == 4


async def test_what_the_version_before_stored_goes_on_working(fresh_nats: NatsServer, mongo_url: str, fresh_db: str):
    async with running(fresh_nats, mongo_url, fresh_db) as before:
        done, queued, paused = await three_campaigns(before)
    db = connect(settings_for(fresh_nats.url, mongo_url, fresh_db))
    await made_old(db)
    db.close()
    async with running(fresh_nats, mongo_url, fresh_db) as service:
        await messaging.on_received(service.ctx, [received(4), received(9)])  # perhaps before the upgrade came to it
        await until(lambda: service.ctx.db[upgrade.UPGRADES].find_one({"_id": upgrade.LISTS}))
        db = service.ctx.db
        assert not [row async for row in db["rows"].find({"find": {"$exists": True}})]
        assert {row["name_key"] for row in await service.rows(done)} == {f"orang {n}" for n in range(4)}
        for collection, names in upgrade.NO_LONGER.items():
            assert not set(await db.raw[collection].index_information()) & set(names)
        await until(lambda: _counted(db))

        for wanted, count in (
            ({"q": "orang 2"}, 3), ({"q": "p1@"}, 3), ({"state": "sent"}, 4), ({"campaign": paused}, 4), ({}, 12),
        ):  # fmt: skip
            found = await service.call("GET", "/v1/outbox", params=wanted)
            assert len(found["items"]) == count, wanted
        talk = (await service.call("GET", "/v1/conversations"))["items"][0]
        assert (talk["preview"], talk["unread"]) == ("halo 9", 3)
        assert (await db["conversations"].find_one({"begins": "siti"}) or {})["_id"] == talk["id"]

        service.lane("acc_2")
        service.lane("acc_3")
        await service.call("POST", f"/v1/campaigns/{paused}/resume")
        for campaign in (queued, paused):
            assert (await service.status(campaign, "done"))["counts"] == {"sent": 4}


async def _counted(db: Database) -> bool:
    return all("high" in one and not one["dirty"] for one in await db["slices"].find_list({}, limit=100))


async def test_an_upgrade_that_was_broken_off_goes_on_and_is_done_once(service: Service):
    db = service.ctx.db
    await until(lambda: db[upgrade.UPGRADES].find_one({"_id": upgrade.LISTS}))
    await db["counters"].update_one({"_id": "rows"}, {"$set": {"n": 3}}, upsert=True)
    old = [
        {"_id": f"r{n}", "seq": n, "to": {"name": f"Siti {n}"}, "key": f"s{n}", "find": [f"s{n}"]} for n in (1, 2, 3)
    ]
    await db["rows"].insert_many([{**old[0], "name_key": "kept"} | {"find": None}, *old[1:]])
    await upgrade.run(service.ctx)
    assert await db["rows"].find_one({"_id": "r2", "find": {"$exists": True}}), "noted as done: nothing is read again"
    assert await upgrade.rows_by_name(service.ctx) == 3
    assert await upgrade.rows_by_name(service.ctx) == 0
    assert {row["name_key"] async for row in db["rows"].find({})} == {"siti 1", "siti 2", "siti 3"}


async def test_an_old_conversation_shows_its_next_message_before_the_upgrade_came_to_it(service: Service):
    await until(lambda: service.ctx.db[upgrade.UPGRADES].find_one({"_id": upgrade.LISTS}))
    await messaging.on_received(service.ctx, [received(5)])
    await service.ctx.db["conversations"].update_many({}, {"$unset": {"shown_ms": ""}})
    await messaging.on_received(service.ctx, [received(6)])
    assert (await service.call("GET", "/v1/conversations"))["items"][0]["preview"] == "halo 6"
    await upgrade.conversations(service.ctx)
    await messaging.on_received(service.ctx, [received(3)])
    assert (await service.call("GET", "/v1/conversations"))["items"][0]["preview"] == "halo 6"
