"""The API's own routes on this machine: a skin over tunes, jobs and engines.

settings.py   what an operator may choose
state.py      Service: what every request needs
app.py        the application        routes.py   its routes, as a table
door.py       who may come in: tokens, hosts, origins
answers.py    JSON, errors and their headers
requests.py   a request's page, base address and peer      params.py  its body
fetch.py      what it names by address
tunes.py  prompts.py  pictures.py  catalogue.py  status.py   what the routes do
openapi.py    the document that describes them
worker.py     draws the jobs with an engine
callbacks.py  sends what the outbox holds
housekeeping.py  forgets what its time is over for
run.py        all of it as a process      background.py  or inside a host
"""
