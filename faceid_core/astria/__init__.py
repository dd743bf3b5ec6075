"""Astria's image API: its wire format in both directions, and a client that never pays twice for one request.

settings.py   where the API is, and the key       secret.py   a key that no log, error or repr shows
client.py     AstriaClient: tunes, prompts, gallery, account
transport.py  one request, its answer, its errors  retry.py    RetryPolicy: when and how long to wait
creation.py   create exactly once: look for the work before sending it again
matching.py   whether an object there is the one that a call sent
polling.py    until the images are there           images.py   the images themselves
addresses.py  fetching what somebody else names    redaction.py  a key in any spelling
wire/         parameters and objects as the API writes them
errors.py     AstriaError and its kinds

Needs aiohttp and tenacity; import its modules where they are used, not when nodes are registered.
"""
