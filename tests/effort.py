"""How hard properties are tried: as often as they say, or a tenth of that in the fast loop (`make check`)."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

USUAL = 100

settings.register_profile(
    "project",
    deadline=None,
    max_examples=USUAL,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("check", settings.get_profile("project"), max_examples=USUAL // 10)


def examples(count: int) -> int:
    """So many examples, and in another profile in proportion to it."""
    return max(1, count * settings.default.max_examples // USUAL)
