"""Admin pages of cases, calls and lines, and what they add to the pages of contacts, queues and roles."""

from cmphone.calls.admin.calls import CallAdmin, LineAdmin
from cmphone.calls.admin.cases import CaseAdmin
from cmphone.calls.admin.owners import ContactWithCasesAdmin, QueueWithCasesAdmin
from cmphone.calls.admin.retention import RetentionPropertyAdmin
from cmphone.calls.admin.roles import RoleWithCallsAdmin

__all__ = [
    "CallAdmin",
    "CaseAdmin",
    "ContactWithCasesAdmin",
    "LineAdmin",
    "QueueWithCasesAdmin",
    "RetentionPropertyAdmin",
    "RoleWithCallsAdmin",
]
