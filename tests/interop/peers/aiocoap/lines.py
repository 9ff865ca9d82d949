#!/usr/bin/env python3
"""A CoAP server, or devices, with aiocoap: coaps:// by its DTLSSocket (tinydtls, PSK), or plain coap://. They do what
coap_lines.c does, and say and take the same lines."""

import asyncio
import sys

from aiocoap import CHANGED, CONTENT, GET, POST, Context, Message
from aiocoap.credentials import CredentialsMap
from aiocoap.error import Error
from aiocoap.resource import ObservableResource, Site

SECRET = {"dtls": {"psk": {"hex": bytes(range(16)).hex()}, "client-identity": {"ascii": "demo"}}}
COAPS_OFFSET = 1  # of the port that aiocoap binds a DTLS server to


def say(verb, number, words):
    print(verb, number, words, flush=True)


def say_data(number, message):
    if message.payload:
        say("data", number, message.payload.hex())


class Lines(ObservableResource):
    """The sessions of a server, from 1 on: one for each remote, which aiocoap keeps with its DTLS session."""

    def __init__(self):
        super().__init__()
        self.sessions, self.observations = {}, {}

    def number_of(self, remote):
        if remote not in self.sessions:
            self.sessions[remote] = len(self.sessions) + 1
            say("open", self.sessions[remote], remote.hostinfo)
        return self.sessions[remote]

    async def add_observation(self, request, observation):
        self.observations[self.number_of(request.remote)] = observation
        observation.accept(lambda: None)

    async def render_get(self, request):
        self.number_of(request.remote)
        return Message(code=CONTENT)

    async def render_post(self, request):
        number, data = self.number_of(request.remote), request.payload
        if data[:1] == b"E" and len(data) >= 5:  # as talk.py has it
            return Message(code=CHANGED, payload=b"e" + data[1:5])
        say_data(number, request)
        return Message(code=CHANGED)

    def take(self, verb, number, words):
        if verb == "send" and number in self.observations:
            self.observations[number].trigger(Message(code=CONTENT, payload=bytes.fromhex(words)))

    async def end(self):
        pass


class Device:
    def __init__(self, number, target, scheme):
        self.number, self.target, self.uri = number, target, f"{scheme}://{target}/lines"
        self.context, self.tasks = None, set()

    def spawn(self, work):
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def begin(self):
        transport = "tinydtls" if self.uri.startswith("coaps") else "simple6"
        self.context = await Context.create_client_context(transports=[transport])
        self.context.client_credentials.load_from_dict({"coaps://*": SECRET})
        self.spawn(self.observe())

    async def end(self):
        await self.context.shutdown()

    async def again(self):
        await self.end()
        await self.begin()

    async def observe(self):
        request = self.context.request(Message(code=GET, uri=self.uri, observe=0))
        try:
            await request.response
            say("open", self.number, self.target)
            async for note in request.observation:
                say_data(self.number, note)
        except Error:
            pass  # its session is over

    async def post(self, data):
        try:
            answer = await self.context.request(Message(code=POST, uri=self.uri, payload=data)).response
        except Error:
            return  # whoever waits for it finds out
        say_data(self.number, answer)


class Devices:
    def __init__(self, scheme):
        self.scheme, self.all = scheme, {}

    def take(self, verb, number, words):
        if verb == "new" and number not in self.all:
            device = self.all[number] = Device(number, words, self.scheme)
            asyncio.create_task(device.begin())
        elif verb == "again":
            asyncio.create_task(self.all[number].again())
        elif verb == "send":
            device = self.all[number]
            device.spawn(device.post(bytes.fromhex(words)))

    async def end(self):
        for device in self.all.values():
            await device.end()


async def serve(port, plain):
    lines, site, secrets = Lines(), Site(), CredentialsMap()
    site.add_resource(["lines"], lines)
    secrets.load_from_dict({":demo": SECRET})
    transport, at = ("simplesocketserver", port) if plain else ("tinydtls_server", port - COAPS_OFFSET)
    await Context.create_server_context(site, ("127.0.0.1", at), transports=[transport], server_credentials=secrets)
    return lines


async def main(argv):
    plain = argv[-1] == "plain"
    if argv[0] == "server":
        taker = await serve(int(argv[1]), plain)
    else:
        taker = Devices("coap" if plain else "coaps")
    stdin = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    print("ready", flush=True)
    while line := (await stdin.readline()).decode():
        verb, number, *words = line.split(maxsplit=2)
        taker.take(verb, int(number), words[0].strip() if words else "")
    await taker.end()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
