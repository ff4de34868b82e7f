"""The faults: for each a file, the sound text, the faulty text, and the test that must fail because of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One planted fault: `faulty` takes the place of `sound`, which occurs exactly once in the file.

    `catch` is a pytest node (file::test) of a test that must fail while the fault is there. `says` is the rule of the
    auditor that its failure must name, where it matters that the auditor finds the fault.
    """

    name: str
    file: str
    sound: str
    faulty: str
    catch: str
    says: str = ""


_PROMISES = "tests/chaos/test_promises.py"
_INBOX = "chassis/tests/integration/test_inbox.py"
_ORDER_EVENTS = "orderfc/tests/integration/test_events.py"
_ORDER_READS = "orderfc/tests/integration/test_reads.py"
_KEYS = "orderfc/tests/integration/test_idempotency.py"
_BATCHES = "orderfc/tests/integration/test_batches.py"
_PRODUCT_HTTP = "productfc/tests/integration/test_http.py"
_STOCK = "productfc/tests/integration/test_stock.py"
_RUN_FAILURES = "chassis/tests/unit/test_run_failures.py"
_PAY_HTTP = "paymentfc/tests/integration/test_http.py"
_USER_HTTP = "userfc/tests/integration/test_http.py"

CONTRACT = [
    Fault(
        "an order is placed with 200 instead of 201",
        "orderfc/orderfc/handler/http.py",
        "return Response(content, 201, headers",
        "return Response(content, 200, headers",
        "orderfc/tests/integration/test_checkout.py::"
        "test_a_checkout_writes_the_order_its_history_and_both_events_in_the_golden_shape",
    ),
    Fault(
        "an order is shown to anybody who is signed in",
        "orderfc/orderfc/handler/http.py",
        "orders.view(db, order_id, None if user.is_admin else user.user_id)",
        "orders.view(db, order_id, None)",
        f"{_ORDER_READS}::test_an_order_is_shown_to_its_owner_and_to_an_admin_and_to_nobody_else",
    ),
    Fault(
        "a payment is shown to anybody who is signed in",
        "paymentfc/paymentfc/repository/payments.py",
        "None if caller.is_admin else caller.user_id",
        "None",
        f"{_PAY_HTTP}::test_the_owner_and_an_administrator_see_a_payment_and_nobody_else",
    ),
    Fault(
        "an invoice is made for anybody who is signed in",
        "paymentfc/paymentfc/usecase/request_invoice.py",
        "payment = await payments.of_caller(self._db, order_id, caller)",
        "payment = await payments.by_order(self._db, order_id)",
        f"{_PAY_HTTP}::test_an_invoice_is_made_from_our_own_records_whatever_the_body_claims",
    ),
    Fault(
        "the outbox is shown to every user",
        "chassis/chassis/admin/routes.py",
        "from chassis.auth.tokens import AdminUser",
        "from chassis.auth.tokens import CurrentUser as AdminUser",
        "chassis/tests/integration/test_admin_routes.py::test_each_route_is_for_administrators_only",
    ),
    Fault(
        "the orders of all customers are shown to every user",
        "orderfc/orderfc/handler/admin.py",
        "from chassis.auth.tokens import AdminUser",
        "from chassis.auth.tokens import CurrentUser as AdminUser",
        "orderfc/tests/integration/test_admin_orders.py::test_a_customer_reads_no_order_here_not_even_the_own_one",
    ),
    Fault(
        "the lists for administrators are open to every user",
        "chassis/chassis/auth/tokens.py",
        "    if not user.is_admin:\n",
        "    if False:\n",
        "paymentfc/tests/integration/test_admin.py::test_a_list_is_for_administrators_only",
    ),
    Fault(
        "money on the wire is read as a binary float",
        "chassis/chassis/money.py",
        "return Decimal(repr(value)) if isinstance(value, float) else value",
        "return Decimal(value) if isinstance(value, float) else value",
        "chassis/tests/unit/test_money.py::test_a_json_number_comes_back_as_the_same_text",
    ),
    Fault(
        "half a rupiah is a price",
        "chassis/chassis/money.py",
        "    if rounded != amount:\n",
        "    if False:\n",
        "chassis/tests/unit/test_money.py::test_an_amount_that_the_currency_cannot_express_is_refused",
    ),
    Fault(
        "a % in a search is a pattern",
        "productfc/productfc/repository/search.py",
        '.replace("%", "\\\\%")',
        "",
        f"{_PRODUCT_HTTP}::test_search_takes_patterns_literally_and_ignores_case",
    ),
    Fault(
        "ties of a search come in any order",
        "productfc/productfc/repository/search.py",
        "ORDER BY place {direction}, id LIMIT",
        "ORDER BY place {direction}, id DESC LIMIT",
        f"{_PRODUCT_HTTP}::test_pages_order_ties_by_id_and_lead_to_each_other",
    ),
    Fault(
        "a batch read comes in the database's order",
        "productfc/productfc/repository/products.py",
        "ORDER BY request.place",
        "ORDER BY p.id",
        f"{_PRODUCT_HTTP}::test_a_batch_read_keeps_the_order_asked_and_leaves_out_what_is_not_on_sale",
    ),
    Fault(
        "an empty callback token lets everybody in",
        "paymentfc/paymentfc/handler/callback_token.py",
        "if not (expected and hmac.compare_digest(received, expected.encode())):",
        "if not hmac.compare_digest(received, expected.encode()):",
        f"{_PAY_HTTP}::test_an_empty_configured_token_refuses_everybody",
    ),
    Fault(
        "the amount of a callback is not compared",
        "paymentfc/paymentfc/model/callback.py",
        "if callback.judged_amount != payment.amount:",
        "if False:",
        "paymentfc/tests/unit/test_model.py::test_only_exactly_our_amount_pays_and_what_was_paid_beats_what_was_asked",
    ),
    Fault(
        "the currency of a callback is not compared",
        "paymentfc/paymentfc/model/callback.py",
        "if callback.currency != payment.currency:",
        "if False:",
        "paymentfc/tests/unit/test_model.py::test_another_currency_never_pays",
    ),
    Fault(
        "a lost token works until it expires although it was logged out",
        "chassis/chassis/auth/revocation.py",
        "        if valid is False:\n",
        "        if False:\n",
        "chassis/tests/integration/test_revocation.py::test_redis_alone_decides_when_it_answers_and_was_filled",
    ),
    Fault(
        "a token of any algorithm is believed",
        "chassis/chassis/auth/tokens.py",
        "algorithms=[ALGORITHM],",
        'algorithms=["HS256", "HS512", "none"],',
        "chassis/tests/unit/test_auth.py::test_forged_and_broken_tokens_are_refused",
    ),
    Fault(
        "a token needs no user_id",
        "chassis/chassis/auth/tokens.py",
        '"require": ["exp", "iat", "iss", "user_id"]',
        '"require": ["exp", "iat", "iss"]',
        "chassis/tests/unit/test_auth.py::test_wrong_claims_are_refused",
    ),
    Fault(
        "an unknown user gets another answer than a wrong password",
        "userfc/userfc/usecase/login.py",
        "        raise BadCredentials\n",
        "        raise BadCredentials if account else LookupError(subject)\n",
        f"{_USER_HTTP}::test_an_unknown_user_and_a_wrong_password_get_the_same_answer",
    ),
    Fault(
        "a repeated key with another body is ordered again",
        "orderfc/orderfc/usecase/checkout.py",
        "    if not reservation.same_request:\n",
        "    if False:\n",
        f"{_KEYS}::test_another_body_under_a_used_key_is_422_and_changes_nothing",
    ),
    Fault(
        "a refused checkout burns its key",
        "orderfc/orderfc/usecase/checkout.py",
        "            await self._free(lease, reserving)\n",
        "            pass\n",
        f"{_KEYS}::test_a_key_is_free_after_a_refusal_and_then_works_with_another_body",
    ),
    Fault(
        "orders are placed again when the answer of their statement was lost",
        "orderfc/orderfc/usecase/place_order.py",
        "Batches(self._place_all, is_without_effect, ",
        "Batches(self._place_all, lambda _: True, ",
        f"{_BATCHES}::test_after_an_answer_that_was_lost_no_order_is_placed_again",
    ),
    Fault(
        "one statement places several orders of a customer, beyond the count of open ones",
        "orderfc/orderfc/usecase/place_order.py",
        "is_without_effect, apart=lambda order: order.draft.user_id)",
        "is_without_effect)",
        f"{_BATCHES}::test_no_statement_has_two_orders_of_one_customer",
    ),
    Fault(
        "an order is placed although its lease was lost",
        "orderfc/orderfc/repository/placing.py",
        " AND (key IS NULL OR place IN (SELECT place FROM leased))",
        "",
        "orderfc/tests/integration/test_placing.py::"
        "test_an_order_whose_lease_was_taken_over_is_not_placed_and_those_beside_it_are",
    ),
    Fault(
        "a token that was verified once is good for ever",
        "chassis/chassis/auth/tokens.py",
        "if principal.has_ended:\n            self.forget(token)",
        "if False:\n            self.forget(token)",
        "chassis/tests/unit/test_known_tokens.py::"
        "test_a_token_is_known_until_it_ends_and_is_then_verified_as_any_other",
    ),
    Fault(
        "a repeat does not say that it is one",
        "orderfc/orderfc/usecase/checkout.py",
        "replayed=True",
        "replayed=False",
        f"{_KEYS}::test_a_repeat_is_answered_the_same_after_the_stock_is_gone_and_productfc_is_down",
    ),
    Fault(
        "an error tells the driver's text",
        "chassis/chassis/http/middleware.py",
        '500, "internal_error", "Internal server error"',
        '500, "internal_error", str(error)',
        "chassis/tests/integration/test_http.py::test_failures_tell_nothing_and_are_logged",
    ),
    Fault(
        "a body of any size is read",
        "chassis/chassis/http/body.py",
        "            if size > self._limit:\n",
        "            if False:\n",
        "chassis/tests/integration/test_http.py::test_a_body_over_the_ceiling_is_413_before_the_handler",
    ),
    Fault(
        "a used category is deleted",
        "productfc/productfc/usecase/delete_category.py",
        "if await categories.has_products(tx, category_id):",
        "if False:",
        f"{_PRODUCT_HTTP}::test_a_category_name_is_unique_without_case_and_a_used_category_stays",
    ),
]

AUDITED = [
    Fault(
        "the offset is committed before the work",
        "chassis/chassis/kafka/partition.py",
        "                    await self._accept(self._runs.take(fetched))\n",
        """                    run = self._runs.take(fetched)
                    for attempt in run:
                        attempt.offsets.finish(attempt.message.offset)
                    await self._offsets.commit()
                    await self._accept(run)
""",
        f"{_PROMISES}::test_an_offset_never_runs_ahead_of_its_work",
        "stock_taken",
    ),
    Fault(
        "the outbox row is written outside the transaction",
        "paymentfc/paymentfc/usecase/confirm_callbacks.py",
        '        await failpoint("paymentfc.before_commit")\n        if not await self._paying.submit(',
        "        async with self.db.transaction() as other:\n            await other.publish(event)\n"
        '        await failpoint("paymentfc.before_commit")\n        if not await self._paying.submit(',
        f"{_PROMISES}::test_an_event_is_committed_with_its_state_or_not_at_all",
        "event_success",
    ),
    Fault(
        "the inbox check is removed",
        "chassis/chassis/db/inbox.py",
        "new = {row[0] for row in await tx.driver().fetch(_FIRST_OF, consumer, identities)}",
        "new = set(identities)",
        f"{_PROMISES}::test_what_a_group_has_passed_is_in_its_inbox",
        "event_applied",
    ),
    Fault(
        "an order is registered without its row in the inbox",
        "paymentfc/paymentfc/repository/registration.py",
        "INSERT INTO inbox (consumer, event_id) SELECT $1, event_id FROM asked ORDER BY event_id\n"
        "  ON CONFLICT DO NOTHING RETURNING event_id),",
        "SELECT DISTINCT event_id FROM asked WHERE $1::text IS NOT NULL),",
        f"{_PROMISES}::test_what_a_group_has_passed_is_in_its_inbox",
        "event_applied",
    ),
    Fault(
        "a status is updated without a guard",
        "orderfc/orderfc/repository/transitions.py",
        """SET status = ($4::smallint[])[status + 1], updated_at = now()
  WHERE id = ANY(ARRAY(SELECT id FROM locked WHERE ($4::smallint[])[status + 1] IS NOT NULL))
""",
        """SET status = ($4::smallint[])[1], updated_at = now()
  WHERE id = ANY(ARRAY(SELECT id FROM locked))
""",
        f"{_PROMISES}::test_a_status_changes_by_the_table_whatever_comes_last",
        "order_",
    ),
    Fault(
        "a rollback is applied without the ledger",
        "productfc/productfc/model.py",
        "    held = [entry for entry in ledger if entry.state is LedgerState.TAKEN]\n",
        "    held = list(ledger)\n",
        f"{_PROMISES}::test_a_rollback_gives_back_what_the_ledger_holds_and_no_more",
        "stock_conserved",
    ),
    Fault(
        "an event goes out under another topic",
        "paymentfc/paymentfc/events.py",
        "return Event.of(PAYMENT_FAILED, order_key",
        "return Event.of(PAYMENT_SUCCESS, order_key",
        f"{_PROMISES}::test_an_event_goes_out_under_the_topic_of_its_meaning",
        "event_failed",
    ),
    Fault(
        "any amount of money pays",
        "paymentfc/paymentfc/model/callback.py",
        "if callback.judged_amount != payment.amount:",
        "if not callback.judged_amount:",
        f"{_PROMISES}::test_money_pays_when_it_is_exactly_what_was_asked_for",
        "payment_received",
    ),
    Fault(
        "a change leaves the cache as it is",
        "productfc/productfc/repository/cached_answers.py",
        "ids = list(product_ids)\n",
        "ids: list[int] = []\n",
        f"{_PROMISES}::test_a_cached_product_is_as_its_row",
        "product_cached",
    ),
    Fault(
        "a refused order keeps the lines that were there",
        "productfc/productfc/model.py",
        "changes = {line.product_id: -line.quantity for line in lines} if refusal is None else {}",
        "changes = {i.product_id: -i.quantity for i in lines if free.get(i.product_id, 0) >= i.quantity}",
        f"{_PROMISES}::test_an_order_takes_all_its_lines_or_none",
        "stock_conserved",
    ),
    Fault(
        "a second invoice is made without a look for the first",
        "paymentfc/paymentfc/usecase/create_invoice.py",
        "if claim.attempts > 1:",
        "if False:",
        f"{_PROMISES}::test_an_order_has_one_invoice_that_can_be_paid",
        "invoice_left",
    ),
    Fault(
        "a request is given up without a word",
        "paymentfc/paymentfc/service/attempts.py",
        "return await close(tx, payment, Status.FAILED, reason, ACTOR)",
        "return ()",
        f"{_PROMISES}::test_a_request_that_is_given_up_ends_its_order",
        "payment_request",
    ),
    Fault(
        "stock is refused without a word",
        "productfc/productfc/usecase/take_stock.py",
        "await tx.publish(*[_rejected(message, claim, reason) for message, claim, reason in refused])",
        "del refused",
        f"{_PROMISES}::test_an_order_whose_stock_was_refused_is_told_so",
        "event_rejected",
    ),
]
"""The best-known faults of sagas, one of them in both of its places: the auditor must name each."""

SAGA = [
    Fault(
        "the offset is committed before a message that waits",
        "chassis/chassis/kafka/offsets.py",
        "return next(iter(self._open), self._next)",
        "return self._next",
        "chassis/tests/unit/test_partition.py::"
        "test_a_message_that_is_too_early_delays_its_own_key_only_and_keeps_the_order_of_that_key",
    ),
    Fault(
        "an event is forgotten on its way into the outbox",
        "chassis/chassis/db/database.py",
        "            await append(self._driver, events)\n            self.published = True\n",
        "            self.published = True\n",
        f"{_ORDER_EVENTS}::test_a_failed_payment_gives_the_stock_back_in_the_golden_shape",
    ),
    Fault(
        "the inbox is not asked",
        "orderfc/orderfc/repository/transitions.py",
        """  INSERT INTO inbox (consumer, event_id)
  SELECT $1, event_id FROM incoming WHERE NOT EXISTS (SELECT FROM unknown) ORDER BY event_id
  ON CONFLICT DO NOTHING RETURNING event_id),
""",
        "  SELECT event_id FROM incoming WHERE NOT EXISTS (SELECT FROM unknown)),\n",
        f"{_ORDER_EVENTS}::test_the_same_event_eight_times_at_once_is_applied_once",
    ),
    Fault(
        "the inbox is not asked for a message that comes alone",
        "chassis/chassis/db/inbox.py",
        "return bool(await tx.driver().fetchval(_FIRST, consumer, message.identity))",
        "return True",
        f"{_INBOX}::test_both_forms_know_what_the_other_has_recorded",
    ),
    Fault(
        "a status is overwritten by whatever comes last",
        "orderfc/orderfc/repository/transitions.py",
        "UPDATE orders SET status = ($4::smallint[])[status + 1]",
        "UPDATE orders SET status = ($4::smallint[])[1]",
        f"{_ORDER_EVENTS}::test_whatever_the_order_of_arrival_and_however_often_the_end_is_the_same",
    ),
    Fault(
        "a rollback adds what the message names, whatever the ledger says",
        "productfc/productfc/model.py",
        "    if not ledger:\n        tombstones = lines or",
        "    if not ledger:\n        return Decision([], {line.product_id: line.quantity for line in lines})\n"
        "        tombstones = lines or",
        f"{_STOCK}::test_a_rollback_that_comes_first_keeps_the_order_from_taking",
    ),
    Fault(
        "a second deduction of the same order takes stock again",
        "productfc/productfc/model.py",
        "    if ledger:\n        return NOTHING\n",
        "",
        f"{_STOCK}::test_duplicates_with_old_and_new_ids_and_after_a_purged_inbox_change_nothing",
    ),
    Fault(
        "stock is taken line by line",
        "productfc/productfc/model.py",
        "changes = {line.product_id: -line.quantity for line in lines} if refusal is None else {}",
        "changes = {i.product_id: -i.quantity for i in lines if free.get(i.product_id, 0) >= i.quantity}",
        f"{_STOCK}::test_one_short_product_of_three_takes_nothing_and_is_named",
    ),
    Fault(
        "the orders of a run are all decided on the stock before it",
        "productfc/productfc/model.py",
        "            self._free[product_id] = self._free.get(product_id, 0) + units\n",
        "            pass\n",
        "productfc/tests/integration/test_runs.py::test_any_run_has_the_result_of_its_messages_one_by_one",
    ),
    Fault(
        "a run that failed is taken for done",
        "chassis/chassis/kafka/runs.py",
        "            return False\n        finally:\n",
        "        finally:\n",
        f"{_RUN_FAILURES}::test_a_poison_message_at_any_place_of_a_run_is_a_dead_letter_and_the_others_are_applied",
    ),
    Fault(
        "a message overtakes an earlier one of its key in a run",
        "chassis/chassis/kafka/runs.py",
        " or self._queues.holds_back(attempt)",
        "",
        "chassis/tests/unit/test_runs.py::test_a_message_whose_key_waits_is_in_no_run_and_the_others_close_ranks",
    ),
    Fault(
        "a message that comes twice in a run is applied twice",
        "chassis/chassis/db/inbox.py",
        "        new.discard(identity)\n",
        "",
        f"{_INBOX}::test_of_a_run_the_messages_that_are_new_are_told_apart_in_their_order",
    ),
    Fault(
        "an order is registered without its lock",
        "paymentfc/paymentfc/usecase/register_payment.py",
        "        await payments.lock_unknown(tx, [external_id(order.order_id) for _, order in run])\n",
        "",
        "paymentfc/tests/integration/test_registration.py::"
        "test_what_meets_an_order_that_is_being_registered_waits_for_it_and_is_applied_once",
    ),
    Fault(
        "money that comes after the close is dropped",
        "paymentfc/paymentfc/model/callback.py",
        "if callback.says_paid and payment.status in CLOSED:",
        "if False:",
        "paymentfc/tests/unit/test_model.py::test_every_pair_of_payment_and_callback_status_has_its_one_outcome",
    ),
    Fault(
        "an invoice is created again without looking for the first",
        "paymentfc/paymentfc/usecase/create_invoice.py",
        "if claim.attempts > 1:",
        "if False:",
        "paymentfc/tests/integration/test_batch.py::"
        "test_the_request_of_a_replica_that_died_after_create_is_taken_over_when_its_lease_ends",
    ),
]

_LETTERS = "console/console/usecase/handle_letters.py"
_LETTER_BOX = "console/tests/unit/test_letter_box.py"
LETTERS = [
    Fault(
        "a letter that can't be applied is replayed without being forced",
        _LETTERS,
        "return letter.refusal() if replaying else None",
        "return None",
        "console/tests/unit/test_letter_actions.py::test_a_dry_run_says_what_is_refused_and_changes_nothing",
    ),
    Fault(
        "a replay is noted before it is sent",
        _LETTERS,
        "            await box.send(",
        "            await box.note(Entry.about(letter, command.action, command.by, now, command.why))\n"
        "            await box.send(",
        f"{_LETTER_BOX}::test_a_replay_goes_out_before_it_is_noted_and_after_it_is_claimed",
    ),
    Fault(
        "two operators replay one letter at the same time",
        "console/console/client/letter_box.py",
        "return None if first[0] == offset else",
        "return None if True else",
        f"{_LETTER_BOX}::test_of_many_who_replay_one_letter_at_once_one_does",
    ),
]

WAITS = [
    Fault(
        "what a consumer has applied is said to wait",
        "console/console/usecase/gather_unfinished.py",
        "return {key for answer in answers for key in answer}",
        "return set()",
        "console/tests/unit/test_waiting.py::"
        "test_what_a_consumer_has_applied_is_not_waited_for_though_its_group_has_not_committed",
    ),
    Fault(
        "an order waits for what a stopped service has done",
        "console/console/model/order_waits.py",
        "return consumer in facts.unread and any(consumer in one.done_by for one in same)",
        "return False",
        "console/tests/unit/test_order_waits.py::test_of_a_service_that_is_away_its_group_says_what_is_done",
    ),
    Fault(
        "a refund that stays due is not told",
        "console/console/usecase/handle_money.py",
        'still_due=bool(due and due["total"])',
        "still_due=False",
        "console/tests/unit/test_money.py::test_an_anomaly_is_resolved_with_a_note_and_a_refund_that_stays_due_is_told",
    ),
]

_TIMELINE = "console/tests/unit/test_timeline.py"
_EVENTS = "console/console/model/events.py"
_LIVE = "console/tests/unit/test_live.py"
CONSOLE = [
    Fault(
        "the console does not ask the inboxes",
        "console/console/usecase/gather_order.py",
        "return {key: time for answer in answers for key, time in answer.items()}",
        "return {}",
        "console/tests/unit/test_pages.py::"
        "test_the_page_of_an_order_shows_its_timeline_and_asks_with_the_persons_own_token",
    ),
    Fault(
        "when an event was published and when it was applied are swapped",
        _EVENTS,
        """        hops.append(Hop(consumer, min(times, default=None)))
    event = OrderEvent(first.topic, first.event_id, "published", min(committed, default=None), first.published_at)
""",
        """        hops.append(Hop(consumer, first.published_at if times else None))
    event = OrderEvent(first.topic, first.event_id, "published", min(committed, default=None), min(times, default=None))
""",
        f"{_TIMELINE}::test_a_paid_order_is_told_from_its_checkout_to_its_end",
    ),
    Fault(
        "the rows of a timeline are sorted by wall clock",
        "console/console/model/timeline.py",
        "ordered = _ordered(_known_causes(rows))",
        "ordered = sorted(_known_causes(rows).values(), key=_place)",
        f"{_TIMELINE}::test_causes_come_before_effects_whatever_the_clocks_say",
    ),
    Fault(
        "a form is taken without its token",
        "console/console/handler/session.py",
        'if not hmac.compare_digest(fields.get("form", "").encode(), form_token(request, browser, user_id).encode()):',
        "if False:",
        "console/tests/unit/test_access.py::test_a_form_of_another_site_person_or_browser_changes_nothing",
    ),
    Fault(
        "a letter that the dry run refuses is replayed",
        _LETTERS,
        "refusal = _refusal(item, command) or await _handle(box, item, command)",
        "refusal = await _handle(box, item, command)",
        "console/tests/unit/test_letter_actions.py::test_a_dry_run_says_what_is_refused_and_changes_nothing",
    ),
    Fault(
        "an invoice that has ended is said to wait for the customer",
        "console/console/model/payment_waits.py",
        "if ends is not None and ends <= unfinished.now:",
        "if False:",
        "console/tests/unit/test_waits.py::test_an_invoice_past_its_end_waits_for_xendit",
    ),
    Fault(
        "what is still in an outbox is not waited for",
        "console/console/model/order_waits.py",
        'unfinished.unsent = [(PRODUCERS.get(row["topic"], "its service"), timed(row)) for row in facts.unsent]',
        "unfinished.unsent = []",
        f"{_TIMELINE}::test_an_event_that_has_not_left_waits_in_its_outbox_with_its_last_error",
    ),
    Fault(
        "news of an order wake no page",
        "console/console/handler/watches.py",
        """            watch.soon = list(again)
            watch.wake.set()
""",
        """            watch.soon = list(again)
""",
        f"{_LIVE}::test_news_of_an_order_have_its_page_asked_for_at_once_and_again_soon",
    ),
    Fault(
        "a screen reader is told of each change",
        "console/console/handler/live.py",
        "if new == self.told or now - self._told_at < SENTENCE_S:",
        "if new == self.told:",
        "console/tests/unit/test_live_sentences.py::test_of_many_changes_a_viewer_is_told_seldom_and_of_the_last_one",
    ),
    Fault(
        "a page that lives on in a new session is said to have ended",
        "console/console/handler/live.py",
        """        if who is None:
            return
""",
        """        if who is None:
            yield ServerSentEvent(event=ENDED, raw_data=ENDED)
            return
""",
        f"{_LIVE}::test_a_stream_ends_when_its_person_logs_out",
    ),
]

FAULTS = (*AUDITED, *CONTRACT, *SAGA, *LETTERS, *WAITS, *CONSOLE)
