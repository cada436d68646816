"""The second half of the story: what a model may be used for, who judged it, and what a stranger can verify of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from muniment.cli.demo.stage import COLLEAGUE, Stage
from muniment.evidence import verify
from muniment.sdk.datasets import Dataset, Parts
from muniment.sdk.models import Model

EXPERIMENT: Final = "CreditCardDefault"
USE_CASE: Final = "consumer-cards"
_PROTECTED: Final = ("SEX", "MARRIAGE")
_EXPOSURE: Final = 250_000_000
_ANSWERS: Final[Mapping[str, bool]] = {
    "quantitative": True,
    "estimate": True,
    "business_use": True,
    "complex": True,
    "user_built": False,
}
_CATALOGUES: Final = ("sr-26-2", "eu-ai-act", "ecb-internal-models")


@dataclass(frozen=True, slots=True)
class Frame:
    """What was fixed before anything was trained."""

    left_out: tuple[str, ...]
    """Columns that no model may learn from, or that say nothing: protected attributes and the number of the row."""

    groups: tuple[str, ...]
    """The columns by which people are compared."""

    use_case: str


class Signature:
    """From the use case to the pack."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._tell, self._told = stage, stage.tell, stage.told

    def frame(self, dataset: Dataset) -> Frame:
        """Fix the purpose and the thresholds; show that a job outside of them is refused."""
        self._tell.chapter(
            "What a model may be used for, and what it must reach, is fixed before any is trained", "admin"
        )
        admin, columns = self._stage.person("admin"), [column.name for column in dataset.detail.columns]
        protected = tuple(name for name in _PROTECTED if name in columns)
        name = self._free_name(admin.use_cases.list())
        use_case = admin.use_cases.add(
            name,
            purpose="decide on applications for consumer credit cards",
            owner="admin",
            kpis={"discrimination": "metric.auc >= 0.75"},
            legal=["Reg B: no decision by sex or marital status", "EU AI Act, Annex III 5(b): high risk"],
            jurisdiction=["US", "EU"],
            allow=["logistic_regression", "xgboost", "lightgbm"],
            prohibit=protected,
            exposure=_EXPOSURE,
            purpose_class="credit-decision",
            intended_use="applications of natural persons for a credit card of up to 1,000,000",
            out_of_scope="companies; limits of existing customers",
        )
        admin.use_cases.bind(EXPERIMENT, name)
        parts = ["metric.auc >= 0.75", "holdout.unused = true", "findings.high = 0"]
        gate = " and ".join([*parts, *(["fairness.air >= 0.8"] if "SEX" in protected else [])])
        admin.gates.set("approval", gate, use_case=name, reason="policy of the credit committee")
        detail = use_case.detail
        self._tell.fact(
            "use case", f"{detail.use_case}: {detail.purpose}, exposure {detail.exposure:,} {detail.currency}"
        )
        self._tell.fact("gate", gate)
        self._tell.note("Only what is measured from now on counts for the gate: thresholds come before results.")
        scientist, reference = self._stage.person("scientist"), dataset.reference
        if protected:
            self._stage.denied(
                f"a training that would learn from {protected[0]}",
                lambda: scientist.train("xgboost", reference, experiment=EXPERIMENT),
            )
        left_out = (*protected, *(column for column in columns if column.upper() == "ID"))
        return Frame(left_out, tuple(column for column in ("SEX",) if column in protected), name)

    def inventory(self, best: Model, frame: Frame) -> None:
        """Register the best model; its author submits it with a signature, and can do no more than that."""
        self._tell.chapter("The best model enters the inventory, and its author may not approve it", "scientist")
        for person in ("scientist", "validator", "approver", COLLEAGUE):
            keys = self._stage.person(person).keys
            if not (keys.file and keys.file.exists()):
                keys.enrol("of the story")
        self._tell.fact("keys", "four people enrol signing keys of their own; the private halves never leave them")
        scientist = self._stage.person("scientist")
        model = scientist.models.get(best.reference)
        registered = model.register(
            use_case=frame.use_case,
            description="Probability that a card holder defaults next month.",
            assumptions=["applicants resemble the customers of the training data"],
            limits=["no applicants without six months of payment history"],
        )
        self._tell.fact("registered", f"{best.reference} as a draft, tier {registered.tier}: exposure times purpose")
        validator = self._stage.person("validator").models.get(best.reference)
        validator.determine(_ANSWERS, "a statistical model that decides on credit")
        self._tell.fact("determined", "a model in the regulator's sense: a questionnaire that the validator signs")
        state = model.submit("ready for validation")
        self._tell.fact("submitted", f"signed by scientist; state {state.state}")
        self._stage.grant("scientist", "approver")
        self._stage.denied(
            "the scientist, whom an administrator made an approver, approves his own model", model.approve
        )

    def validation(self, best: Model, parts: Parts, frame: Frame) -> None:
        """Somebody who had no part in it examines the model, asks, and signs what he found."""
        self._tell.chapter("Somebody who had no part in it examines the model", "validator")
        validator, scientist = self._stage.person("validator"), self._stage.person("scientist")
        model = validator.models.get(best.reference)
        with self._tell.work("measure again, as somebody else") as watch:
            measured = model.evaluate(parts["test"], groups=frame.groups, reference=parts["train"], watch=watch)
        self._stage.expect(measured.metrics()["auc"] == best.metrics["auc"], "the same measurement has the same result")
        with self._tell.work("explain, exactly, on the test part") as watch:
            explanation = model.explain(parts["test"], watch=watch)
        features = explanation.report["features"]
        self._tell.fact("driven by", ", ".join(f"{one['name']} {one['share']:.0%}" for one in features[:4]))
        asked = validator.challenge.ask(model, "Why gradient boosting, when a scorecard is easier to explain?")
        scientist.challenge.answer(
            asked.comment, "It separates better by 4 points of AUC; see the losing alternatives."
        )
        validator.challenge.resolve(asked.comment, "Accepted: the gain is measured on the test part.")
        finding = validator.findings.open(
            model, "Stability over time is not shown", severity="low", owner="scientist", due=_IN_A_YEAR
        )
        self._tell.fact("challenge", "a question asked, answered and settled; a low finding stays open")
        state = model.review(
            "satisfactory with findings",
            "Method, data and measurements were examined and the model was made again bit for bit.",
            scope="data, method, performance, fairness, reproduction",
            conceptual_soundness="suited to the purpose; contributions agree with credit theory",
        )
        self._tell.fact(
            "review", f"signed by validator; state {state.state}; finding {finding.severity}: {finding.title}"
        )

    def approval(self, best: Model) -> None:
        """The gate opens on what was measured, and two people sign."""
        self._tell.chapter("Two people approve it, each for himself", "approver")
        approver = self._stage.person("approver")
        checked = approver.gates.check(best.reference, stage="approve")
        for result in checked.reply.gates:
            for part in result.parts:
                self._tell.fact("gate", f"{part.text}: {part.why}")
        self._stage.expect(checked.open, f"the gate is open: {', '.join(checked.closed)}")
        limits = ["applications of up to 1,000,000", "not for existing customers"]
        first = approver.models.get(best.reference).approve(conditions=["monthly monitoring"], use_limits=limits)
        self._tell.fact(
            "approver", f"signed; {len(first.approvals)} of {first.required} signatures, state {first.state}"
        )
        self._stage.expect(first.state != "approved", "one signature is not enough in the highest tier")
        second = self._stage.person(COLLEAGUE).models.get(best.reference)
        done = second.approve(conditions=["monthly monitoring"], use_limits=limits)
        self._stage.expect(done.state == "approved", "two signatures approve it")
        self._told.state = done.state
        self._tell.fact(COLLEAGUE, f"signed; {len(done.approvals)} of {done.required} signatures, state {done.state}")

    def pack(self, best: Model) -> None:
        """Everything that bears the model out, in one file; a stranger verifies it, and notices one flipped bit."""
        self._tell.chapter("A stranger gets everything in one file, and needs nothing of ours to verify it", "auditor")
        auditor = self._stage.person("auditor")
        model, file = auditor.models.get(best.reference), self._stage.home / f"pack-{self._told.project}.zip"
        file.unlink(missing_ok=True)
        with self._tell.work("evidence pack: report, records, proofs, signatures, verifier"):
            pack = model.evidence(file)
        self._told.pack, self._told.key = str(file), self._stage.platform.ledger.key
        self._tell.fact("pack", f"{file}  {pack.size / 1e6:.1f} MB")
        code, found = self._verify(file)
        self._stage.expect(code == 0, f"the pack verifies: {found}")
        self._tell.fact("verify.py", "true, with the standard library alone and the ledger's key")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        broken = file.with_suffix(".flipped.zip")
        broken.write_bytes(content)
        code, found = self._verify(broken)
        broken.unlink()
        self._stage.expect(code == 1, "one flipped bit is noticed")
        self._stage.refused("a pack with one flipped bit", "verify.py", str(found["reason"]), "")
        for catalogue in _CATALOGUES:
            counts = model.report(catalogue).counts
            self._tell.fact(catalogue, ", ".join(f"{number} {answer}" for answer, number in counts.items() if number))

    def _verify(self, pack: Path) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-I", "-S", str(verify.__file__), str(pack), "--key", self._told.key, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, found

    @staticmethod
    def _free_name(known: Any) -> str:
        names = {one.name for one in known}
        return next(name for name in (USE_CASE, *(f"{USE_CASE}-{n}" for n in range(2, 1000))) if name not in names)


_IN_A_YEAR: Final = "2027-11-01"
