"""The nouns. One module each; import them from here."""

from inspection.models.action import (
    ActionPlan,
    ActionStep,
    Connector,
    Delivery,
    DeliveryAttempt,
    ReceivedWebhook,
    Ticket,
)
from inspection.models.dispute import (
    DisputeAnswer,
    DisputeLink,
    DisputeLook,
    DisputePhoto,
    DisputeStatement,
    TryCount,
)
from inspection.models.drawing import Draft
from inspection.models.finding import Finding
from inspection.models.inspection import AttributeValue, Inspection, Photo
from inspection.models.judging import (
    Agreement,
    Comment,
    GoldUnit,
    Grade,
    Judgement,
    JudgingRule,
    Mention,
    Round,
)
from inspection.models.learning import (
    ComparedUnit,
    LearningJob,
    ModelVersion,
    PhotoReading,
    ShadowResult,
    TrainingExample,
    TrainingSet,
)
from inspection.models.plan import GoldenPhoto, Plan, PlanVersion
from inspection.models.queue import KeyMap, ReviewTask
from inspection.models.report import Report
from inspection.models.report_document import (
    ReportDocument,
    ReportLayout,
    ReportMailing,
    ReportPart,
    SiteLogo,
)
from inspection.models.review import Review
from inspection.models.risk import RiskDial, RiskGate
from inspection.models.rollup import (
    CalibrationDay,
    DayMark,
    DefectCost,
    DefectDay,
    EngineDay,
    HeatDay,
    LatencyDay,
    PhotoDay,
    ReviewerDay,
    RollupState,
    TicketDay,
    UnitDay,
)
from inspection.models.run import Run, StepRun
from inspection.models.site import ApiToken, Membership, Site, User
from inspection.models.transfer import ExportJob, ImportedAnnotation, ImportJob
from inspection.models.upload import Upload, UploadChunk

__all__ = [
    "ActionPlan",
    "ActionStep",
    "Agreement",
    "ApiToken",
    "AttributeValue",
    "CalibrationDay",
    "Comment",
    "ComparedUnit",
    "Connector",
    "DayMark",
    "DefectCost",
    "DefectDay",
    "Delivery",
    "DeliveryAttempt",
    "DisputeAnswer",
    "DisputeLink",
    "DisputeLook",
    "DisputePhoto",
    "DisputeStatement",
    "Draft",
    "EngineDay",
    "ExportJob",
    "Finding",
    "GoldUnit",
    "GoldenPhoto",
    "Grade",
    "HeatDay",
    "ImportJob",
    "ImportedAnnotation",
    "Inspection",
    "Judgement",
    "JudgingRule",
    "KeyMap",
    "LatencyDay",
    "LearningJob",
    "Membership",
    "Mention",
    "ModelVersion",
    "Photo",
    "PhotoDay",
    "PhotoReading",
    "Plan",
    "PlanVersion",
    "ReceivedWebhook",
    "Report",
    "ReportDocument",
    "ReportLayout",
    "ReportMailing",
    "ReportPart",
    "Review",
    "ReviewTask",
    "ReviewerDay",
    "RiskDial",
    "RiskGate",
    "RollupState",
    "Round",
    "Run",
    "ShadowResult",
    "Site",
    "SiteLogo",
    "StepRun",
    "Ticket",
    "TicketDay",
    "TrainingExample",
    "TrainingSet",
    "TryCount",
    "UnitDay",
    "Upload",
    "UploadChunk",
    "User",
]

from inspection.models import marks  # noqa: F401  registers triggers on the tables above
