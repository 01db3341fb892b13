"""
The story the demo tells: a dozen events, and what should have become of each.

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

# All that is sent: as a template names it, and as iMIS does.
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
    What should become of an event at one subscription.

    *values* should stand at iMIS, in the columns of the target, with the contact *party_id*; *code* is why it is not
    delivered.
    """

    state: State
    code: str | None = None
    party_id: str | None = None
    values: Mapping[str, str | None] = {}


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event: *sample* is its file, *title* what happened, *note* what it shows.

    *answer* is the status its publisher gets. A subscription without an entry in *expected* is not meant to get it.
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
    """What should stand at iMIS of what a person learned."""

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
    wanted = dict(zip(columns, (*fixed[subscription_id], *values), strict=True))
    return Expected(state="delivered", party_id=party_id, values=wanted)


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
        note="Another category of event has a template of its own.",
        expected=_at_both(
            seeds.AMARA.party_id, Learned("CPR-110", "Resuscitation, hands on", "2026-11-19T16:00:00", "4.0", *CPD)
        ),
    ),
    Chapter(
        sample="03-test-in-progress",
        title="Jun Takeda begins a test",
        note="Tests in progress go to the panel only.",
        expected=_at(PANEL, seeds.JUN.party_id, Learned("PUMP-310", "Infusion pumps, final test")),
    ),
    Chapter(
        sample="04-test-passed",
        title="Jun Takeda passes that test",
        note="It concerns the same source record, so the panel keeps one row of it: the hub updates it.",
        expected=_at_both(
            seeds.JUN.party_id, Learned("PUMP-310", "Infusion pumps, final test", "2026-11-20T10:15:00", "2.0", *CPD)
        ),
    ),
    Chapter(
        sample="05-learning-plan",
        title="Elif O'Hara finishes a learning plan",
        note="No credits were awarded and no date given: the template sends nulls, and the day the event ended.",
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
        note="Another publisher with quite other data; its template makes the same kind of activity of them.",
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
        note="Its category is switched off on purpose: known to the hub, not sent.",
        expected=_not_delivered("skipped", "category_off"),
    ),
    Chapter(
        sample="08-nobody-in-imis",
        title="Kim Ferrer completes a course, and iMIS does not know Kim",
        note="Nothing is guessed: the delivery is parked until a person has settled it.",
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
        note="The template wants a number, and says where it found none.",
        expected=_not_delivered("parked", "template_error"),
    ),
    Chapter(
        sample="11-credits-corrected",
        title="Robin Vale's credits are corrected from 1.30 to 1.50",
        note="The same source with other content is the next revision: the same records in iMIS are updated.",
        expected=_at_both(
            seeds.ROBIN.party_id, Learned("FIRE-201", "Fire safety refresher", "2026-11-20T15:20:00", "1.50", *CPD)
        ),
    ),
    Chapter(
        sample="02-classroom-training",
        title="TopClass sends Amara Okafor's training once more",
        note="The answer is 200 and names the event that is there already: nothing is stored, nothing doubled.",
        answer=200,
        expected=_at_both(
            seeds.AMARA.party_id, Learned("CPR-110", "Resuscitation, hands on", "2026-11-19T16:00:00", "4.0", *CPD)
        ),
    ),
)

# What a person mends at the end: the chapter of Kim Ferrer, once iMIS knows Kim.
MENDED_CODE = "participant_not_found"
MENDED_PERSON = {
    "PersonName": {"FirstName": "Kim", "LastName": "Ferrer"},
    "Email": "kim.ferrer@example.org",
}
MENDED = Learned("HYG-120", "Hand hygiene", "2026-11-20T11:30:00", "0.5", *CPD)


def mended(party_id: str) -> dict[str, Expected]:
    """What should stand at iMIS for the mended event, with its new contact."""
    return _at_both(party_id, MENDED)
