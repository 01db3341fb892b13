"""
The story of the demo: a dozen events, and the expected deliveries of each.

The events themselves are JSON files in `samples`, as a publisher would send them. The people are invented; most of
them are contacts of the sandbox iMIS.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

import msgspec

from learning_hub.model.delivery import State
from learning_hub.sandbox import seeds

PROGRAM = "NURSES"
SUBSCRIBER = "imis"
ACTIVITIES = "topclass-activities"
PANEL = "topclass-panel"
LEARNING_BUILDER = "learningbuilder"

SUBSCRIPTIONS: dict[str, dict[str, str]] = {
    ACTIVITIES: {"Preset": "topclass-imis-activity", "PublisherSystemId": "TopClass"},
    PANEL: {"Preset": "topclass-imis-panel", "PublisherSystemId": "TopClass"},
    LEARNING_BUILDER: {"Preset": "learningbuilder-imis-activity", "PublisherSystemId": "LB"},
}

# The sent values: their names in the template, and in iMIS.
ACTIVITY_COLUMNS = {
    "ActivityType": "ACTIVITY_TYPE",
    "Source": "SOURCE_CODE",
    "Subtype": "PRODUCT_CODE",
    "Description": "DESCRIPTION",
    "EffectiveDate": "EFFECTIVE_DATE",
    "Units": "UNITS",
    "CeuType": "CATEGORY",
}
PANEL_COLUMNS = {name: name for name in ("CourseCode", "Course", "CourseCompleted", "Units", "CreditType", "CEUType")}
LEARNING_BUILDER_COLUMNS = {
    **{name: column for name, column in ACTIVITY_COLUMNS.items() if name != "CeuType"},
    "NOTE": "NOTE",
}
COLUMNS = {ACTIVITIES: ACTIVITY_COLUMNS, PANEL: PANEL_COLUMNS, LEARNING_BUILDER: LEARNING_BUILDER_COLUMNS}


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """
    The expected delivery of an event for one subscription.

    *values* are the expected values in iMIS by column of the target, for the contact *party_id*; *code* is the reason
    if it is not delivered.
    """

    state: State
    code: str | None = None
    party_id: str | None = None
    values: Mapping[str, str | None] = {}


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event: *sample* is its file, *title* says what happened, *note* what the event shows.

    *answer* is the status that its publisher gets. A subscription without an entry in *expected* must not get it.
    """

    sample: str
    title: str
    note: str
    answer: int = 201
    expected: Mapping[str, Expected]

    def body(self) -> bytes:
        """The event as it is sent, to the character."""
        return (resources.files("learning_hub.demo") / "samples" / f"{self.sample}.json").read_bytes()


class Learned(NamedTuple):
    """The expected values in iMIS for a person's learning."""

    code: str
    title: str
    completed: str | None = None
    units: str | None = None
    credit_type: str | None = None
    credit_type_code: str | None = None


CPD = ("Continuing professional development", "CPD")


def _delivered(subscription_id: str, party_id: str, learned: Learned) -> Expected:
    fixed = {ACTIVITIES: ("TCLEARNING", "TopClass"), LEARNING_BUILDER: ("TCLEARNING", "LearningBuilder"), PANEL: ()}
    values = learned if subscription_id == PANEL else (*learned[:4], learned.credit_type_code)
    columns = COLUMNS[subscription_id].values()
    expected = dict(zip(columns, (*fixed[subscription_id], *values), strict=True))
    return Expected(state="delivered", party_id=party_id, values=expected)


def _at(subscription_id: str, party_id: str, learned: Learned) -> dict[str, Expected]:
    return {subscription_id: _delivered(subscription_id, party_id, learned)}


def _at_both(party_id: str, learned: Learned) -> dict[str, Expected]:
    return {name: _delivered(name, party_id, learned) for name in (ACTIVITIES, PANEL)}


def _not_delivered(state: State, code: str) -> dict[str, Expected]:
    return {name: Expected(state=state, code=code) for name in (ACTIVITIES, PANEL)}


STORY = (
    Chapter(
        sample="01-online-course",
        title="Robin Vale completes an online course",
        note="The everyday case: one event, two subscriptions, two records in iMIS.",
        expected=_at_both(
            seeds.ROBIN.party_id, Learned("FIRE-201", "Fire safety refresher", "2026-11-20T15:20:00", "1.30", *CPD)
        ),
    ),
    Chapter(
        sample="02-classroom-training",
        title="Amara Okafor attends a training in a classroom (ILT)",
        note="Another category of events has its own template.",
        expected=_at_both(
            seeds.AMARA.party_id, Learned("CPR-110", "Resuscitation, hands on", "2026-11-19T16:00:00", "4.0", *CPD)
        ),
    ),
    Chapter(
        sample="03-test-in-progress",
        title="Jun Takeda begins a test",
        note="Tests in progress are sent to the panel only.",
        expected=_at(PANEL, seeds.JUN.party_id, Learned("PUMP-310", "Infusion pumps, final test")),
    ),
    Chapter(
        sample="04-test-passed",
        title="Jun Takeda passes that test",
        note="The event has the same source record, so the hub updates the row in the panel.",
        expected=_at_both(
            seeds.JUN.party_id, Learned("PUMP-310", "Infusion pumps, final test", "2026-11-20T10:15:00", "2.0", *CPD)
        ),
    ),
    Chapter(
        sample="05-learning-plan",
        title="Elif O'Hara finishes a learning plan",
        note="The event has no credits and no date: the template sends nulls, and the day the event ended.",
        expected={
            **_at(
                ACTIVITIES, seeds.ELIF.party_id, Learned("ONB-26", "Onboarding of new nurses", "2026-11-18T17:00:00")
            ),
            **_at(PANEL, seeds.ELIF.party_id, Learned("ONB-26", "Onboarding of new nurses")),
        },
    ),
    Chapter(
        sample="06-learningbuilder",
        title="Priya Nair's contact hours are approved in LearningBuilder",
        note="Another publisher sends quite different data; its template makes the same kind of activity.",
        expected=_at(
            LEARNING_BUILDER,
            seeds.PRIYA.party_id,
            Learned(
                "A0099999",
                "Reduction of Pain in a Medical Unit",
                "2024-08-03T21:43:58",
                "1.30",
                credit_type_code="Medical-Surgical",
            ),
        ),
    ),
    Chapter(
        sample="07-external-training",
        title="Lena Hartmann reports external training",
        note="The category is switched off on purpose: the hub stores the event and does not send it.",
        expected=_not_delivered("skipped", "category_off"),
    ),
    Chapter(
        sample="08-nobody-in-imis",
        title="Kim Ferrer completes a course, and iMIS does not know Kim",
        note="The hub does not guess: it parks the delivery until a person has fixed the cause.",
        expected=_not_delivered("parked", "participant_not_found"),
    ),
    Chapter(
        sample="09-shared-address",
        title="Somebody at a shared e-mail address completes a course",
        note="Two contacts have this address, and the hub does not choose between them.",
        expected=_not_delivered("parked", "participant_ambiguous"),
    ),
    Chapter(
        sample="10-credits-in-words",
        title='Mateo Cruz gets "two" credits',
        note="The template requires a number, and the error names the path.",
        expected=_not_delivered("parked", "template_error"),
    ),
    Chapter(
        sample="11-credits-corrected",
        title="Robin Vale's credits are corrected from 1.30 to 1.50",
        note="The same source key with other content is the next revision: the hub updates the records in iMIS.",
        expected=_at_both(
            seeds.ROBIN.party_id, Learned("FIRE-201", "Fire safety refresher", "2026-11-20T15:20:00", "1.50", *CPD)
        ),
    ),
    Chapter(
        sample="02-classroom-training",
        title="TopClass sends Amara Okafor's training once more",
        note="The response is 200 and names the stored event: nothing is stored or sent twice.",
        answer=200,
        expected=_at_both(
            seeds.AMARA.party_id, Learned("CPR-110", "Resuscitation, hands on", "2026-11-19T16:00:00", "4.0", *CPD)
        ),
    ),
)

# A person fixes the chapter of Kim Ferrer at the end, by adding Kim to iMIS.
FIXED_CODE = "participant_not_found"
FIXED_PERSON = {
    "PersonName": {"FirstName": "Kim", "LastName": "Ferrer"},
    "Email": "kim.ferrer@example.org",
}
FIXED = Learned("HYG-120", "Hand hygiene", "2026-11-20T11:30:00", "0.5", *CPD)


def fixed(party_id: str) -> dict[str, Expected]:
    """The expected deliveries of the fixed event, for its new contact."""
    return _at_both(party_id, FIXED)
