from bench.workers import Metrics, spent


def test_metrics_by_name_and_label() -> None:
    metrics = Metrics({"a_total{kind=paid}": 3.0, "a_total{kind=capped}": 1.0, "a_totals": 9.0})
    assert metrics.total("a_total") == 4
    assert metrics.by_label("a_total") == {"paid": 3, "capped": 1}
    assert metrics.total("unknown") == 0


def test_what_services_used_in_between() -> None:
    assert spent({"kafka": 1.0}, {"kafka": 3.5, "redis": 0.25}) == {"kafka": 2.5, "redis": 0.25}
