"""Admin pages of cases, and what they add to the pages of contacts and queues."""

from cmphone.calls.admin.cases import CaseAdmin
from cmphone.calls.admin.owners import ContactWithCasesAdmin, QueueWithCasesAdmin
from cmphone.calls.admin.retention import RetentionPropertyAdmin

__all__ = ["CaseAdmin", "ContactWithCasesAdmin", "QueueWithCasesAdmin", "RetentionPropertyAdmin"]
