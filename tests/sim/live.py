"""A gateway on real sockets, in a thread of this process, with the clients that a test connects to it."""

import asyncio
import threading

from clients import SocketClient

from spxarb.sim.control import Control
from spxarb.sim.faults.script import read_script
from spxarb.sim.server import MarketClock, Server, SimOptions, build_gateway


class LiveSim:
    """Listens until it is stopped. Its clock stands still until the control moves it."""

    def __init__(self, day_file, entries, clock="09:40"):
        self._options = SimOptions(port=0, day_file=day_file, at=clock, speed=0)
        self._gateway = build_gateway(self._options)
        self._gateway.faults.play(read_script(entries))
        self._listens = threading.Event()
        self._clients = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._listens.wait(10)
        self.control = Control(self._ports.control_port)

    async def _serve(self):
        server = Server(self._gateway, MarketClock(self._gateway.now, 0))
        self._ports = await server.start(self._options)
        self._listens.set()
        await server.stopping.wait()
        await server.stop()

    def client(self, client_id=1):
        """A client of the real socket."""
        self._clients.append(SocketClient(self._ports.port, client_id))
        return self._clients[-1]

    def stop(self):
        for client in self._clients:
            client.close()
        self.control.stop()
        self.control.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
