"""The embedded store's one user: whoever else works on this machine reaches the port, and must not read the data."""

from servicekit.mongo import Database, connect
from servicekit.settings import ServiceSettings

from kurir.home import Trouble

NAME = "kurir"


def url(port: int, password: str = "") -> str:
    """Return the store's address, with the user where there is a password."""
    who = f"{NAME}:{password}@" if password else ""
    return f"mongodb://{who}127.0.0.1:{port}/?directConnection=true"


async def create(port: int, password: str) -> None:
    """Make ours the only user of a store that asks for none yet; raises Trouble."""
    admin = _connect(url(port))
    try:
        await _command(admin, {"dropAllUsersFromDatabase": 1})
        await _command(admin, {"createUser": NAME, "pwd": password, "roles": ["root"]})
    finally:
        admin.close()


async def alone(port: int, password: str) -> None:
    """Make sure that the store has no user but ours: raises Trouble where somebody else was quick."""
    admin = _connect(url(port, password))
    try:
        found = [await _command(admin, {"usersInfo": about}) for about in (1, {"forAllDBs": True})]
    finally:
        admin.close()
    others = {one["user"] for answer in found for one in answer["users"]} - {NAME}
    if others:
        raise Trouble(f"the store has users that are not Kurir's ({', '.join(sorted(others))}): run kurir down --wipe")


def _connect(address: str) -> Database:
    return connect(ServiceSettings(service="kurir-cli", mongo_url=address, mongo_db="admin"))


async def _command(admin: Database, command: dict[str, object]) -> dict[str, list[dict[str, str]]]:
    try:
        answer: dict[str, list[dict[str, str]]] = await admin.raw.command(command)
    except Exception as error:
        raise Trouble(f"the store refuses {next(iter(command))}: {error}"[:300]) from error
    return answer
