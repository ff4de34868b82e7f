"""The table topic -> handler: each message is parsed and given to one usecase."""

from chassis.events import Message, parse
from chassis.kafka.consumer import Handler
from paymentfc.events import ORDER_CREATED, STOCK_REJECTED, OrderCreated, StockRejected
from paymentfc.usecase.close_rejected_order import CloseRejectedOrder
from paymentfc.usecase.register_payment import RegisterPayment


def handlers(register: RegisterPayment, close_rejected: CloseRejectedOrder) -> dict[str, Handler]:
    """Give the handler of each topic that this service consumes."""

    async def order_created(message: Message) -> None:
        await register(parse(message, OrderCreated), message)

    async def stock_rejected(message: Message) -> None:
        await close_rejected(parse(message, StockRejected), message)

    return {ORDER_CREATED: order_created, STOCK_REJECTED: stock_rejected}
