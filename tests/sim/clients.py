"""The other end of a connection: what a client asks of the simulated gateway, and how its answers are read."""

import socket

from spxarb.sim.api.wire import Ask, FrameReader, Say, frame, frames_in, prefixed, split_fields

CALL = ("0", "SPX", "OPT", "20260129", "6975.0", "C", "100", "SMART", "", "USD", "", "SPXW")
SPX = ("416904", "", "", "", "", "", "", "", "", "", "", "")
UNSET = "1.7976931348623157E308"


class Orders:
    """Orders as a client places them."""

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


class Client(Orders):
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


class SocketClient(Orders):
    """The same over a real socket. It has read everything once the answer to a last question is there."""

    def __init__(self, port, client_id=1):
        self._link = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._reader = FrameReader()
        self._link.sendall(b"API\0" + prefixed(b"v100..176"))
        self._frame()
        self.welcome = self.ask(Ask.START_API, 2, client_id, "")

    def _frame(self):
        while (payload := self._reader.payload()) is None:
            data = self._link.recv(65536)
            assert data, "the gateway has closed the connection"
            self._reader.feed(data)
        return split_fields(payload)

    def ask(self, *fields):
        self._link.sendall(frame(*fields))
        return self.read()

    def read(self):
        self._link.sendall(frame(Ask.CURRENT_TIME, 1))
        return list(iter(self._frame_before_the_time, None))

    def _frame_before_the_time(self):
        fields = self._frame()
        return None if fields[0] == str(int(Say.CURRENT_TIME)) else fields

    def close(self):
        self._link.close()


def kinds(frames):
    return [int(fields[0]) for fields in frames]


def errors(frames):
    return [(int(fields[2]), int(fields[3])) for fields in frames if fields[0] == "4"]
