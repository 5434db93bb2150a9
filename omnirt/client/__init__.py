"""The Python host library: spawns the daemon, offers its methods typed, and streams its notifications.

```python
async with Client() as client:
    params = SessionStartParams(agent={"name": "greeter"}, settings={"provider": "simulator"})
    async with await client.start_session(params) as session:
        await session.send_text("Hello")
        async for event in session.events:
            ...
```
"""

from omnirt.client.client import Client
from omnirt.client.process import DaemonGone
from omnirt.client.session import Session
from omnirt.client.streams import EventStream, Notification
from omnirt.client.tools import ApproveHandler, ToolHandler

__all__ = ["ApproveHandler", "Client", "DaemonGone", "EventStream", "Notification", "Session", "ToolHandler"]
