"""Keep the catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep the catalogue."""
    op.create_table(
        "account_deliveries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("delivery_method", sa.String(), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("sealed_secrets", sa.Text(), nullable=False),
        sa.Column("identity", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("set_up_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_deliveries")),
        sa.UniqueConstraint(
            "provider", "delivery_method", "identity", name=op.f("uq_account_deliveries_provider")
        ),
    )
    op.create_index(
        op.f("ix_account_deliveries_set_up_at"), "account_deliveries", ["set_up_at"], unique=False
    )
    op.create_table(
        "billable_metrics",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("filter_document", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billable_metrics")),
    )
    op.create_index(
        "ix_billable_metrics_created_at_id", "billable_metrics", ["created_at", "id"], unique=False
    )
    op.create_table(
        "custom_field_keys",
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("enforce_uniqueness", sa.Boolean(), nullable=False),
        sa.Column("is_removed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "key", name=op.f("pk_custom_field_keys")),
        sa.UniqueConstraint("ordinal", name=op.f("uq_custom_field_keys_ordinal")),
    )
    op.create_table(
        "custom_field_objects",
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "entity_id", name=op.f("pk_custom_field_objects")),
    )
    op.create_table(
        "custom_field_values",
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "entity_id", "key", name=op.f("pk_custom_field_values")),
    )
    op.create_index(
        "ix_custom_field_values_value", "custom_field_values", ["entity", "key", "value"], unique=False
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("salesforce_account_id", sa.String(), nullable=True),
        sa.Column("leave_stripe_invoices_in_draft", sa.Boolean(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    op.create_index("ix_customers_created_at_id", "customers", ["created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_customers_salesforce_account_id"), "customers", ["salesforce_account_id"], unique=False
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "invoices",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("customer_id", sa.String(length=36), nullable=False),
        sa.Column("contract_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("starting_at", sa.BigInteger(), nullable=False),
        sa.Column("ending_before", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("credit_type_id", sa.String(length=36), nullable=False),
        sa.Column("total", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("rated_from", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("voided_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
    )
    op.create_index(op.f("ix_invoices_contract_id"), "invoices", ["contract_id"], unique=False)
    op.create_index(
        "ix_invoices_customer_id_issued_at", "invoices", ["customer_id", "issued_at", "id"], unique=False
    )
    op.create_table(
        "products",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
    )
    op.create_index("ix_products_created_at_id", "products", ["created_at", "id"], unique=False)
    op.create_table(
        "rate_cards",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("fiat_credit_type_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_cards")),
    )
    op.create_index("ix_rate_cards_created_at_id", "rate_cards", ["created_at", "id"], unique=False)
    op.create_table(
        "contracts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("customer_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("uniqueness_key", sa.String(length=128), nullable=True),
        sa.Column("starting_at", sa.BigInteger(), nullable=False),
        sa.Column("ending_before", sa.BigInteger(), nullable=True),
        sa.Column("rate_card_id", sa.String(length=36), nullable=True),
        sa.Column("net_payment_terms_days", sa.Integer(), nullable=True),
        sa.Column("statement_frequency", sa.String(), nullable=False),
        sa.Column("statement_anchor", sa.BigInteger(), nullable=False),
        sa.Column("invoice_generation_starting_at", sa.BigInteger(), nullable=True),
        sa.Column("total_contract_value", sa.Text(), nullable=True),
        sa.Column("multiplier_override_prioritization", sa.String(), nullable=False),
        sa.Column("scheduled_charges_on_usage_invoices", sa.String(), nullable=True),
        sa.Column("netsuite_sales_order_id", sa.String(), nullable=True),
        sa.Column("salesforce_opportunity_id", sa.String(), nullable=True),
        sa.Column("billing_provider_configuration_id", sa.String(length=36), nullable=True),
        sa.Column("revenue_system_configuration_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("billed_until", sa.BigInteger(), nullable=True),
        sa.Column("next_statement_ends_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_contracts_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contracts")),
        sa.UniqueConstraint("uniqueness_key", name=op.f("uq_contracts_uniqueness_key")),
    )
    op.create_index(
        "ix_contracts_customer_id_starting_at",
        "contracts",
        ["customer_id", "starting_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_contracts_next_statement_ends_at", "contracts", ["next_statement_ends_at"], unique=False
    )
    op.create_table(
        "customer_aliases",
        sa.Column("alias", sa.String(length=128), nullable=False),
        sa.Column("customer_id", sa.String(length=36), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_aliases_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_customer_aliases")),
    )
    op.create_index(
        op.f("ix_customer_aliases_customer_id"), "customer_aliases", ["customer_id"], unique=False
    )
    op.create_table(
        "customer_configurations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("customer_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("identity", sa.String(), nullable=True),
        sa.Column("delivery_id", sa.String(length=36), nullable=False),
        sa.Column("tax_provider", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["account_deliveries.id"],
            name=op.f("fk_customer_configurations_delivery_id_account_deliveries"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_configurations")),
    )
    op.create_index(
        "ix_customer_configurations_customer_id",
        "customer_configurations",
        ["customer_id", "kind"],
        unique=False,
    )
    op.create_index(
        "ix_customer_configurations_identity",
        "customer_configurations",
        ["delivery_id", "identity"],
        unique=False,
    )
    op.create_table(
        "customer_status_changes",
        sa.Column("customer_id", sa.String(length=36), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_customer_status_changes_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("customer_id", "added", name=op.f("pk_customer_status_changes")),
    )
    op.create_table(
        "product_versions",
        sa.Column("product_id", sa.String(length=36), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("starting_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_product_versions_product_id_products")
        ),
        sa.PrimaryKeyConstraint("product_id", "added", name=op.f("pk_product_versions")),
    )
    op.create_table(
        "rate_card_aliases",
        sa.Column("rate_card_id", sa.String(length=36), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("starting_at", sa.BigInteger(), nullable=True),
        sa.Column("ending_before", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["rate_card_id"], ["rate_cards.id"], name=op.f("fk_rate_card_aliases_rate_card_id_rate_cards")
        ),
        sa.PrimaryKeyConstraint("rate_card_id", "ordinal", name=op.f("pk_rate_card_aliases")),
    )
    op.create_index(op.f("ix_rate_card_aliases_name"), "rate_card_aliases", ["name"], unique=False)
    op.create_table(
        "rate_card_keys",
        sa.Column("rate_card_id", sa.String(length=36), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.String(length=36), nullable=False),
        sa.Column("billing_frequency", sa.String(), nullable=False),
        sa.Column("group_values", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rate_card_id"], ["rate_cards.id"], name=op.f("fk_rate_card_keys_rate_card_id_rate_cards")
        ),
        sa.PrimaryKeyConstraint("rate_card_id", "ordinal", name=op.f("pk_rate_card_keys")),
        sa.UniqueConstraint(
            "rate_card_id",
            "product_id",
            "billing_frequency",
            "group_values",
            name=op.f("uq_rate_card_keys_rate_card_id"),
        ),
    )
    op.create_table(
        "rate_card_product_positions",
        sa.Column("rate_card_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["rate_card_id"],
            ["rate_cards.id"],
            name=op.f("fk_rate_card_product_positions_rate_card_id_rate_cards"),
        ),
        sa.PrimaryKeyConstraint("rate_card_id", "position", name=op.f("pk_rate_card_product_positions")),
    )
    op.create_table(
        "rate_card_entries",
        sa.Column("rate_card_id", sa.String(length=36), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("starting_at", sa.BigInteger(), nullable=False),
        sa.Column("ending_before", sa.BigInteger(), nullable=True),
        sa.Column("entitled", sa.Boolean(), nullable=False),
        sa.Column("rate_type", sa.String(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("credit_type_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rate_card_id", "key"],
            ["rate_card_keys.rate_card_id", "rate_card_keys.ordinal"],
            name=op.f("fk_rate_card_entries_rate_card_id_rate_card_keys"),
        ),
        sa.PrimaryKeyConstraint("rate_card_id", "added", name=op.f("pk_rate_card_entries")),
        sa.UniqueConstraint("id", name=op.f("uq_rate_card_entries_id")),
    )
    op.create_index("ix_rate_card_entries_key", "rate_card_entries", ["rate_card_id", "key"], unique=False)
