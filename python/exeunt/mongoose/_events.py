"""The events."""

MG_EV_HTTP_MSG = 11
