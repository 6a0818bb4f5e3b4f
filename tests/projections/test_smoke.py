from projections import sql
from projections.access import report
from projections.rebuild import rebuild
from projections.verification import verify
from tests.projections.conftest import *


def test_smoke(vault, projector):
    said(vault)
    print(projector.catch_up())
    print(rows(projector.store, "select * from interaction limit 2"))
    print(rows(projector.store, "select * from subject"))
    v = verify(projector)
    print(v)
    assert not v.problems
    a = everything(projector.store)
    print(rebuild(projector))
    assert everything(projector.store) == a
    r = report(projector, vault.keys, vault.mapper, vault.keys.find("web", "visitor-1"))
    print(r.to_text())
    print(r.events)
    print(sql.render(sql.query(projector.store, "select * from subject"))["text"])
    vault.registrar.erase(subject_of(vault, "visitor-1"), ground="x", decided_by="y")
    projector.catch_up()
    print(rows(projector.store, "select * from subject"), verify(projector))
    said(vault, first=100)
    projector.start()
    projector.catch_up()
    print(rows(projector.store, "select * from subject"), verify(projector))
