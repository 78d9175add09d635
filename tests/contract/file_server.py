"""A server in a session that keeps what is PUT, for whoever knows the signature."""

from __future__ import annotations

PORT = 30170

SERVER = f"""
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    kept = {{}}

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.kept[self.path] = body
        typed = self.headers["Content-Type"] is not None
        self.send_response(200 if "top-secret" in self.path and not typed else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        body = self.kept.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"") + ("short" in self.path)))
        self.end_headers()
        self.wfile.write(body or b"")

http.server.ThreadingHTTPServer(("127.0.0.1", {PORT}), Handler).serve_forever()
"""
_WAIT = f"import socket; socket.create_connection(('127.0.0.1', {PORT}))"
# A command that starts it and waits for it.
SERVE = (
    f"cat > /tmp/server.py <<'END'\n{SERVER}\nEND\n"
    "python3 /tmp/server.py > /dev/null 2>&1 & "
    f'until python3 -c "{_WAIT}" 2> /dev/null; do sleep 0.02; done'
)
URL = f"http://127.0.0.1:{PORT}/signed?Signature=top-secret"
