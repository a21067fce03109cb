"""What the gateway says beside a code, as far as it is known; scripts may say something else."""

from __future__ import annotations

TEXTS = {
    103: "Duplicate order id",
    104: "Cannot modify a filled order.",
    105: "Order being modified does not match original order",
    109: "The price specified would cross the percentage constraint",
    110: "The price does not conform to the minimum price variation for this contract.",
    136: "This order cannot be cancelled.",
    161: "Cancel attempted when order is not in a cancellable state.",
    163: "The following order would violate the precautionary percentage constraint",
    202: "Order Canceled - reason:",
    203: "The security is not available or allowed for this account.",
    383: "The following order size exceeds the size limit.",
    399: "Order Message: Warning: your order will not be placed at the exchange until the next session",
    404: "Shares for this order are not immediately available for short sale; it is held.",
    451: "The following order value exceeds the total value limit.",
    478: "Parameters in this request conflict with contract parameters received by contract id",
    2109: "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored.",
    2137: "Cross Side Warning",
    2139: "The paper trading disclaimer must be acknowledged first.",
    2148: "URGENT: the equity of your account is insufficient to support its positions: "
    "liquidation of positions may commence without further notice.",
    10141: "Paper trading disclaimer must first be accepted for API connection.",
    10147: "OrderId that needs to be cancelled is not found.",
    10148: "OrderId that needs to be cancelled cannot be cancelled, state: Filled.",
    10349: "Order TIF was set to DAY based on order preset.",
}


def text_of(code: int, given: str = "") -> str:
    """The text that a script gives, else the usual one of this code."""
    return given or TEXTS.get(code, "made up by the script of faults")
