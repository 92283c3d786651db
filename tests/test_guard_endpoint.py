"""An audit's own requests through the guard: a model behind an endpoint, as far as the policy lets it be one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from llm_mia.backends import RemoteBackend
from llm_mia.backends.endpoint import ContinuingEndpoint, Patience, connect
from llm_mia.guard import Guard, LogprobRules, Policy, Rule, Secret, Upstream, configuration
from llm_mia.queries import Query
from llm_mia.signals import signals_of

from .conftest import sentences
from .endpoint_server import MODEL, Server, running
from .model_servers import served

TEXTS = sentences(4, seed=3)
QUICK = Patience(attempts=2, first_wait=0.01, longest_wait=0.05, timeout=10.0)
EVERYTHING = LogprobRules(prompt=Rule.PASS, top=100)


@contextmanager
def behind(server: Server, rules: LogprobRules, queries: list[Query]) -> Iterator[str]:
    """The name of the model of *server* behind a guard."""
    policy = Policy(rules)
    with running(server):
        guard = Guard(policy, Upstream(server.url, policy.upstream), Secret(b"secret"), queries.append)
        with served(configuration(guard, policy)) as address:
            yield f"openai:{MODEL}@{address}"


def test_signals_are_those_of_the_server_where_everything_passes() -> None:
    server, queries = Server(vllm=True, bos="shown"), list[Query]()
    with behind(server, EVERYTHING, queries) as name:
        direct, guarded = connect(server.name, patience=QUICK), connect(name, patience=QUICK)
        assert isinstance(direct, RemoteBackend)
        assert isinstance(guarded, RemoteBackend)
        pairs = zip(signals_of(direct, TEXTS), signals_of(guarded, TEXTS), strict=True)
        for of_server, through in pairs:
            np.testing.assert_array_equal(through.logprob, of_server.logprob)
            np.testing.assert_array_equal(through.top, of_server.top)
    asked = [query for query in queries if query.prompt in TEXTS]
    assert len(asked) == len(TEXTS)
    assert all(query.echo or query.prompt_logprobs for query in asked), "the log shows what such an attack asks for"


@pytest.mark.parametrize("rule", [Rule.DENY, Rule.REMOVE])
def test_no_attack_on_log_probabilities_where_they_are_hidden(rule: Rule) -> None:
    with behind(Server(), LogprobRules(prompt=rule, generated=rule), []) as name:
        backend = connect(name, patience=QUICK)
        assert isinstance(backend, ContinuingEndpoint), "texts may still be continued"
        assert backend.offers == {"continuations"}
        assert "key" not in backend.problem
