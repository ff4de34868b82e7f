"""What administrators do to products and categories, append only.

The version before goes on: it does not know the table, and its changes are not recorded until it is replaced.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE admin_actions (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_admin_actions PRIMARY KEY,
      action text NOT NULL,
      admin_id bigint NOT NULL,
      admin_email text NOT NULL,
      address text NOT NULL,
      subject_id bigint NOT NULL,
      before jsonb NOT NULL,
      after jsonb NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now())
    """,
    "CREATE INDEX ix_admin_actions_created_at ON admin_actions (created_at)",
    # The retention may remove what is older than its least number of days.
    """
    CREATE FUNCTION refuse_change_of_action() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' AND OLD.created_at < now() - interval '30 days' THEN RETURN OLD; END IF;
      RAISE EXCEPTION '% is append only', TG_TABLE_NAME;
    END $$
    """,
    """
    CREATE TRIGGER admin_actions_append_only BEFORE UPDATE OR DELETE ON admin_actions
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_action()
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE admin_actions")
    op.execute("DROP FUNCTION refuse_change_of_action")
