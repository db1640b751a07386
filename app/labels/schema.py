"""Tables of the database of labels. Changes are only ever added: the newest version of a label is the label."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from app.labels.records import MAX_NAME

__all__ = ["SCHEMA_VERSION", "change_table", "class_table", "metadata", "version_table"]

SCHEMA_VERSION = 1

metadata = MetaData()

version_table = Table("label_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

class_table = Table(
    "label_class",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(MAX_NAME), nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("listed", Boolean, nullable=False),
)

change_table = Table(
    "label_change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scanner", String(MAX_NAME), nullable=False),
    Column("target_id", String(MAX_NAME), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("client_id", String(MAX_NAME), nullable=False),
    Column("undoes", ForeignKey("label_change.id")),
    Column("class_id", ForeignKey("label_class.id")),
    Column("quality", Integer),
    Column("issues", String(10), nullable=False),
    Column("redshift", Double),
    Column("spectype", String(20), nullable=False),
    Column("comment", Text, nullable=False),
    Column("star", Boolean, nullable=False),
    Column("saved_at", String(40), nullable=False),
    UniqueConstraint("scanner", "target_id", "version"),
    UniqueConstraint("scanner", "client_id", "target_id"),
    CheckConstraint("version > 0", name="label_change_version"),
    CheckConstraint("quality BETWEEN 0 AND 4", name="label_change_quality"),
    CheckConstraint("kind IN ('save', 'undo', 'redo', 'import')", name="label_change_kind"),
    Index("label_change_undoes", "undoes"),
)
