"""In place of the package `graceful_shutdown`: change the import, and nothing else."""

from ._shields import ShutdownProtection, configure_shutdown_manager

__all__ = ["ShutdownProtection", "configure_shutdown_manager"]
