"""The upload: piece by piece, from where it was cut, then handed over; what is on its way stays in a file until then."""

from collections.abc import Callable

from kurir.home import Trouble
from kurir.login.server import Json, Server

Progress = Callable[[int, int], None]
_TRIES = 3


async def upload(server: Server, account_id: str, data: bytes, progress: Progress) -> Json:
    """Hand a packed session over and return its import. Raises Trouble; then it may be called again with the same data."""
    for _ in range(_TRIES):
        begun = await server.begin(account_id, data)
        if begun["state"] != "open":
            raise Trouble(f"this very session was imported before ({begun['completed_at']}): log in anew")
        for number in begun["missing"]:
            progress(number, begun["chunks_total"])
            await server.put(begun, number, data)
        progress(begun["chunks_total"], begun["chunks_total"])
        done = await server.complete(begun)
        if done["state"] != "open":
            return done
    raise Trouble("pieces of the session were lost on the server again and again; its log says why")
