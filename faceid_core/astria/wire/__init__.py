"""The API's wire format as values, in both directions: the client sends and reads it, the service reads and sends it.

tune_request.py  TuneRequest <-> parameters of POST /tunes
prompt_request.py  Prompt <-> parameters of POST /tunes/:id/prompts
brackets.py      names such as tune[images][]: pairs <-> nested values, by Rails' rules
forms.py         parameters -> multipart, urlencoded, JSON        bodies.py  a request's body -> parameters
objects.py       RemoteTune, RemotePrompt, Account                objects_json.py  JSON <-> those
problems.py      an error's body -> messages                      callbacks.py  a callback's body -> objects
file.py          File: an uploaded file                           scalars.py  "True", "3.0", "" -> values

Facts: docs/facts/astria.md 3 to 5, 8 and 10.
"""
