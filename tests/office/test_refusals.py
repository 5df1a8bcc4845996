"""What staff name is found, and what cannot be done is said in Chinese: every refusal has its sentence."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from definition.loading import LoadedCampaign
from ledger import errors
from ledger.campaigns import record_campaign
from ledger.errors import LedgerError
from ledger.tables import CampaignRow, CampaignState, PartyRow
from office.choosing import campaign_meant, names_in
from office.refusal_wording import REFUSED
from office.refusals import Mistaken, NotPossible, in_chinese
from office.units import find_unit
from tests.office.test_mailbook import cast as cast  # noqa: PLC0414  a fixture of ours too
from tests.office.test_mailbook import launched
from tests.office.test_office import KEY, LAUNCH, Desk, act

STAFF_NEVER_MEET = {"UnknownFinding", "UnknownPaper", "UnknownStaff", "BehindTheCampaign", "BrokenChain", "TakenOver"}


@pytest.fixture
def desk(cast: LoadedCampaign, tmp_path: Path) -> Iterator[Desk]:
    with launched(cast, tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        yield opened


def _codes(house: Path) -> Iterator[tuple[str, str]]:
    """Yield the codes of refusals in the source, each with where it stands."""
    for path in (*(house / "office").glob("*.py"), *(house / "flows" / "actions").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            named = node.func.id
            said = [k.value for k in node.keywords if k.arg == "staff"] if named == "NotPossible" else node.args[:1]
            if named in ("Mistaken", "NotPossible"):
                yield from ((str(one.value), path.name) for one in said if isinstance(one, ast.Constant))


def test_every_code_of_a_refusal_has_a_sentence_for_staff(house: Path) -> None:
    codes = dict(_codes(house))
    assert len(codes) > 40
    assert {code: where for code, where in codes.items() if code not in REFUSED} == {}
    known = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, LedgerError)}
    assert known - {"LedgerError"} - STAFF_NEVER_MEET - set(REFUSED) == set()


@pytest.mark.parametrize("code", sorted(REFUSED))
def test_each_sentence_is_one_and_says_that_nothing_was_done(code: str) -> None:
    sentence = REFUSED[code]
    assert sentence.startswith("没有办理：")
    assert sentence.endswith("。")
    assert sentence.count("。") == 1


def test_a_sentence_names_what_the_refusal_knows_and_what_was_filled_in() -> None:
    assert "第7号邮件" in in_chinese(errors.UnknownMessage("there is no mail 7"), {"mail": "7"})
    assert "（5月31日24时前）" in in_chinese(NotPossible("not_later", "it is not later", due="5月31日24时前"), {})
    assert in_chinese(ValueError("the moon\nis full"), {}) == "没有办理，系统答复：the moon is full"


def test_names_are_listed_with_commas_of_either_kind() -> None:
    assert names_in("BH001，BH003、 街镇,,\n区民政局") == ["BH001", "BH003", "街镇", "区民政局"]
    assert names_in("全部") == names_in("all") == ["all"]


def test_a_unit_is_found_by_its_full_name_unless_two_bear_it(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        unit = find_unit(session, "BH001")
        assert find_unit(session, unit.name, KEY).id == unit.id
        session.execute(update(PartyRow).where(PartyRow.code == "BH036").values(name=unit.name))
        session.expire_all()
        with pytest.raises(Mistaken, match="several units are called"):
            find_unit(session, unit.name)


def test_the_campaign_need_not_be_named_where_only_one_is_open(desk: Desk) -> None:
    with desk.house.ledger.writing() as session:
        row = campaign_meant(session, "")
        assert (row.key, campaign_meant(session, row.title).key) == (KEY, KEY)
        other = record_campaign(
            session, act(LAUNCH), key="flood", title="防汛", definition=row.definition, digest=row.digest
        )
        with pytest.raises(Mistaken) as several:
            campaign_meant(session, "")
        assert "（safety-month-2020、flood）" in in_chinese(several.value, {})
        session.execute(update(CampaignRow).where(CampaignRow.id == row.id).values(state=CampaignState.CLOSED))
        session.expire_all()
        assert campaign_meant(session, " ").key == other.key
