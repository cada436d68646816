"""Values of oversight in a notebook: they say what matters, as data frames too, and nothing foreign acts in them."""

from __future__ import annotations

from muniment.sdk.oversight import GateAnswer, VersionChange
from muniment.wire import oversight as wire

DIGEST = "sha256:" + "a" * 64
EVIL = "<script>alert(1)</script>"


def gates(*outcomes: str) -> GateAnswer:
    """An answer with one gate for each outcome."""
    results = [
        wire.GateResult(
            name=f"g{number}",
            version=1,
            stage="approve",
            use_case=None,
            expression="tier.level <= 2",
            open=outcome == "yes",
            why=EVIL,
            parts=[wire.GatePart(text="tier.level <= 2", outcome=outcome, why=EVIL)],
            record=DIGEST,
            fixed_at=None,
            min_grade="proven",
        )
        for number, outcome in enumerate(outcomes)
    ]
    opened = all(result.open for result in results)
    return GateAnswer(wire.GateCheck(model="model:m@1", digest=DIGEST, open=opened, gates=results))


def test_an_answer_of_gates_names_the_closed_ones() -> None:
    """``open`` and ``closed`` say it; text and frame hold each part."""
    answer = gates("yes", "unknown", "no")
    assert (answer.open, answer.closed) == (False, ["g1", "g2"])
    assert gates("yes").open
    assert "gates closed" in repr(answer)
    assert repr(answer).count("tier.level <= 2") == 3
    assert list(answer.to_frame().columns) == ["gate", "test", "outcome", "why"]


def test_a_change_shows_proposal_and_decision() -> None:
    """Both stand in the text; the frame has a row for each difference."""
    reply = wire.VersionComparison(
        model="model:m@2",
        digest=DIGEST,
        base="model:m@1",
        base_digest=DIGEST,
        differences=[wire.DifferenceView(section="data", name=EVIL, before=1, after=2, size=1.0)],
        proposed_class="material",
        reasons=[wire.ClassReason(change_class="material", rule="r", because=EVIL)],
        rules="change-classes@1",
        rules_digest=DIGEST,
        not_compared=[],
        decided_class="minor",
        decided_by="User:ann",
        decision=EVIL,
    )
    change = VersionChange(reply)
    assert (change.proposed_class, change.decided_class) == ("material", "minor")
    assert "proposed material" in repr(change)
    assert "decided minor by User:ann" in repr(change)
    assert len(change.to_frame()) == 1
    for html in (change._repr_html_(), gates("no")._repr_html_()):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
