import pytest

from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.audits.mechanism import audit_route, describe_audit, private_route
from sudare.core.errors import AuditError, ConfigError
from sudare.core.progress import Silent
from sudare.training import dpsgd as trainer


def config(*overrides):
    return load_config(apply_overrides(read_toml("smoke"), ["data.pool=100", *overrides]))


def test_an_honest_route_stands_and_the_lines_say_what_was_proved():
    found = audit_route(config(), "dpsgd-eps8", canaries=500, progress=Silent())
    assert not found.refuted
    assert 0 < found.gaussian < found.claimed <= 8
    text = describe_audit(found)
    assert text.startswith("not refuted")
    assert f"claimed epsilon at delta 0.001: {found.claimed:.3g}" in text


def test_a_route_whose_noise_is_a_tenth_of_what_it_claims_is_refuted(monkeypatch):
    honest = trainer.DPOptimizer

    def quiet(*args, noise_multiplier, **settings):
        return honest(*args, noise_multiplier=noise_multiplier / 10, **settings)

    monkeypatch.setattr(trainer, "DPOptimizer", quiet)
    found = audit_route(config(), "", canaries=500, progress=Silent())
    assert found.refuted
    assert describe_audit(found).startswith("REFUTED")


def test_what_cannot_be_audited_is_refused_before_training():
    with pytest.raises(ConfigError, match="no route 'plain' trains with DP-SGD"):
        private_route(config(), "plain")
    without = config()
    without = without.model_copy(update={"routes": without.routes[:1]})
    with pytest.raises(ConfigError, match="no route trains with DP-SGD"):
        private_route(without)
    with pytest.raises(AuditError, match="need as many coordinates"):
        audit_route(config(), "", canaries=10**6, progress=Silent())
