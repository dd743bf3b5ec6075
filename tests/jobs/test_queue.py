"""A job is drawn once, whoever dies: leases, fences and the order of the queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from faceid_tunes.faceid_core.jobs.job import Claim, FinishedPicture, Job
from faceid_tunes.faceid_core.jobs.listing import JobFilter, count_by_state, job_of, list_jobs
from faceid_tunes.faceid_core.jobs.outbox import add_delivery, arrived, due, not_arrived, origin_of
from faceid_tunes.faceid_core.jobs.queue import LEASE, MAX_ATTEMPTS, STARVING, Jobs
from faceid_tunes.faceid_core.prompts import Prompt
from faceid_tunes.faceid_core.tunes.store import TuneStore

from .conftest import Clock

SD15, SDXL = 690204, 666678
PICTURE = FinishedPicture(b"a picture", "image/png")


def post(jobs: Jobs, text: str = "a lake", tune_id: int = SD15, **more: object) -> Job:
    fields = {name: more.pop(name) for name in ("callback", "input_image") if name in more}
    return jobs.post(Prompt(text, **fields), tune_id=tune_id, base_url="http://here", **more)


def claimed(jobs: Jobs, **options: object) -> Claim:
    claim = jobs.claim("a worker", **options)
    assert claim is not None
    return claim


def now(store: TuneStore, job: Job) -> Job:
    found = job_of(store.database, job.id, 0)
    assert found is not None
    return found


def test_a_job_is_claimed_once(jobs: Jobs) -> None:
    job = post(jobs)
    assert claimed(jobs).job.id == job.id
    assert jobs.claim("another") is None


def test_a_finished_job_has_its_pictures_at_addresses_of_their_own(jobs: Jobs, store: TuneStore, clock: Clock) -> None:
    job = post(jobs)
    claim = claimed(jobs)
    clock.passes(7)
    assert jobs.finish(claim, [PICTURE, PICTURE], ["a note"])
    done = now(store, job)
    assert (done.state, done.ended_at, done.notes) == ("done", clock(), ("a note",))
    assert len({picture.name for picture in done.pictures}) == 2 and {p.sha256 for p in done.pictures} == {
        done.pictures[0].sha256
    }
    assert store.blobs.get(done.pictures[0].sha256) == b"a picture"


def test_a_worker_whose_lease_has_ended_writes_nothing(jobs: Jobs, store: TuneStore, clock: Clock) -> None:
    job = post(jobs)
    slow = claimed(jobs)
    clock.passes(LEASE.total_seconds())
    quick = claimed(jobs)
    assert quick.job.attempt == 2
    assert (
        not jobs.renew(slow)
        and not jobs.finish(slow, [PICTURE])
        and not jobs.fail(slow, "x")
        and not jobs.give_back(slow)
    )
    assert now(store, job).state == "running"
    assert jobs.finish(quick, [PICTURE])
    assert not jobs.finish(quick, [PICTURE]) and len(now(store, job).pictures) == 1


def test_a_lease_that_is_renewed_does_not_end(jobs: Jobs, clock: Clock) -> None:
    post(jobs)
    claim = claimed(jobs)
    for _ in range(5):
        clock.passes(LEASE.total_seconds() * 0.9)
        assert jobs.renew(claim) and jobs.claim("another") is None


def test_a_job_that_kills_its_workers_ends_with_a_reason_and_a_callback(
    jobs: Jobs, store: TuneStore, clock: Clock
) -> None:
    job = post(jobs, callback="http://client.example/done?secret=1")
    for _ in range(MAX_ATTEMPTS):
        claimed(jobs)
        clock.passes(LEASE.total_seconds())
    assert jobs.claim("another") is None
    assert now(store, job).state == "failed" and "3 times" in str(now(store, job).user_error)
    (delivery,) = due(store.database, clock())
    assert delivery.url.endswith("?secret=1") and delivery.body["prompt"]["images"] == []


def test_a_job_given_back_is_drawn_at_once_and_costs_no_attempt(jobs: Jobs) -> None:
    post(jobs)
    claim = claimed(jobs)
    assert jobs.give_back(claim)
    assert claimed(jobs).job.attempt == claim.job.attempt
    assert not jobs.finish(claim, [PICTURE])


def test_what_the_worker_has_loaded_goes_first_then_priority_then_age(jobs: Jobs) -> None:
    old, urgent, other = post(jobs, "old"), post(jobs, "urgent", priority=5), post(jobs, "other", SDXL)
    order = [claimed(jobs, loaded=SDXL).job.id for _ in range(3)]
    assert order == [other.id, urgent.id, old.id]


def test_a_starving_job_goes_before_every_other(jobs: Jobs, clock: Clock) -> None:
    starving = post(jobs, "old", SDXL)
    clock.passes(STARVING.total_seconds())
    post(jobs, "new", SD15, priority=9)
    assert claimed(jobs, loaded=SD15).job.id == starving.id


def test_a_deleted_job_takes_its_files_along_and_its_worker_is_told(jobs: Jobs, store: TuneStore) -> None:
    job = post(jobs, input_image=b"an uploaded picture")
    claim = claimed(jobs)
    (name,) = store.known_files(list(store.blobs.older_than(timedelta(0))))
    jobs.delete(job.id)
    assert not jobs.renew(claim) and not jobs.finish(claim, [PICTURE])
    assert store.blobs.size(name) is None and count_by_state(store.database)["running"] == 0


def test_the_files_of_a_job_outlive_a_purge(jobs: Jobs, store: TuneStore) -> None:
    job = post(jobs, input_image=b"an uploaded picture")
    jobs.finish(claimed(jobs), [PICTURE])
    store.purge(timedelta(0))
    assert store.blobs.get(now(store, job).pictures[0].sha256) == b"a picture"


@pytest.mark.slow
def test_a_callback_is_tried_six_times_and_then_left(jobs: Jobs, store: TuneStore, clock: Clock) -> None:
    post(jobs, callback="http://client.example/done")
    jobs.finish(claimed(jobs), [PICTURE])
    begun, tries = clock(), []
    for _ in range(1600):
        for delivery in due(store.database, clock()):
            tries.append(round((clock() - begun).total_seconds()))
            not_arrived(store.database, delivery, "HTTP 500", clock())
        clock.passes(5)
    assert tries == [0, 10, 60, 300, 1800, 7200]


def test_a_callback_that_has_arrived_is_not_sent_again(jobs: Jobs, store: TuneStore, clock: Clock) -> None:
    post(jobs, callback="http://client.example/done")
    jobs.finish(claimed(jobs), [PICTURE])
    (delivery,) = due(store.database, clock())
    assert due(store.database, clock()) == (), "another sender does not get it meanwhile"
    arrived(store.database, delivery, clock())
    clock.passes(10_000)
    assert due(store.database, clock()) == ()


@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_clock_that_jumps_loses_no_job(jobs: Jobs, store: TuneStore, clock: Clock, seconds: float) -> None:
    job = post(jobs)
    first = claimed(jobs)
    clock.passes(seconds)
    second = claimed(jobs)
    assert jobs.finish(second, [PICTURE]) and not jobs.finish(first, [PICTURE])
    assert now(store, job).state == "done"


def test_jobs_are_found_by_text_person_and_time(jobs: Jobs, store: TuneStore, clock: Clock) -> None:
    lake = post(jobs, "a Lake, 100%")
    clock.passes(60)
    person = post(jobs, "<faceid:12:1> man")
    post(jobs, "<faceid:123:1> man")

    def found(**which: object) -> list[int]:
        return [job.id for job in list_jobs(store.database, 0, which=JobFilter(**which))]

    assert found(text="lake, 100%") == [lake.id] and found(text="_") == []
    assert found(tune_id=12) == [person.id] and len(found(tune_id=SD15)) == 3
    assert lake.id not in found(since=clock()) and len(found(since=clock())) == 2


@pytest.mark.parametrize("url", ["http://a", "http://a/", "http://a?x=1", "http://a/b%_\\"])
def test_deliveries_to_an_origin_can_be_left_alone(store: TuneStore, clock: Clock, url: str) -> None:
    for each in (url, "http://a.example/", "http://a:8080/", "https://a/", "http://other/?http://a/"):
        add_delivery(store.database, each, {}, is_local=False, now=clock())
    assert origin_of(url) == "http://a"
    assert url not in {delivery.url for delivery in due(store.database, clock(), not_to=["http://a"])}
    assert [delivery.url for delivery in due(store.database, clock())] == [url]
