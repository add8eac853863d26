"""The gateway: who is calling, what they may do, and the order in which the other services answer."""
