"""IBKR's message codes: what each says, once for the whole program.

An error frame carries a code and the id of a question, an order or a market data line, -1 for none. Unless a
line names another source, its text is IBKR's own (https://interactivebrokers.github.io/tws-api/message_codes.html
and https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/#api-error-codes), shortened. Wordings
vary by build and language: codes are matched, texts are not. The simulated gateway shares none of this.
"""

from __future__ import annotations

from typing import Final

# --- the gateway's link to IB ---------------------------------------------------------------------

LINK_LOST: Final = 1100  # connectivity between IB and TWS has been lost; our socket stays up
LINK_RESTORED_DATA_LOST: Final = 1101  # restored; market data must be asked for again
LINK_RESTORED: Final = 1102  # restored, market data maintained
PORT_RESET: Final = 1300  # the socket port was changed, this connection is being dropped
SERVER_LINK_BROKEN: Final = 2110  # connectivity between TWS and server is broken, restored automatically
CLIENT_ID_IN_USE: Final = 326  # another client is connected under this id; the socket is then closed

LINK_DOWN = frozenset({LINK_LOST, PORT_RESET, SERVER_LINK_BROKEN})
LINK_UP = frozenset({LINK_RESTORED, LINK_RESTORED_DATA_LOST})

# --- data farms -----------------------------------------------------------------------------------

MARKET_DATA_FARM_DOWN: Final = 2103  # a market data farm is disconnected
MARKET_DATA_FARM_OK: Final = 2104  # market data farm connection is OK
HISTORICAL_FARM_OK: Final = 2106  # a historical data farm is connected
HISTORICAL_FARM_IDLE: Final = 2107  # inactive, available upon demand
HISTORICAL_FARM_DOWN: Final = 2105  # a historical data farm is disconnected
MARKET_DATA_FARM_IDLE: Final = 2108  # inactive, available upon demand
FARM_CONNECTING: Final = 2119  # a market data farm is connecting
DEFINITION_FARM_DOWN: Final = 2157  # the security definition farm is disconnected
DEFINITION_FARM_OK: Final = 2158  # the security definition farm is connected

FARM_TROUBLE = frozenset({MARKET_DATA_FARM_DOWN, DEFINITION_FARM_DOWN})
"""Quotes and contracts are suspect after one of these."""
ROUTINE_NOTICES = frozenset(
    {
        MARKET_DATA_FARM_OK,
        HISTORICAL_FARM_OK,
        HISTORICAL_FARM_IDLE,
        MARKET_DATA_FARM_IDLE,
        FARM_CONNECTING,
        DEFINITION_FARM_OK,
    }
)
"""Sent at every logon; they say that nothing is wrong."""

# --- market data ----------------------------------------------------------------------------------

NEEDS_API_SUBSCRIPTION: Final = 10089  # more subscriptions are needed for the API; data may still flow
PARTLY_NOT_SUBSCRIBED: Final = 10090  # part of the requested data is not subscribed; the rest flows
DELAYED_FOR_PART: Final = 10091  # as 10090, and delayed data is available
SHOWS_DELAYED: Final = 10167  # not subscribed, displaying delayed market data
COMPETING_SESSION: Final = 10197  # no data during a competing live session; the stream goes on after it

NOT_SUBSCRIBED: Final = 354  # not subscribed to market data; delayed data may be available
NO_DATA_PERMISSION: Final = 10189  # no market data permissions for this kind of data

DATA_ADVISORIES = frozenset({NEEDS_API_SUBSCRIPTION, PARTLY_NOT_SUBSCRIBED, DELAYED_FOR_PART, SHOWS_DELAYED})
"""Data may flow all the same: no refusal of the line."""

# --- warnings -------------------------------------------------------------------------------------

HISTORICAL_QUERY: Final = 165  # historical market data service query message
ORDER_MESSAGE: Final = 399  # order message, such as "will not be placed at the exchange until 09:30"
SHARES_NOT_LOCATED: Final = 404  # held while shares to borrow are located
SCANNER_NOTICE: Final = 492  # a scanner's note (a warning by ib_insync 0.9.86, wrapper.py)
PRESET_DEFAULTS: Final = 10233  # defaults were inherited from a preset
TIF_FROM_PRESET: Final = 10349  # time in force set to DAY by a preset; the order is live (ib_async#191, #217)

PAPER_NOT_ACKNOWLEDGED: Final = 2139  # the paper trading disclaimer must be acknowledged first
LIQUIDATION_WARNING: Final = 2148  # URGENT: equity is insufficient, positions may be liquidated (Lean#5839)
DISCLAIMER_NOT_ACCEPTED: Final = 10141  # the paper trading disclaimer blocks the API until it is accepted

SYSTEM_WARNINGS = frozenset(range(2100, 2200)) - {PAPER_NOT_ACKNOWLEDGED}
"""IBKR's range of warnings (as ib_insync 0.9.86 takes it, wrapper.py), but for one that refuses orders."""
WARNINGS = SYSTEM_WARNINGS | {
    HISTORICAL_QUERY,
    ORDER_MESSAGE,
    SHARES_NOT_LOCATED,
    SCANNER_NOTICE,
    SHOWS_DELAYED,
    PRESET_DEFAULTS,
    TIF_FROM_PRESET,
}
"""They stand beside a live order and end nothing, though both client libraries infer an end from some."""

# --- orders ---------------------------------------------------------------------------------------

CANCELLATION: Final = 202  # order cancelled, reason: ...

ORDER_NOT_FOUND: Final = 135  # cannot find the order with this id
NOT_CANCELLABLE: Final = 136  # this order cannot be cancelled
NOT_IN_CANCELLABLE_STATE: Final = 161  # cancel attempted when not in a cancellable state: often filled
CANCEL_ID_NOT_FOUND: Final = 10147  # not found; said of filled and cancelled orders too (ib_insync#656, #690)
CANCEL_STATE_REFUSES: Final = 10148  # cannot be cancelled, state: ...; "Filled" means that a fill is coming

CANCEL_REFUSALS = frozenset(
    {ORDER_NOT_FOUND, NOT_CANCELLABLE, NOT_IN_CANCELLABLE_STATE, CANCEL_ID_NOT_FOUND, CANCEL_STATE_REFUSES}
)
"""A cancel was refused. None of them says how the order ended, or that it ever existed."""

CHANGE_OF_FILLED: Final = 104  # cannot modify a filled order
CHANGE_MISMATCH: Final = 105  # the change differs from the order in more than price and quantity

CHANGE_REFUSALS = frozenset({CHANGE_OF_FILLED, CHANGE_MISMATCH})
"""A change was refused; the order stays what it was."""

DUPLICATE_ORDER_ID: Final = 103  # not above the last id of this client
CANNOT_TRANSMIT: Final = 106  # cannot transmit order id
INCOMPLETE_ORDER: Final = 107  # a required field is missing
PRICE_OUT_OF_RANGE: Final = 109  # outside the percentage of the presets
PRICE_OFF_TICK: Final = 110  # not on the contract's minimum price variation
PRICE_PERCENTAGE: Final = 163  # the price would violate the presets' percentage constraint
NO_DATA_FOR_PERCENTAGE: Final = 164  # no market data to check that constraint by
NO_SUCH_CONTRACT: Final = 200  # no security definition found, or an ambiguous one
ORDER_REJECTED: Final = 201  # order rejected, reason: ...
NOT_ALLOWED_FOR_ACCOUNT: Final = 203  # the security is not available or allowed for this account
READING_FAILED: Final = 320  # server error when reading a request
VALIDATION_FAILED: Final = 321  # server error when validating a request; also Read-Only API
PROCESSING_FAILED: Final = 322  # server error when processing a request
SERVER_ERROR: Final = 323  # server error, cause: ...
INVALID_TIME: Final = 343  # the date, time or time zone is invalid
TICKS_CONSTRAINT: Final = 382  # the price violates the presets' number of ticks
SIZE_CONSTRAINT: Final = 383  # the size violates the presets' constraint
UNSUPPORTED_TYPE: Final = 387  # order type not supported for this exchange and security type
ZERO_SIZE: Final = 434  # the order size cannot be zero
VALUE_CONSTRAINT: Final = 451  # the order's value violates the presets' total value limit
CONTRACT_CONFLICT: Final = 478  # the contract's fields conflict with those of its contract id
NO_TRADING_PERMISSION: Final = 460  # no trading permissions (Lean.Brokerages.InteractiveBrokers#245)
FRACTIONAL_QUANTITY: Final = 10318  # this order does not support fractional quantities
UNLISTED_REFUSAL: Final = 10331  # in no public list; taken for a refusal, which proves nothing by itself

REFUSALS = frozenset(
    {
        DUPLICATE_ORDER_ID,
        CANNOT_TRANSMIT,
        INCOMPLETE_ORDER,
        PRICE_OUT_OF_RANGE,
        PRICE_OFF_TICK,
        PRICE_PERCENTAGE,
        NO_DATA_FOR_PERCENTAGE,
        NO_SUCH_CONTRACT,
        ORDER_REJECTED,
        NOT_ALLOWED_FOR_ACCOUNT,
        READING_FAILED,
        VALIDATION_FAILED,
        PROCESSING_FAILED,
        SERVER_ERROR,
        INVALID_TIME,
        TICKS_CONSTRAINT,
        SIZE_CONSTRAINT,
        UNSUPPORTED_TYPE,
        ZERO_SIZE,
        VALUE_CONSTRAINT,
        CONTRACT_CONFLICT,
        PAPER_NOT_ACKNOWLEDGED,
        NO_TRADING_PERMISSION,
        FRACTIONAL_QUANTITY,
        UNLISTED_REFUSAL,
    }
)
"""An order was refused, or, once a change of it was sent, perhaps only the change."""

PRESET_REFUSALS = frozenset(
    {
        PRICE_OUT_OF_RANGE,
        PRICE_PERCENTAGE,
        NO_DATA_FOR_PERCENTAGE,
        TICKS_CONSTRAINT,
        SIZE_CONSTRAINT,
        VALUE_CONSTRAINT,
    }
)
"""A preset of the Gateway refuses the order."""
BITING = PRESET_REFUSALS | {
    PRESET_DEFAULTS,
    TIF_FROM_PRESET,
    DISCLAIMER_NOT_ACCEPTED,
    PAPER_NOT_ACKNOWLEDGED,
    VALIDATION_FAILED,
    NO_TRADING_PERMISSION,
}
"""A setting is behind it, of the Gateway's API or the account: presets, dialogs, read-only, permissions."""

HARMLESS = WARNINGS | CHANGE_REFUSALS | DATA_ADVISORIES
"""What may stand beside a live order and says nothing of its end."""
