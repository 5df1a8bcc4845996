"""Papers and explanations from the command line."""

from pathlib import Path

from tests.cli.conftest import Door


def test_papers_are_drafted_written_out_approved_and_dropped(door: Door, tmp_path: Path) -> None:
    code, said, _ = door("draft-orders", "safety-month-2020", "--as-of", "2020-06-01T10:00")
    assert code == 0
    assert "3 orders drafted, 0 drafts dropped" in said
    _, said, _ = door("draft-circulation", "safety-month-2020", "--as-of", "2020-06-01T10:00")
    assert "drafted as paper 4" in said
    _, said, _ = door("papers", "safety-month-2020", "--to", str(tmp_path / "out"))
    assert "全体单位" in said
    assert "4 to be approved" in said
    assert len(list((tmp_path / "out").glob("*.docx"))) == 4
    queue = door("queue", width=300)[1]
    assert "4 papers to be approved" in queue
    assert all(f"muster approve-paper {n} or drop-paper {n}" in queue for n in (1, 2, 3, 4))
    _, said, _ = door("approve-paper", "1", "4", "--grounds", "领导同意")
    assert "paper 1 is 督办〔" in said
    assert "paper 4 is 通报〔" in said
    assert "4 mails planned" in said
    _, said, _ = door("drop-paper", "2", "--grounds", "已电话督促")
    assert "paper 2 is dropped" in said
    code, _, complained = door("approve-paper", "2", "--grounds", "x")
    assert (code, "it was dropped" in complained) == (1, True)
    code, _, complained = door("approve-paper", "--grounds", "x")
    assert (code, "name the papers to approve" in complained) == (1, True)
    code, _, complained = door("approve-paper", "77", "--grounds", "x")
    assert (code, "`muster papers` lists them" in complained) == (1, True)


def test_one_obligation_is_explained_now_and_as_it_was(door: Door) -> None:
    code, said, _ = door("explain", "BH001", "附件2", "--as-of", "2020-05-28T10:00")
    assert code == 0
    assert "通知要求5月31日（星期日）24时前报送" in said
    assert "邮件1：是否送达不明，待人工确认（muster settle 1）" in said
    assert "5月29日 09:00　截止日提醒，致" in said
    code, _, complained = door("explain", "BH001", "附件9")
    assert code == 1
    assert "no deliverable" in complained
