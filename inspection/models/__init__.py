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
from inspection.models.plan import GoldenPhoto, Plan, PlanVersion
from inspection.models.report import Report
from inspection.models.review import Review
from inspection.models.risk import RiskDial, RiskGate
from inspection.models.run import Run, StepRun
from inspection.models.site import ApiToken, Membership, Site, User
from inspection.models.upload import Upload, UploadChunk

__all__ = [
    "ActionPlan",
    "ActionStep",
    "Agreement",
    "ApiToken",
    "AttributeValue",
    "Comment",
    "Connector",
    "Delivery",
    "DeliveryAttempt",
    "Finding",
    "GoldUnit",
    "GoldenPhoto",
    "Grade",
    "Inspection",
    "Judgement",
    "JudgingRule",
    "Membership",
    "Mention",
    "Photo",
    "Plan",
    "PlanVersion",
    "ReceivedWebhook",
    "Report",
    "Review",
    "RiskDial",
    "RiskGate",
    "Round",
    "Run",
    "Site",
    "StepRun",
    "Ticket",
    "Upload",
    "UploadChunk",
    "User",
]
