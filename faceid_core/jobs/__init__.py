"""What the service has promised to draw: prompts as rows that outlive any process.

job.py       Job: a prompt that somebody has posted, and how far it is
fields.py    a Prompt to and from the JSON of its row
posting.py   what is posted -> tunes that are kept, prompts that are promised      rules.py  by which rules
queue.py     Jobs: post, claim, renew, finish; a row's lease and fence make a job that runs twice harmless
listing.py   the jobs of an owner, page by page
answers.py   a job, a tune -> the API's objects
outbox.py    callbacks that have to arrive: when each is tried
tokens.py    who may use the service
api_tunes.py which tunes an owner has, and what the API calls them
backup.py    everything, tunes and jobs, as one file    restore.py  and back
row_copies.py  the rows of one database into another
schema.py    the tables, beside those of the tunes, in one database
"""
