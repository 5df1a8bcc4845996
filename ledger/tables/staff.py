"""Staff who may come to the staff pages, and their visits there."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.tables.base import Base, Written


class StaffRow(Written, Base):
    """A named account. One that was removed keeps its row, and its name may be given anew."""

    __tablename__ = "staff"
    __table_args__ = (
        Index(
            "ux_staff_name",
            "name",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    display: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str] = mapped_column(String(200))  # its Argon2 hash
    failures: Mapped[int] = mapped_column(default=0)  # logins that failed since the last that did not
    removed_at: Mapped[datetime | None]


class VisitRow(Written, Base):
    """A login: only the hash of what the browser keeps. All instants are the wall's: campaigns may have their own."""

    __tablename__ = "staff_visits"

    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
