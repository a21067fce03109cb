"""The simulated exchange: orders, fills, account, margin, fees, settlement."""
