"""The other end of a connection: what a client asks of the simulated gateway, and how its answers are read."""

from spxarb.sim.api.wire import frame, frames_in, prefixed

CALL = ("0", "SPX", "OPT", "20260129", "6975.0", "C", "100", "SMART", "", "USD", "", "SPXW")
SPX = ("416904", "", "", "", "", "", "", "", "", "", "", "")
UNSET = "1.7976931348623157E308"


class Client:
    """The other end: asks with fields, reads frames."""

    def __init__(self, gateway, client_id=1, version=176):
        self.session = gateway.connect()
        self.session.receive_data(b"API\0" + prefixed(f"v100..{version}".encode()))
        self.greeting = self.read()
        self.welcome = self.ask(71, 2, client_id, "")

    def ask(self, *fields):
        self.session.receive_data(frame(*fields))
        return self.read()

    def read(self):
        return list(frames_in(self.session.data_to_send()))

    def place(self, order_id, side="BUY", limit="10.0", what_if=0, contract=CALL, **other):
        terms = {"quantity": 1, "kind": "LMT", "tif": "DAY", "ref": "r", "transmit": 1, "after": "", **other}
        head = (
            side,
            terms["quantity"],
            terms["kind"],
            limit,
            "",
            terms["tif"],
            "",
            "SIM0000001",
            "",
            0,
            terms["ref"],
        )
        head += (terms["transmit"], 0, 0, 0, 0, 0, 0, 0, "", 0, terms["after"], "", "", "", "", "", "")
        middle = (0, "", -1, 0, "", "", 0, "", "", 0, 0, "", 0, "", "", "", "", "", 0, "", "", "", "")
        tail = (0, "", "", "", "", "", "", "", "", "", "", 0, "", "", 0, 0, "", "", what_if, "", 0, 0, 0, 0)
        return self.ask(3, order_id, *contract, "", "", *head, *middle, *tail)


def kinds(frames):
    return [int(fields[0]) for fields in frames]


def errors(frames):
    return [(int(fields[2]), int(fields[3])) for fields in frames if fields[0] == "4"]
