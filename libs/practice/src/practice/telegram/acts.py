"""People that act by themselves when a client writes to them."""

import asyncio
from collections import Counter

from practice.telegram.boxes import Letter
from practice.telegram.people import Behaviour
from practice.telegram.world import World

_WRITING = {Behaviour.REPLY, Behaviour.STOP}


class Acts:
    """Lets people read and answer, a moment later; only a client's message wakes them, so no two talk for ever."""

    def __init__(self, world: World, delay_seconds: float) -> None:
        self._world, self._delay_seconds = world, delay_seconds
        self.done: Counter[str] = Counter()
        self.waiting = 0
        world.wake = self.wake

    def wake(self, letter: Letter) -> None:
        """Let the recipient of a message act, if it is one that does."""
        person = self._world.people[letter.receiver]
        behaviour = self._world.behaviour(person)
        if behaviour in _WRITING or behaviour is Behaviour.READ:
            self.waiting += 1
            asyncio.get_running_loop().call_later(self._delay_seconds, self._act, letter, behaviour)

    def _act(self, letter: Letter, behaviour: Behaviour) -> None:
        self.waiting -= 1
        self.done[behaviour.value] += 1
        world = self._world
        reader, writer = world.people[letter.receiver], world.people[letter.sender]
        world.tell(world.read(reader.id, writer.id, letter.in_id))
        if behaviour in _WRITING:
            rule = world.rule_for(reader.phone) if reader.acts is None else None
            reply = (rule and rule.reply_text) or reader.reply_text
            world.letter_from(reader, writer, "STOP" if behaviour is Behaviour.STOP else reply)
