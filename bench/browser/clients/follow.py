"""Reads a live view with clients that know nothing of leat.

    follow.py httpx-sse|sseclient|websockets URL

Prints one line of JSON: the orders by shop, and whether a second connection
with the cursor of the first was a resume.
"""

import asyncio
import json
import sys

import httpx
import httpx_sse
import sseclient
import websockets


def fold(events):
    """Reads events (name, data, id) up to the first mark after ready."""
    rows, cursor, resumed, ready = {}, None, None, False
    for name, data, id_ in events:
        cursor = id_ or cursor
        if name == "hello":
            resumed = data["resumed"]
        elif name == "snapshot":
            rows.update((r["_key"], r) for r in data["rows"])
        elif name == "delta":
            rows.update((r["_key"], r) for r in data["upsert"])
            for key in data["delete"]:
                rows.pop(key, None)
        elif name == "ready":
            ready = True
        elif name == "mark" and ready:
            break
    return rows, cursor, resumed


def with_httpx_sse(url, cursor):
    headers = {"Last-Event-ID": cursor} if cursor else {}
    with httpx.Client(timeout=30) as client, httpx_sse.connect_sse(client, "GET", url, headers=headers) as source:
        return fold((e.event, json.loads(e.data), e.id) for e in source.iter_sse() if e.data)


def with_sseclient(url, cursor):
    headers = {"Accept": "text/event-stream"}
    if cursor:
        headers["Last-Event-ID"] = cursor
    with httpx.Client(timeout=30) as client, client.stream("GET", url, headers=headers) as response:
        events = sseclient.SSEClient(response.iter_bytes()).events()
        return fold((e.event, json.loads(e.data), e.id) for e in events if e.data)


def with_websockets(url, cursor):
    async def collect():
        events, ready = [], False
        address = url.replace("http", "ws", 1) + "/ws" + (f"?cursor={cursor}" if cursor else "")
        async with websockets.connect(address, max_size=None) as socket:
            async for message in socket:
                frame = json.loads(message)
                events.append((frame.get("event"), frame.get("data"), frame.get("id")))
                ready = ready or frame.get("event") == "ready"
                if ready and frame.get("event") == "mark":
                    return events
        return events

    return fold(asyncio.run(asyncio.wait_for(collect(), 30)))


ways = {"httpx-sse": with_httpx_sse, "sseclient": with_sseclient, "websockets": with_websockets}

if __name__ == "__main__":
    way, address = ways[sys.argv[1]], sys.argv[2]
    first, at, _ = way(address, None)
    _, _, again = way(address, at)
    print(json.dumps({"orders": {r["shop"]: int(r["orders"]) for r in first.values()}, "resumed": again}))
