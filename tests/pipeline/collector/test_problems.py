"""Problems as the person who sent the request reads them."""

import json

from pipeline.collector.problems import ProblemError


def test_a_problem_says_what_and_when_to_try_again() -> None:
    problem = ProblemError(503, "kafka_down", "Kafka does not answer", retry_after_s=0.2)
    assert json.loads(problem.body("r-1")) == {
        "type": "urn:viewledger:problem:kafka_down",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Kafka does not answer",
        "request_id": "r-1",
    }
    assert problem.headers == {"Retry-After": "1"}


def test_without_a_time_there_is_no_retry_after() -> None:
    assert ProblemError(400, "no_events", "none").headers == {}
