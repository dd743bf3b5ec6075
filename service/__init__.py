"""The API's own routes on this machine: a skin over tunes, jobs and engines.

settings.py   what an operator may choose
state.py      Service: what every request needs
app.py        the application: routes and middlewares
door.py       who may come in: tokens, hosts, origins
answers.py    JSON, errors and their headers
requests.py   a request's body, page and base address
tunes.py  prompts.py  pictures.py  catalogue.py   the routes
openapi.py    the document that describes them
worker.py     draws the jobs with an engine
callbacks.py  sends what the outbox holds
"""
