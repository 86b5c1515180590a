"""A broker that loses, doubles, delays and rebalances: topics with partitions, and one consumer group for each service.

It stands for Kafka and for the thread that our group member runs in (events/kafka/group.py): a `Fetcher` is asked
between its process's steps, and tells the slot owner what is its own, what is so no longer, and what came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from events.kafka.progress import Offsets
from events.relay import Message, PublishFailed
from events.slots import SLOTS, Delivery, SlotOwner
from services.routing import INBOXES
from tests.simulation.faults import Fault

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

# As Kafka's: whoever was not heard of for so long is taken for dead.
SESSION_S = 10.0


class Broker:
    """A publisher for the relay, and the groups by service."""

    def __init__(self, world: World) -> None:
        self._world = world
        draw = world.draw
        self.groups = {
            service: Group(world, service, draw.choice((1, 2, 3, 4, 6, 12, 12))) for service in sorted(INBOXES)
        }
        self._by_topic = {INBOXES[service].topic: group for service, group in self.groups.items()}

    def publish(self, messages: Sequence[Message]) -> None:
        confirmed = len(messages)
        if self._world.faults.strikes(Fault.PUBLISH_FAILED, "the broker"):
            confirmed = self._world.faults.draw(Fault.PUBLISH_FAILED).randrange(confirmed + 1)
        touched = []
        for message in messages[:confirmed]:
            group = self._by_topic.get(message.topic)
            if group is not None:
                group.partitions[message.slot % len(group.partitions)].append(message)
                touched.append(group)
        for group in dict.fromkeys(touched):
            group.wake()
        if confirmed < len(messages):
            raise PublishFailed("the broker confirmed only a part")


class Group:
    """One service's inbox topic and who reads it."""

    def __init__(self, world: World, service: str, partitions: int) -> None:
        self._world = world
        self.service = service
        self.partitions: list[list[Message]] = [[] for _ in range(partitions)]
        self.committed = [0] * partitions
        self.generation = 0
        self.members: list[Fetcher] = []
        self._shares: dict[Fetcher, frozenset[int]] = {}

    def slots(self, partitions: frozenset[int]) -> frozenset[int]:
        return frozenset(slot for slot in range(SLOTS) if slot % len(self.partitions) in partitions)

    def join(self, fetcher: Fetcher) -> None:
        if fetcher not in self.members:
            self.members.append(fetcher)
            self.share_anew()

    def leave(self, fetcher: Fetcher) -> None:
        if fetcher in self.members:
            self.members.remove(fetcher)
            self.share_anew()

    def share_anew(self) -> None:
        """Everybody learns of it at its own next turn: some later than others."""
        self.generation += 1
        order = list(range(len(self.partitions)))
        self._world.draw.shuffle(order)
        self._shares = {
            member: frozenset(order[number :: len(self.members)]) for number, member in enumerate(self.members)
        }
        told = {member.name: sorted(share) for member, share in self._shares.items()}
        self._world.story.note("the broker", "{} is shared anew: {}", self.service, told)
        self.wake()

    def share_of(self, fetcher: Fetcher) -> frozenset[int]:
        return self._shares.get(fetcher, frozenset())

    def wake(self) -> None:
        for member in self.members:
            member.wake()


class Fetcher:
    """One process's membership in one group."""

    def __init__(self, process: Process, group: Group, owner: SlotOwner) -> None:
        self.name = f"{process.name} ({group.service})"
        self.group = group
        self._world = process.world
        self._process = process
        self._owner = owner
        self._life = process.starts
        self._generation = -1
        self._partitions: frozenset[int] = frozenset()
        self._offsets: dict[int, int] = {}
        self._progress = Offsets()
        self._quiet_until_us: dict[int, int] = {}
        self._deaf_until_us = 0

    def wake(self) -> None:
        self._process.wake(self)

    @property
    def is_silent(self) -> bool:
        """The broker hears nothing of it."""
        return self._process.life != self._life or self._process.sleeps()

    def step(self) -> int:
        """Learn whose slots are whose, or bring some messages; 0 if there was nothing."""
        faults, group = self._world.faults, self.group
        if self not in group.members:
            group.join(self)  # it was taken for dead, or is new
        if faults.strikes(Fault.REBALANCE, self.name):
            group.share_anew()
        if self._generation != group.generation and not self._is_deaf():
            self._follow()
            return 1
        return self._bring()

    def next_due_s(self) -> float | None:
        """When a delay is over."""
        until = [self._deaf_until_us, *self._quiet_until_us.values()]
        left = [us - self._world.clock.us for us in until if us > self._world.clock.us]
        if left:
            return min(left) / 1e6 + 0.001
        waiting = any(self._waits(partition) for partition in sorted(self._partitions))
        return 0.01 if waiting or self._generation != self.group.generation else None

    def _is_deaf(self) -> bool:
        """It works on with what it had, while others have it already: a zombie."""
        clock, faults = self._world.clock, self._world.faults
        if clock.us < self._deaf_until_us and not faults.healed:
            return True
        if self._partitions and self._deaf_until_us == 0 and faults.strikes(Fault.ZOMBIE, self.name):
            self._deaf_until_us = clock.after_us(faults.draw(Fault.ZOMBIE).choice((0.2, 3.0, 30.0)))
            return True
        self._deaf_until_us = 0
        return False

    def _follow(self) -> None:
        group = self.group
        self._generation = group.generation
        before, now = group.slots(self._partitions), group.slots(group.share_of(self))
        self._commit()
        self._partitions = group.share_of(self)
        self._progress.keep(self._partitions)
        self._offsets = {one: self._offsets.get(one, group.committed[one]) for one in self._partitions}
        if before - now:
            self._owner.revoked(before - now)
        if now - before:
            self._owner.assigned(now - before)

    def _bring(self) -> int:
        """Messages of some partitions, as a consumer's poll gives them."""
        draw, taken = self._world.draw, 0
        all_of_them = draw.random() < 0.5
        for partition in sorted(self._partitions):
            if self._waits(partition) and (all_of_them or draw.random() < 0.5) and self._is_open(partition):
                taken += self._bring_of(partition, 1 + int(draw.random() * 20))
        if taken and draw.random() < 0.2:
            self._commit()
        return taken

    def _bring_of(self, partition: int, count: int) -> int:
        start = self._offsets[partition]
        messages = self.group.partitions[partition][start : start + count]
        self._offsets[partition] = start + len(messages)
        if not self._world.faults.strikes(Fault.MESSAGE_LOST, self.name):
            found = [Delivery(one.slot, one.position, one.previous, one.recorded) for one in messages]
            self._progress.delivered(partition, start, start + len(messages), found)
            self._owner.delivered(found)
        if self._world.faults.strikes(Fault.REDELIVERY, self.name):
            back = self._world.faults.draw(Fault.REDELIVERY).choice((1, 5, 1_000))
            self._offsets[partition] = max(0, self._offsets[partition] - back)
        return len(messages)

    def _waits(self, partition: int) -> bool:
        return self._offsets[partition] < len(self.group.partitions[partition])

    def _is_open(self, partition: int) -> bool:
        """Nothing holds its messages up."""
        clock, faults = self._world.clock, self._world.faults
        if clock.us < self._quiet_until_us.get(partition, 0) and not faults.healed:
            return False
        if faults.strikes(Fault.MESSAGE_DELAYED, self.name):
            seconds = faults.draw(Fault.MESSAGE_DELAYED).choice((0.1, 2.0, 30.0, 600.0))
            self._quiet_until_us[partition] = clock.after_us(seconds)
            return False
        return all(self._owner.has_room(slot) for slot in sorted(self.group.slots(frozenset({partition}))))

    def _commit(self) -> None:
        for partition, offset in self._progress.to_commit(self._owner.handled()).items():
            self.group.committed[partition] = offset
