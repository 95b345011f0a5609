"""States and kinds, as stored. Constraints and conditional updates enforce the transitions."""

from django.db import models


class Role(models.TextChoices):
    """What a member of a site may do; each role includes those before it."""

    OPERATOR = "operator", "Operator"
    REVIEWER = "reviewer", "Reviewer"
    MANAGER = "manager", "Quality manager"
    ADMIN = "admin", "Admin"


class InspectionStatus(models.TextChoices):
    """RECEIVED → RUNNING → REVIEW or DECIDED; FAILED where no verdict could be reached."""

    RECEIVED = "received", "Received"
    RUNNING = "running", "Running"
    REVIEW = "review", "Needs review"
    DECIDED = "decided", "Decided"
    FAILED = "failed", "Failed"


class DispositionChoice(models.TextChoices):
    ACCEPT = "accept", "Accept"
    REWORK = "rework", "Rework"
    REJECT = "reject", "Reject"
    HOLD = "hold", "Hold"


class SeverityChoice(models.TextChoices):
    MINOR = "minor", "Minor"
    MAJOR = "major", "Major"
    CRITICAL = "critical", "Critical"


class PhotoStatus(models.TextChoices):
    """RECEIVED: bytes stored. READY: decoded. UNUSABLE: could not be, see the message."""

    RECEIVED = "received", "Received"
    READY = "ready", "Ready"
    UNUSABLE = "unusable", "Unusable"


class UploadStatus(models.TextChoices):
    """RECEIVING chunks → RECEIVED whole → DONE (one inspection, or many) or REFUSED."""

    RECEIVING = "receiving", "Uploading"
    RECEIVED = "received", "Waiting"
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"


class StepName(models.TextChoices):
    """The steps of the pipeline; ``inspection.pipeline.PIPELINE`` holds their order."""

    INTAKE = "intake", "Intake"
    ROUTE = "route", "Route"
    EXTRACT = "extract", "Extract"
    SEGMENT = "segment", "Segment"
    TRIAGE = "triage", "Triage"
    REPORT = "report", "Report"
    ACT = "act", "Act"


class RunStatus(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class StepStatus(models.TextChoices):
    """WAITING for the step before → QUEUED → RUNNING (leased) → DONE, SKIPPED or FAILED."""

    WAITING = "waiting", "Waiting"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"


class FindingStatus(models.TextChoices):
    """The current word on a finding: the model's (OPEN) or the latest verdict's."""

    OPEN = "open", "Open"
    CONFIRMED = "confirmed", "Confirmed"
    REJECTED = "rejected", "Rejected"


class FindingHistory(models.TextChoices):
    NEW = "new", "New"
    PRE_EXISTING = "pre_existing", "Pre-existing"
    WORSE = "worse", "Worse"
    FIXED = "fixed", "Fixed"


class FindingSourceChoice(models.TextChoices):
    VLM = "vlm", "Vision-language model"
    GOLDEN = "golden", "Golden reference"
    EARLIER = "earlier", "Earlier photo"
    PERSON = "person", "Person"
    IMPORT = "import", "Imported annotation"


class ReviewKind(models.TextChoices):
    """What a verdict says; each is a row of its own and is never changed."""

    CONFIRM_FINDING = "confirm_finding", "Confirmed the finding"
    REJECT_FINDING = "reject_finding", "Rejected the finding"
    CHANGE_FINDING = "change_finding", "Changed the finding"
    ADD_FINDING = "add_finding", "Added the finding"
    DISPOSITION = "disposition", "Decided the disposition"
    UNDO = "undo", "Took a verdict back"


class ActionStatus(models.TextChoices):
    APPROVAL = "approval", "Waits for approval"
    READY = "ready", "Ready"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class ConnectorKind(models.TextChoices):
    WEBHOOK = "webhook", "Webhook"


class TicketStatus(models.TextChoices):
    """PENDING until a destination has taken it."""

    PENDING = "pending", "On its way"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Not delivered"


class DeliveryStatus(models.TextChoices):
    """PENDING → SENDING (leased) → DELIVERED, back to PENDING for a retry, or FAILED for good."""

    PENDING = "pending", "Waiting"
    SENDING = "sending", "Sending"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class RejectReason(models.TextChoices):
    """Why a finding is no defect that counts; the catalogue that reviewers choose from."""

    DIRT = "dirt", "Dirt or dust"
    REFLECTION = "reflection", "Reflection or glare"
    PRE_EXISTING = "pre_existing", "Pre-existing, known"
    DUPLICATE = "duplicate", "Duplicate of another finding"
    WRONG_CLASS = "wrong_class", "Another class of defect"
    TOO_SMALL = "too_small", "Too small, within limits"
    BELONGS = "belongs", "Belongs to the product"
    OTHER = "other", "Other: say what in the comment"


class RoundKind(models.TextChoices):
    SECOND = "second", "Second review"
    GOLD = "gold", "Gold unit"


class RoundState(models.TextChoices):
    """SECOND word is due → FINAL where the two agree, else ADJUDICATION → FINAL. GOLD: open to
    each reviewer once, until it is retired (FINAL)."""

    SECOND = "second", "Second review"
    ADJUDICATION = "adjudication", "Adjudication"
    GOLD = "gold", "Gold unit"
    FINAL = "final", "Final"


class SecondReviewReason(models.TextChoices):
    SHARE = "share", "drawn at random"
    SEVERITY = "severity", "as severe as the rule says"
    NEW_REVIEWER = "new_reviewer", "the first reviewer is new"


class JudgementPart(models.TextChoices):
    FIRST = "first", "First word"
    SECOND = "second", "Second word"
    ADJUDICATION = "adjudication", "Adjudication"
    GOLD = "gold", "Gold unit"


class MentionKind(models.TextChoices):
    MENTION = "mention", "named you"
    REPLY = "reply", "answered"


class ReviewReason(models.TextChoices):
    """Why a person is asked; each is a queue. ``inspection.services.queue`` puts units there."""

    LOW_CONFIDENCE = "low_confidence", "Low confidence"
    DISAGREEMENT = "disagreement", "Disagreement"
    OUT_OF_DISTRIBUTION = "out_of_distribution", "Unlike known photos"
    SEVERITY = "severity", "Severity"
    SAMPLED = "sampled", "Sampled auto-pass"
    SECOND_REVIEW = "second_review", "Second review"
    GOLD = "gold", "Gold unit"
    DISPUTE = "dispute", "Dispute"
    ASKED = "asked", "Asked for"


class TaskStatus(models.TextChoices):
    """OPEN; PAUSED while the models look at the unit again; DONE by a person, or WITHDRAWN."""

    OPEN = "open", "Open"
    PAUSED = "paused", "Models look again"
    DONE = "done", "Done"
    WITHDRAWN = "withdrawn", "Withdrawn"
