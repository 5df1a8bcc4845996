"""All tables of the ledger."""

from ledger.tables.audit import AuditRow
from ledger.tables.base import Base, Written
from ledger.tables.campaigns import CampaignRow, CampaignState, ContactRow, DeliverableRow, PartyKind, PartyRow
from ledger.tables.decisions import Changed, ChangeRow, DefinitionRow
from ledger.tables.delivery import HoldRow, LaneRow, SenderRow, SlotRow
from ledger.tables.desk import (
    AcknowledgementRow,
    ApprovalRow,
    ApprovalState,
    BundleRow,
    CallRow,
    DecisionRow,
    EventRow,
    RequestRow,
)
from ledger.tables.intake import IntakeKind, IntakeRow, IntakeState
from ledger.tables.messages import GONE, UNTOLD, AttemptRow, ItemRow, MailClass, MessageRow, MessageState
from ledger.tables.obligations import AnswerRow, DraftRow, FigureRow, FileRow, FindingRow, ObligationRow, SubmissionRow
from ledger.tables.papers import PaperKind, PaperRow, PaperState
from ledger.tables.staff import StaffRow, VisitRow
from ledger.tables.steps import DrainRow, StepRunRow

__all__ = [
    "GONE",
    "UNTOLD",
    "AcknowledgementRow",
    "AnswerRow",
    "ApprovalRow",
    "ApprovalState",
    "AttemptRow",
    "AuditRow",
    "Base",
    "BundleRow",
    "CallRow",
    "CampaignRow",
    "CampaignState",
    "ChangeRow",
    "Changed",
    "ContactRow",
    "DecisionRow",
    "DefinitionRow",
    "DeliverableRow",
    "DraftRow",
    "DrainRow",
    "EventRow",
    "FigureRow",
    "FileRow",
    "FindingRow",
    "HoldRow",
    "IntakeKind",
    "IntakeRow",
    "IntakeState",
    "ItemRow",
    "LaneRow",
    "MailClass",
    "MessageRow",
    "MessageState",
    "ObligationRow",
    "PaperKind",
    "PaperRow",
    "PaperState",
    "PartyKind",
    "PartyRow",
    "RequestRow",
    "SenderRow",
    "SlotRow",
    "StaffRow",
    "StepRunRow",
    "SubmissionRow",
    "VisitRow",
    "Written",
]
