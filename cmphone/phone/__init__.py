"""The reference client: what a CM/Phone client does, by nothing but the REST API.

For whoever writes one of his own; docs/client-guide.md tells the same in requests and answers.  Read it in this order:
`server.py` (one request), `session.py` (a seat and its heartbeat), `templates.py` (the popup files), `calls.py` (what
happens on the telephone), `popup_text.py` and `console.py` (what people see of it).

It knows nothing of the server's inside, and needs Python's standard library only; `console.py` alone asks Django, for
its texts in the language of the user.
"""

VERSION = "1.0"
