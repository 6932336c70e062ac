"""Admin pages of the popup files: thin, on popup_store.py (writes) and popup_sets.py (reads)."""

from templates_store.admin.popups import PopupVersionAdmin

__all__ = ["PopupVersionAdmin"]
