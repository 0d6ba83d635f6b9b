"""What partitions share, in the memory of this process."""

from collections.abc import Sequence

from models.engine.ask import Asked
from models.engine.state import States
from models.engine.store import LocalStore


class LocalShared:
    """`models.engine.shared.Shared` that always knows."""

    def __init__(self) -> None:
        self._stores: dict[str, LocalStore] = {}

    async def exchange(self, asked: Sequence[Asked]) -> list[States]:
        return [
            self._stores.setdefault(one.family.name, LocalStore(one.family)).exchange(
                one.group.keys, one.summaries
            )
            for one in asked
        ]
