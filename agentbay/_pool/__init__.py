"""The connections of the client, and a transport for `httpx.AsyncClient` that takes them.

Under asyncio (and uvloop) requests take connections of our own, one pool for each scheme, host
and port. httpx's own transport looks through all of its connections for every request, which
costs 18 ms of CPU a call at 100 in flight and 46 ms at 1,000, and by default opens a connection
anew for almost every call above 20 in flight; here both are flat.

Whoever has a request ready hands it over as it is written (`Pool.exchange`): the objects that
httpx makes of a request and of its reply take a third of a call, and loading httpx as long as a
connection takes to open. So nothing here loads it but `transport` and `_stock`.

httpx's own transport serves the rest, in shards of a few connections each, which keeps it flat,
too: trio, proxies, and requests that ask for more than HTTP/1.1 gives (see `transport`).

What the errors say about the request stands in `_errors`. A connection that the server closes
while it is idle leaves the pool. One that turns out to be closed when a request is on its way is
replaced by another if no byte of the request was taken, which Linux tells; where nothing tells,
the request fails with `ReadError` or `RemoteProtocolError`.
"""
