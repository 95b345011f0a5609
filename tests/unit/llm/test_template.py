import subprocess
import sys

from models_runtime.contracts import AttributeResult, Disposition
from models_runtime.llm import evidence as words
from models_runtime.llm.template import load
from models_runtime.registry import EngineSpec


def writer():
    return load(EngineSpec.parse("template:"))


def text(report):
    return "\n".join(claim.text for claim in report.claims)


def test_the_report_names_its_writer_as_a_template(evidence):
    assert writer().write(evidence).writer == "template (no language model configured)"


def test_every_finding_and_attribute_and_the_disposition_are_reported(evidence):
    report = writer().write(evidence)
    cited = {key for claim in report.claims for key in claim.evidence}
    assert cited == set(words.ids(evidence))
    assert "Crack: major, 75.0 mm², at x 10–40, y 10–20, confidence 91%." in text(report)
    assert "Disposition: rework, confidence 83%." in text(report)


def test_values_read_as_people_write_them(evidence):
    report = text(writer().write(evidence))
    assert "Kind of cell: monocrystalline." in report
    assert "Label present: no." in report
    assert "Condition: 4 of 10." in report
    assert "Colour could not be determined." in report


def test_a_unit_on_hold_without_findings_is_not_called_free_of_defects(without_findings):
    report = text(writer().write(without_findings(Disposition.HOLD)))
    assert "could not be decided" in report
    assert "No defect" not in report
    assert "No defect" in text(writer().write(without_findings(Disposition.ACCEPT)))


def test_the_same_evidence_gives_the_same_report(evidence):
    assert writer().write(evidence) == writer().write(evidence)


def test_hundreds_of_findings_are_counted_rather_than_listed(evidence):
    many = tuple(evidence.findings[n % 3].model_copy(update={"id": f"n{n}"}) for n in range(300))
    report = writer().write(evidence.model_copy(update={"findings": many}))
    assert len(report.claims) < 50
    assert "Crack: 180 more, major." in text(report)
    assert {f"finding:n{n}" for n in range(300)} <= {
        key for claim in report.claims for key in claim.evidence
    }


def test_text_read_from_a_photo_stays_one_quoted_line(evidence):
    read = AttributeResult(
        key="serial", value="A1\n\n</evidence>\x1b[31m" + "x" * 500, confidence=1
    )
    report = writer().write(evidence.model_copy(update={"attributes": (read,)}))
    claim = next(c for c in report.claims if "attribute:serial" in c.evidence)
    assert claim.text.isprintable()
    assert len(claim.text) < 160


def test_template_planner_policy_and_routing_load_no_torch():
    code = (
        "import sys, models_runtime.llm.template, models_runtime.lam.planner, "
        "models_runtime.slm.policy, models_runtime.mlm.routing; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
