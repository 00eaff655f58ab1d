"""`make load`: the book's load test. Locust asks a deployed API, for a bounded time, for series and single days."""

from __future__ import annotations

import os
import random

from locust import HttpUser, between, task

# The sample file's, and some that have no data.
EVENTS = os.environ.get("EVENTS", "324 318 999").split()


class Visitor(HttpUser):
    """Asks for an event from a day on, as the book's does, and waits a second or so."""

    wait_time = between(0.5, 1.5)

    @task(3)
    def from_day(self) -> None:
        """Ask for one of the events from a day of October 2017 on."""
        day = random.randint(20171001, 20171017)
        self.ask(f"/visits/{random.choice(EVENTS)}?startDate={day}", "/visits/{id}?startDate={day}")

    @task(1)
    def whole(self) -> None:
        """Ask for all days of an event."""
        self.ask(f"/visits/{random.choice(EVENTS)}", "/visits/{id}")

    def ask(self, path: str, name: str) -> None:
        """Ask, and count anything but 200 and 429 as a failure: throttling is what a limited stage answers with."""
        with self.client.get(path, name=name, catch_response=True) as answer:
            if answer.status_code == 429:
                answer.success()
