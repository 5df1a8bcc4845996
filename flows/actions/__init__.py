"""What staff do from the run UI: each verb a flow with a form, once for all campaigns.

The verbs are the office's own, as the command line and the pages use them.
"""

# Their order is that in which staff see them.
from flows.actions import deadlines as deadlines  # noqa: I001
from flows.actions import reviewing as reviewing
from flows.actions import wishes as wishes
from flows.actions import approving as approving
from flows.actions import recording as recording
from flows.actions import contacts as contacts
from flows.actions import mails as mails
from flows.actions import announcing as announcing
from flows.actions import taking_part as taking_part
from flows.actions import campaigns as campaigns
from flows.actions import undoing as undoing
from flows.actions.action import KNOWN, Action

__all__ = ["ACTIONS", "Action"]

ACTIONS: tuple[Action, ...] = tuple(KNOWN.values())
