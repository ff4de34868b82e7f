-- The floor of a checkout: the rows of one order with two lines and two events, stored by one statement.
\set user random(1, 1000)
\set product random(1, 199)
WITH open AS (
  SELECT count(*) AS n FROM (SELECT FROM orders WHERE user_id = :user AND status = 0 LIMIT 1000000) AS open_order),
numbered AS MATERIALIZED (SELECT nextval('orders_id_seq') AS id FROM open WHERE n < 1000000),
placed AS (
  INSERT INTO orders (id, user_id, status, total_amount, total_qty, currency, payment_method, shipping_address)
  SELECT id, :user, 0, 45000, 3, 'IDR', 'BANK_TRANSFER', 'Jalan Merdeka 1, Jakarta' FROM numbered RETURNING id),
items AS (
  INSERT INTO order_items (order_id, product_id, name, quantity, price)
  SELECT placed.id, :product + n, 'Kopi', n + 1, 15000 FROM placed, unnest(ARRAY[0, 1]) AS n),
first_step AS (INSERT INTO order_history (order_id, status, cause) SELECT id, 0, 'checkout' FROM placed),
events AS (
  INSERT INTO outbox (event_id, topic, key, payload, headers)
  SELECT gen_random_uuid(), topic, 'order-' || placed.id, jsonb_build_object('order_id', placed.id) || payload, '{}'
  FROM placed, (VALUES
    ('order.created', '{"user_id": 1, "total_amount": 45000, "payment_method": "BANK_TRANSFER", "currency": "IDR",
      "shipping_address": "Jalan Merdeka 1, Jakarta", "products": [{"product_id": 1, "name": "Kopi", "quantity": 1,
      "price": 15000}, {"product_id": 2, "name": "Kopi", "quantity": 2, "price": 15000}]}'::jsonb),
    ('stock.updated', '{"products": [{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 2}],
      "event_time": "2026-11-27T12:00:00Z"}'::jsonb)) AS e (topic, payload))
SELECT id FROM placed;
