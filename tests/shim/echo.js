// An echo server that knows nothing of tunnels: echo.js IP PORT. Each answer says from where its request came.
const dgram = require("dgram");
const [ip, port] = process.argv.slice(2);
const socket = dgram.createSocket(ip.includes(":") ? "udp6" : "udp4");

socket.on("message", (data, source) => {
	const head = Buffer.from(`${source.address} ${source.port} `);
	socket.send([head, data], source.port, source.address);
});
socket.on("error", (error) => {
	console.log(error.code);
	process.exit(1);
});
socket.bind(Number(port), ip, () => console.log("ready"));
