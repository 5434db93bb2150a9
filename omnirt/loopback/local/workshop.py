"""One worker thread for one model, shared by all sessions: the urgent first, and the sessions in turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from omnirt.errors import OmnirtError

T = TypeVar("T")
_WAITING = 32  # pieces of work of one session; a talk has one or two


class _Order(Generic[T]):
    def __init__(self, work: Callable[[], T], *, urgent: bool) -> None:
        self.work = work
        self.urgent = urgent
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()


class Workshop:
    """Work for one thread, from many sessions.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._orders: dict[object, deque[_Order[object]]] = {}  # by session; who was served last is last
        self._worker: asyncio.Task[None] | None = None

    async def do(self, session: object, work: Callable[[], T], *, urgent: bool = True) -> T:
        """Have it done in the thread; what is cancelled before it began is not done at all.

        Raises:
            OmnirtError: `overloaded`, when too much of this session waits already.
        """
        orders = self._orders.setdefault(session, deque())
        if len(orders) >= _WAITING:
            raise OmnirtError("overloaded", "Too much of this session waits for the model.")
        order = _Order(work, urgent=urgent)
        orders.append(order)  # type: ignore[arg-type] # what it gives goes to whoever ordered it
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await order.future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while (order := self._next()) is not None:
            try:
                result = await loop.run_in_executor(self._thread, order.work)
            except Exception as error:  # noqa: BLE001 - it belongs to whoever ordered the work
                if not order.future.done():
                    order.future.set_exception(error)
            else:
                if not order.future.done():
                    order.future.set_result(result)
        self._worker = None

    def _next(self) -> _Order[object] | None:
        for session, orders in list(self._orders.items()):
            self._orders[session] = deque(order for order in orders if not order.future.done())
            if not self._orders[session]:
                del self._orders[session]
        chosen = next((s for s, orders in self._orders.items() if any(o.urgent for o in orders)), None)
        if chosen is None:
            chosen = next(iter(self._orders), None)
        if chosen is None:
            return None
        orders = self._orders.pop(chosen)
        order = next((order for order in orders if order.urgent), orders[0])
        orders.remove(order)
        self._orders[chosen] = orders
        return order

    def close(self) -> None:
        """No more work; what is being done is waited for by nobody."""
        self._thread.shutdown(wait=False, cancel_futures=True)
